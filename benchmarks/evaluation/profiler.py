"""A second opinion on costs: multiply-accumulates from torch's profiler, which modes cannot be hidden from.

The profiler is called by the operators themselves, not by the dispatch modes that `methods.counting` rests on: work
that runs with those switched off is in its record all the same, and with torch 2.8 or newer that of other threads. It
knows shapes, but neither the stored numbers of sparse factors nor packed weights.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import torch
from torch._ops import OpOverload
from torch.profiler import ProfilerActivity, profile

from methods.counting.counter import plain_attention
from methods.counting.formulas import named, own_formula, registered

Result = TypeVar("Result")


@dataclass(frozen=True)
class Record(Generic[Result]):
    """What a call gave, its MACs by the profiler, and operators whose cost the record cannot tell, by name."""

    result: Result
    macs: int
    untold: frozenset[str]


def record(call: Callable[[], Result]) -> Record[Result]:
    """Run `call` under torch's profiler and add up the products that it recorded, the outermost of each."""
    with plain_attention(), profile(activities=[ProfilerActivity.CPU], record_shapes=True, **_all_threads()) as seen:
        result = call()
    macs, untold = 0, set()
    for event in seen.events():
        if _product(event.name) and not _inside_product(event):
            found = _macs(event)
            macs += found or 0
            untold |= {event.name} if found is None else set()
    return Record(result, macs, frozenset(untold))


def records_all_threads() -> bool:
    """Whether this torch's record holds the work of other threads: from 2.8 on."""
    return bool(_all_threads())


def _all_threads() -> dict[str, Any]:
    """Record every thread's work, where this torch can."""
    from torch._C import _profiler

    try:
        return {"experimental_config": _profiler._ExperimentalConfig(profile_all_threads=True)}
    except TypeError:  # older torch
        return {}


def _product(name: str) -> bool:
    return any(map(_has_formula, _overloads(name)))


def _inside_product(event: Any) -> bool:
    parent = event.cpu_parent
    while parent is not None:
        if _product(parent.name):
            return True
        parent = parent.cpu_parent
    return False


def _has_formula(overload: OpOverload) -> bool:
    return own_formula(overload.namespace, overload._opname) is not None or registered(overload) is not None


@cache
def _overloads(name: str) -> tuple[OpOverload, ...]:
    """The operators called `name` (`aten::mm`), the plainest first."""
    namespace, _, operator = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace), operator, None) if operator.isidentifier() else None
    return tuple(getattr(packet, overload) for overload in packet.overloads()) if packet is not None else ()


@dataclass(frozen=True)
class _Shaped:
    """All that a record has of a tensor."""

    shape: tuple[int, ...]


def _macs(event: Any) -> int | None:
    """MACs of one recorded product; None where its shapes do not tell them."""
    given = len(event.input_shapes)
    overload = next((o for o in _overloads(event.name) if len(o._schema.arguments) == given), None)
    if overload is None or not _has_formula(overload):
        return None
    arguments = _arguments(overload, event)
    own = own_formula(overload.namespace, overload._opname)
    try:
        if own is not None:
            return own(arguments)
        return _of_registered(overload, arguments)
    except Exception:  # a formula that asks for more than shapes
        return None


def _of_registered(overload: OpOverload, arguments: Mapping[str, Any]) -> int:
    formula = registered(overload)
    assert formula is not None
    shapes = [torch.empty(x.shape, device="meta") if isinstance(x, _Shaped) else x for x in arguments.values()]
    return math.ceil(formula(*shapes) / 2)


def _arguments(overload: OpOverload, event: Any) -> dict[str, Any]:
    """Arguments by name: tensors as shapes, numbers and lists as they were."""
    pairs = zip(overload._schema.arguments, event.input_shapes, event.concrete_inputs, strict=True)
    return named(overload, [_value(str(argument.type), shape, value) for argument, shape, value in pairs], {})


def _value(kind: str, shape: Sequence[Any], value: Any) -> Any:
    if "List[" in kind and "Tensor" in kind:
        return [_Shaped(tuple(one)) for one in shape]
    if "Tensor" in kind:
        return _Shaped(tuple(shape)) if shape or "Optional" not in kind else None
    return value
