"""Networks that are a sequence of parts: torchvision's AlexNet, GoogLeNet and MobileNetV2, and any other cut up so.

The wrapped network is its author's own object: parameters, their names (below `network.`) and outputs are
its own. Where it is cut is data; a pooling between two stages belongs to the block behind it, as the stride
does in a ResNet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor, nn

from methods.backbones.adapting import adapt, run
from methods.backbones.base import Backbone, Pooling, Tokens
from methods.errors import MethodError

Part: TypeAlias = str | Callable[[nn.Module, Tensor], Tensor]
"""The name of a layer of the network, `average`, `flatten`, `pooled`, or a function of the network and a state.

The three stand for what forwards do without a layer, unless the network has a layer of that name: maps to their means
[n, c, 1, 1], anything to [n, m], and what `Backbone.pooled` does. A function uses layers and parameters of the network
that it is given, which may be a copy.
"""
Parts = tuple[Part, ...]
"""Parts in the order in which the network's forward goes through them."""


LAYERS = ("average", "flatten", "pooled")
"""Parts that are no layers of a network."""


@dataclass(frozen=True)
class Cut:
    """Where a network is cut; `stages` hold the parts of every block."""

    stem: Parts
    pool: Parts
    stages: tuple[tuple[Parts, ...], ...]
    head: Parts
    activated: bool
    """Whether blocks end with their ReLU."""
    chains: bool
    """Whether blocks of a stage are equally wide."""
    tokens: Tokens | None = None
    """What stands for an image where states are tokens; None where they are maps."""

    def places(self) -> Iterator[tuple[str, Parts]]:
        """The pieces by what they are, `block 3`, in order; the pooling only where there is one."""
        yield "stem", self.stem
        if self.pool:
            yield "pool", self.pool
        for index, parts in enumerate((block for stage in self.stages for block in stage), start=1):
            yield f"block {index}", parts
        yield "head", self.head


def _features(*numbers: int) -> Parts:
    return tuple(f"features.{number}" for number in numbers)


def _bottlenecks(*counts: int) -> tuple[tuple[Parts, ...], ...]:
    """Stages of MobileNetV2's blocks, features.1 and following."""
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    return tuple(
        tuple(_features(k) for k in range(end - count + 1, end + 1)) for count, end in zip(counts, ends, strict=True)
    )


CUTS: dict[str, Cut] = {
    # One weird trick (Krizhevsky, 2014): five convolutions, each with its ReLU; the first is the stem.
    "alexnet": Cut(
        stem=_features(0, 1),
        pool=_features(2),
        stages=((_features(3, 4),), (_features(5, 6, 7), _features(8, 9), _features(10, 11))),
        head=(*_features(12), "avgpool", "flatten", "classifier"),
        activated=True,
        chains=False,
    ),
    # Szegedy et al., CVPR 2015, table 1: two convolutions, then inceptions 3a to 5b.
    "googlenet": Cut(
        stem=("conv1",),
        pool=("maxpool1",),
        stages=(
            (("conv2",), ("conv3",)),
            (("maxpool2", "inception3a"), ("inception3b",)),
            (("maxpool3", "inception4a"), *((f"inception4{letter}",) for letter in "bcde")),
            (("maxpool4", "inception5a"), ("inception5b",)),
        ),
        head=("avgpool", "flatten", "dropout", "fc"),
        activated=True,
        chains=False,
    ),
    # Sandler et al., CVPR 2018, table 2: seven sequences of blocks that end without activation.
    "mobilenet_v2": Cut(
        stem=_features(0),
        pool=(),
        stages=_bottlenecks(1, 2, 3, 4, 3, 3, 1),
        head=(*_features(18), "average", "flatten", "classifier"),
        activated=False,
        chains=True,
    ),
}


class SequenceBackbone(Backbone):
    """A network run part by part. Its layers stop working in place, and its dropout draws from the backbone's
    generator; nothing else of it changes."""

    splits = False

    def __init__(self, network: nn.Module, cut: Cut, classes: int) -> None:
        super().__init__(tuple(len(stage) for stage in cut.stages), classes, cut.activated)
        self.chains, self.tokens = cut.chains, cut.tokens
        self.network = network
        adapt(network, self.source)
        layers = nn.AdaptiveAvgPool2d(1), nn.Flatten(), Pooling(cut.tokens)
        self.layers = nn.ModuleDict(dict(zip(LAYERS, layers, strict=True)))
        self._own = {name for name in LAYERS if not isinstance(getattr(network, name, None), nn.Module)}
        self.cut = cut
        self._blocks = [block for stage in cut.stages for block in stage]

    @property
    def title(self) -> str:
        return self.spec or type(self.network).__name__

    @property
    def stem_pool(self) -> nn.Module | None:
        """The max pooling of stride 2 behind the first convolution; None where the cut names none."""
        return self._layer(self.cut.pool[0]) if self.cut.pool else None

    @property
    def head(self) -> nn.Module:
        """A view of the parts behind the last block; their parameters are the network's."""
        return nn.Sequential(*map(self._layer, self.cut.head))

    def block(self, index: int) -> nn.Module:
        """A view of the parts of the block of this number, from 1."""
        return nn.Sequential(*map(self._layer, self._blocks[index - 1]))

    def _layer(self, part: Part) -> nn.Module:
        if not isinstance(part, str):
            return _Called(part, self.network)
        return self.layers[part] if part in self._own else self.network.get_submodule(part)

    def through(self, parts: Parts, x: Tensor) -> Tensor:
        """A state through some parts, one after the other."""
        for part in parts:
            x = run(self._layer(part), x) if isinstance(part, str) else part(self.network, x)
        return x

    def _stem(self, images: Tensor) -> Tensor:
        return self.through(self.cut.stem, images)

    def _body(self, index: int, x: Tensor) -> Tensor:
        return self.through(self._blocks[index - 1], x)

    def _head(self, x: Tensor) -> Tensor:
        return self.through(self.cut.head, x)

    def _fresh(self, module: nn.Module) -> nn.Module:
        if any(isinstance(layer, _Called) for layer in module.modules()):
            raise MethodError(
                f"{self.title} calls a function there, of which there is no fresh copy: use another kind of head"
            )
        return super()._fresh(module)


class _Called(nn.Module):
    """A function of a network as a layer; the network is not a part of it, nor are its parameters."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor], network: nn.Module) -> None:
        super().__init__()
        self._call = partial(function, network)

    def forward(self, x: Tensor) -> Tensor:
        return self._call(x)


def alexnet(classes: int) -> SequenceBackbone:
    """torchvision's AlexNet, random weights; for images of at least 63 x 63 pixels."""
    return _adapted("alexnet", classes)


def googlenet(classes: int) -> SequenceBackbone:
    """torchvision's GoogLeNet, random weights, without its auxiliary classifiers and input transformation."""
    return _adapted("googlenet", classes, aux_logits=False, transform_input=False, init_weights=True)


def mobilenet_v2(classes: int, width: float) -> SequenceBackbone:
    """torchvision's MobileNetV2, random weights; `width` multiplies the channels of every layer."""
    return _adapted("mobilenet_v2", classes, width_mult=width)


def _adapted(name: str, classes: int, **options: Any) -> SequenceBackbone:
    from torchvision import models  # here, as it imports slowly and most runs need none of it

    network = models.get_model(name, weights=None, num_classes=classes, **options)
    return SequenceBackbone(network, CUTS[name], classes)
