"""One answer of a model as a plain network, for compilers: its steps in a row, nothing else.

Every batch norm becomes an ordinary one with what its variant has on this path; a BatchNorm2d is folded into the
convolution before it where there is one. Which convolution that is, is seen by executing the path, not by names.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.backends.errors import Unsupported
from methods.base import AdjustableModel
from methods.batchnorm import PrivateBatchNorm, VariantBatchNorm
from methods.graph import IMAGES, Node, State, single
from methods.metering import VariesError, fixed
from methods.routers import Constant, OperatingPoint


class Path(nn.Module):
    """The steps of one answer: images float32 [n, c, h, w] to logits float32 [n, classes], computed in `dtype`."""

    def __init__(self, model: AdjustableModel, answer: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model.to(dtype)
        self.answer = answer
        nodes = [model.graph.nodes[index] for index in model.graph.paths[answer]]
        place = {IMAGES: 0} | {node.index: place for place, node in enumerate(nodes, start=1)}
        self.work = tuple((node.step, tuple(place[index] for index in node.inputs)) for node in nodes)
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        states: list[State] = [images.to(self.dtype)]
        for step, inputs in self.work:
            x = states[inputs[0]] if len(inputs) == 1 else tuple([states[place] for place in inputs])
            states.append(self.model.step(step, x))
        return single(states[-1], "the answer").float()


@torch.no_grad()
def freeze(model: AdjustableModel, point: OperatingPoint, dtype: torch.dtype, images: Tensor) -> Path:
    """A static point of `model`, from a copy; images [n, c, h, w] are what it is watched on.

    Raises Unsupported for per-sample points, where work depends on the image, and where a batch norm is two variants on
    the way.
    """
    if not isinstance(point.router, Constant):
        raise Unsupported("per-sample points run in eager only: their routing is no part of one static network")
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    seen = _watch(copied, point.router.answer, images[:1])
    plain = {norm: _plain(norm, calls) for norm, calls in seen.norms.items()}
    for norm, settled in plain.items():
        convolution = seen.before(norm)
        if convolution is not None and type(settled) is nn.BatchNorm2d:
            _fold(settled, convolution)
            plain[norm] = nn.Identity()
    _replace(copied, plain)
    return Path(copied, point.router.answer, dtype).eval()


@dataclass
class _Seen:
    """What ran: outputs of convolutions, calls of batch norms as (variant, input), and every tensor that was read.

    All tensors are kept, so that identities stay theirs.
    """

    convolutions: list[tuple[nn.Conv2d, Tensor]] = field(default_factory=list)
    norms: dict[nn.Module, list[tuple[str, Tensor]]] = field(default_factory=dict)
    read: list[Tensor] = field(default_factory=list)

    def before(self, norm: nn.Module) -> nn.Conv2d | None:
        """The convolution whose every output went into `norm` and nowhere else, if there is one."""
        inputs = {id(x) for _, x in self.norms[norm]}
        sources = {convolution for convolution, y in self.convolutions if id(y) in inputs}
        outputs = [id(y) for convolution, y in self.convolutions if convolution in sources]
        reads = Counter(map(id, self.read))
        alone = len(sources) == 1 and inputs == set(outputs) and all(reads[y] == 1 for y in outputs)
        return sources.pop() if alone else None


class _Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the tensors that operators read."""

    def __init__(self, read: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.read = read

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        self.read += [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        return func(*args, **(kwargs or {}))


def _watch(model: AdjustableModel, answer: int, images: Tensor) -> _Seen:
    """Execute an answer's nodes one after the other on images [n, c, h, w]."""
    seen, owner = _Seen(), ""

    def convolved(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        seen.convolutions.append((module, output))

    def normalised(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.norms.setdefault(module, []).append((owner, args[0]))

    private = [module for module in model.modules() if isinstance(module, PrivateBatchNorm)]
    within = {norm for module in private for norm in module.norms.values()}
    hooks = []
    for module in model.modules():
        if type(module) is nn.Conv2d:  # a subclass may do something else with its weight
            hooks.append(module.register_forward_hook(convolved))
        elif _is_norm(module) and module not in within:
            hooks.append(module.register_forward_pre_hook(normalised))

    def run(node: Node, x: State) -> State:
        nonlocal owner
        owner = node.owner
        with fixed(node.label):
            return model.run_node(node, x)

    try:
        with _Reads(seen.read):
            for _ in model.graph.sweep(run, {IMAGES: images}, model.graph.plan((answer,))):
                pass
    except VariesError as error:
        raise Unsupported(f"what depends on the image runs in eager only: {error}") from None
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _is_norm(module: nn.Module) -> bool:
    """Whether this is a batch norm with fixed statistics, of which we know what it computes."""
    if type(module) is nn.BatchNorm2d:
        return module.track_running_stats
    return isinstance(module, PrivateBatchNorm | VariantBatchNorm)


def _plain(norm: nn.Module, calls: list[tuple[str, Tensor]]) -> nn.Module:
    """An ordinary batch norm of the same kind that computes what `norm` did in these calls."""
    variant, *others = sorted({variant for variant, _ in calls})
    if not isinstance(norm, PrivateBatchNorm | VariantBatchNorm):
        return norm
    if others:
        raise Unsupported(f"one batch norm has the statistics of {variant} and of {others[0]} on the same path")
    return _plain(norm.norms[variant], calls) if isinstance(norm, PrivateBatchNorm) else norm.settled(variant)


def _fold(norm: nn.BatchNorm2d, convolution: nn.Conv2d) -> None:
    """Make `convolution` compute what it and the batch norm behind it compute."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )


def _replace(root: nn.Module, others: dict[nn.Module, nn.Module]) -> None:
    """Put other modules in the place of some, wherever below `root` they stand."""
    for name, module in list(root.named_modules(remove_duplicate=False)):
        if module in others:
            parent, _, leaf = name.rpartition(".")
            setattr(root.get_submodule(parent), leaf, others[module])
