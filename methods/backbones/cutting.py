"""Any network as a backbone: its parts are named, and proved to be all of it."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import accumulate
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from methods.backbones.base import Tokens
from methods.backbones.sequence import LAYERS, Cut, Part, Parts, SequenceBackbone
from methods.errors import MethodError
from methods.names import alike

Some: TypeAlias = Part | Sequence[Part]
"""One part, or several in the order in which forward goes through them."""
Call: TypeAlias = tuple[str, Any]
"""A layer that was called, by its name, and what it gave."""


@torch.no_grad()
def cut(
    network: nn.Module, image_shape: tuple[int, int, int], *, stem: Some, stages: Sequence[Part | Sequence[Some]],
    head: Some, pool: Part | None = None, tokens: Tokens | None = None,
) -> SequenceBackbone:  # fmt: skip
    """Make a backbone of any network by naming its parts: `stages=[["layer1.0", "layer1.1"], ["layer2.0"]]`.

    A part is the name of a layer, `average`, `flatten`, `pooled`, or a function of (network, state), see `Part`. Each
    stage is a list of blocks, each block one part or several; `pool` is a pooling between stem and blocks. Where
    states are tokens [n, l, c], `tokens` says what stands for an image: the `class` token, the first, or their `mean`.

    The backbone keeps the network and its parameters; layers stop working in place. On noise [2, *image_shape] the
    parts have to give what the network's own forward gives, bit for bit, and none may write into what it is given.
    MethodError says what is missing, or from where on outputs differ.
    """
    blocks = tuple(tuple(_parts(block) for block in _several(stage)) for stage in stages)
    pools = () if pool is None else (pool,)
    named = Cut(_parts(stem), pools, blocks, _parts(head), activated=False, chains=False, tokens=tokens)
    _check_names(network, named)
    images = _noise(network, image_shape)
    training = network.training
    logits, expected = _own(network.eval(), images)
    backbone = SequenceBackbone(network, named, logits.shape[1]).eval()
    ends, found = _walked(backbone, images)
    _compare(backbone.title, expected, found)
    if not torch.equal(backbone(images), logits):
        raise MethodError(f"the parts of {backbone.title} give other outputs than its forward, behind its last layer")
    _learn(backbone, ends)
    return backbone.train(training)


def _several(given: Any) -> tuple[Any, ...]:
    """What is given, one or several, as several."""
    return (given,) if isinstance(given, str) or callable(given) else tuple(given)


def _parts(given: Some) -> Parts:
    return _several(given)


def _check_names(network: nn.Module, named: Cut) -> None:
    """MethodError for a part that the network does not have, with the nearest that it has, or a piece without parts."""
    title, known = type(network).__name__, [name for name, _ in network.named_modules(remove_duplicate=False) if name]
    for place, parts in named.places():
        if not parts and place != "stem":
            raise MethodError(f"no parts of {title} are named for its {place}")
        for part in parts:
            if isinstance(part, str) and part not in known and part not in LAYERS:
                near = alike(part, known) or [name for name, _ in network.named_children()]
                raise MethodError(f"{title} has no part '{part}'; it has {', '.join(near)}")
    if not named.stages or not all(named.stages):
        raise MethodError(f"{title} needs at least one stage, and each of its stages a block")


def _noise(network: nn.Module, image_shape: tuple[int, int, int]) -> Tensor:
    """Two images, always the same, where the network is."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    return torch.randn(2, *image_shape, generator=torch.Generator().manual_seed(0)).to(device)


def _own(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Call]]:
    """Logits of the network's own forward, and the calls of its layers."""
    title = f"{type(network).__name__} on images {list(images.shape)}"
    with _Calls(network) as calls:
        try:
            logits = network(images)
        except Exception as error:
            raise MethodError(f"{title} fails: {_reason(error)}") from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise MethodError(f"{title} gives {shape}, expected logits [{len(images)}, classes]")
    return logits, calls


def _walked(backbone: SequenceBackbone, images: Tensor) -> tuple[list[Tensor], list[Call]]:
    """States behind every block, part by part, and the calls of layers."""
    x, ends = images, []
    with _Calls(backbone.network) as calls:
        for place, parts in backbone.cut.places():
            for part in parts:
                x = _stepped(backbone, part, x)
            if place != "head":
                _check_state(backbone, place, x, len(images))
            if place.startswith("block"):
                ends.append(x)
    return ends, calls


def _stepped(backbone: SequenceBackbone, part: Part, x: Tensor) -> Tensor:
    """What one part makes of a state; MethodError where it cannot take it, or writes into it."""
    name = f"part '{part if isinstance(part, str) else getattr(part, '__name__', part)}' of {backbone.title}"
    version = x._version
    try:
        y = backbone.through((part,), x)
    except MethodError:
        raise
    except Exception as error:
        raise MethodError(
            f"{name} cannot take {list(x.shape)}, as the parts before it give: {_reason(error)}"
        ) from error
    if x._version != version:
        raise MethodError(f"{name} writes into what it is given: states are kept, so it must not work in place")
    if not isinstance(y, Tensor):
        raise MethodError(f"{name} gives {type(y).__name__}, expected one tensor")
    return y


def _check_state(backbone: SequenceBackbone, place: str, x: Tensor, n: int) -> None:
    shape = f"{place} of {backbone.title} gives {list(x.shape)}"
    if len(x) != n or x.dim() not in (3, 4):
        raise MethodError(f"{shape}, expected maps [{n}, c, h, w] or tokens [{n}, l, c]")
    if (x.dim() == 3) != (backbone.tokens is not None):
        hint = "maps: leave out tokens, or make them in the stem"
        if x.dim() == 3:
            hint = "tokens: say tokens='class' if the first is a class token, or tokens='mean'"
        raise MethodError(f"{shape}, {hint}")


def _compare(title: str, expected: list[Call], found: list[Call]) -> None:
    """MethodError unless the same layers were called in the same order and gave the same."""
    wanted, ran = (Counter(name for name, _ in calls) for calls in (expected, found))
    if missing := wanted - ran:
        raise MethodError(f"the parts of {title} leave out {_listed(missing)}, which its forward calls")
    if foreign := ran - wanted:
        raise MethodError(f"the parts of {title} call {_listed(foreign)} more often than its forward does")
    for (name, own), (other, ours) in zip(expected, found, strict=True):
        if name != other:
            raise MethodError(f"the parts of {title} call '{other}' where its forward calls '{name}'")
        if own != ours:
            raise MethodError(f"the parts of {title} give other outputs than its forward from '{name}' on")


def _listed(names: Counter[str]) -> str:
    first = [f"'{name}'" for name in list(names)[:3]]
    return ", ".join(first) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _learn(backbone: SequenceBackbone, ends: list[Tensor]) -> None:
    """What states say: whether blocks end with their activation, and whether those of a stage are alike."""
    backbone.post_activation = all(bool((x >= 0).all()) for x in ends)
    stops = list(accumulate(backbone.stages))
    stages = [ends[stop - count : stop] for stop, count in zip(stops, backbone.stages, strict=True)]
    backbone.chains = all(states[0].shape == states[-1].shape for states in stages)


class _Calls(ExitStack):
    """Which layers of a network are called while this is entered, in order, and what they give.

    Modules that call others are no layers: a part may be one of those that they call.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.calls: list[Call] = []
        self._begun: list[int] = []  # how many calls there were when the modules that run now began

    def __enter__(self) -> list[Call]:  # type: ignore[override]
        super().__enter__()
        for name, module in self.network.named_modules():
            if name:
                self.enter_context(module.register_forward_pre_hook(self._begin))
                self.enter_context(module.register_forward_hook(partial(self._end, name)))
        return self.calls

    def _begin(self, *_: object) -> None:
        self._begun.append(len(self.calls))

    def _end(self, name: str, _module: nn.Module, _given: object, y: object) -> None:
        if self._begun.pop() == len(self.calls):
            self.calls.append((name, _content(y)))


def _content(y: Any) -> Any:
    """Stands for what a layer gave: equal for equal values only."""
    if isinstance(y, Tensor):
        return hash((y.shape, y.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()))
    return tuple(map(_content, y)) if isinstance(y, tuple | list) else None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
