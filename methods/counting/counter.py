"""Counting the multiply-accumulates of what torch's dispatcher executes; what is not known is refused."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from methods.counting.formulas import named, own_formula, registered
from methods.counting.kinds import COMPOSITE_KEY, Kind, kind_of
from methods.errors import MethodError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Count(Generic[Result]):
    """What a call gave, and what it took.

    `products`: multiply-accumulates of convolutions, linear layers and matrix products, by operator. `outside`:
    operators beyond that convention, with the elements they touched (of the largest tensor each read or wrote).
    `unshaped`: products of sparse factors or packed weights, and classes of tensors, whose cost shapes do not tell.
    """

    result: Result
    products: Mapping[str, int]
    outside: Mapping[str, int]
    unshaped: frozenset[str] = frozenset()

    @property
    def macs(self) -> int:
        """All multiply-accumulates."""
        return sum(self.products.values())


def count(call: Callable[[], Result]) -> Count[Result]:
    """Run `call` and count what it executed, as torch's dispatcher was told.

    The result is bit for bit that of an uncounted call, but for torch's attention fast path, which is switched off
    meanwhile: it is one operator that hides its products. MethodError names the operators that are not known: nothing
    is taken to cost nothing because nobody knows it.
    """
    with plain_attention(), Counting() as counting:
        result = call()
    counting.refuse_unknown()
    return Count(result, dict(counting.products), dict(counting.outside), frozenset(counting.unshaped))


@contextmanager
def plain_attention() -> Iterator[None]:
    """Switch torch's attention fast path off meanwhile, one operator that hides the products of a whole layer."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def refuse_scripts(module: nn.Module) -> None:
    """MethodError if a part of `module` is TorchScript, whose optimised code passes the dispatcher by."""
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise MethodError(
                f"{name or 'the network'} is TorchScript, which cannot be counted: give the module itself"
            )


class Counting(TorchDispatchMode):
    """Sorts every operator that runs, and adds up."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()
        self.unshaped: set[str] = set()
        self.unknown: set[str] = set()

    def multiplied(self, operator: str, macs: int) -> None:
        """Take down the multiply-accumulates of one call of an operator."""
        self.products[operator] += macs

    def refuse_unknown(self) -> None:
        """MethodError that names the operators whose cost nobody knows, if there were any."""
        if self.unknown:
            names = ", ".join(sorted(self.unknown))
            raise MethodError(
                f"cannot count {names}: register a formula of its FLOPs, 2 for a multiply-accumulate and 0 where there "
                "is none, with torch.utils.flop_counter.register_flop_formula (docs/measuring.md, Counting costs)"
            )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if any(issubclass(t, Tensor) and t not in _PLAIN for t in types):
            self.unshaped |= {t.__name__ for t in types if t not in _PLAIN}
            return NotImplemented  # a tensor of a class of its own takes its operators apart first
        kind = kind_of(func) if isinstance(func, OpOverload) else Kind.UNKNOWN
        if kind is Kind.COMPOSITE:
            with self:
                return func._op_dk(COMPOSITE_KEY, *args, **kwargs)
        result = func(*args, **kwargs)
        if kind is Kind.COUNTED:
            name = func.overloadpacket.__name__
            self.multiplied(name, _macs(func, args, kwargs, result))
            self.unshaped |= {name} if _unshaped(args, kwargs) else set()
        elif kind is Kind.OUTSIDE:
            self.outside[func.overloadpacket.__name__] += _touched(args, kwargs, result)
        elif kind is Kind.UNKNOWN:
            self.unknown.add(func._name if isinstance(func, OpOverload) else str(func))
        return result


_PLAIN = (Tensor, nn.Parameter, nn.Buffer)


def _macs(func: OpOverload, args: Any, kwargs: Mapping[str, Any], result: Any) -> int:
    own = own_formula(func.namespace, func._opname)
    if own is not None:
        return own(named(func, args, kwargs))
    formula = registered(func)
    assert formula is not None
    return math.ceil(formula(*args, **kwargs, out_val=result) / 2)


def _unshaped(args: Iterable[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operator was given a sparse tensor, or something packed that is no tensor."""
    dense = (torch.strided, torch._mkldnn)  # type: ignore[attr-defined]
    found = (*args, *kwargs.values())
    return any(x.layout not in dense if isinstance(x, Tensor) else isinstance(x, torch.ScriptObject) for x in found)


def _touched(args: Iterable[Any], kwargs: Mapping[str, Any], result: Any) -> int:
    """Elements of the largest tensor among what an operator read and wrote, lists of tensors included."""
    largest = 0
    for x in (*args, *kwargs.values(), result):
        if isinstance(x, Tensor):
            largest = max(largest, x.numel())
        elif isinstance(x, list | tuple):
            largest = max(largest, *(one.numel() for one in x if isinstance(one, Tensor)), 0)
    return largest
