"""torchvision's networks that are a sequence of layers: AlexNet, GoogLeNet and MobileNetV2.

The wrapped network is torchvision's own object: parameters, their names (below `network.`) and outputs are
its own. Where it is cut is data; a pooling between two stages belongs to the block behind it, as the stride
does in a ResNet.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from methods.backbones.adapting import adapt, run
from methods.backbones.base import Backbone

Layers = tuple[str, ...]
"""Names of layers of the network, in the order in which they are called; `~` ones are the adapter's."""


@dataclass(frozen=True)
class Cut:
    """The layers of each part of a network; `stages` hold those of every block."""

    stem: Layers
    pool: Layers
    stages: tuple[tuple[Layers, ...], ...]
    head: Layers
    activated: bool
    """Whether blocks end with their ReLU."""
    chains: bool
    """Whether blocks of a stage are equally wide."""


def _features(*numbers: int) -> Layers:
    return tuple(f"features.{number}" for number in numbers)


def _bottlenecks(*counts: int) -> tuple[tuple[Layers, ...], ...]:
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
        head=(*_features(12), "avgpool", "~flatten", "classifier"),
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
        head=("avgpool", "~flatten", "dropout", "fc"),
        activated=True,
        chains=False,
    ),
    # Sandler et al., CVPR 2018, table 2: seven sequences of blocks that end without activation.
    "mobilenet_v2": Cut(
        stem=_features(0),
        pool=(),
        stages=_bottlenecks(1, 2, 3, 4, 3, 3, 1),
        head=(*_features(18), "~average", "~flatten", "classifier"),
        activated=False,
        chains=True,
    ),
}


class SequenceBackbone(Backbone):
    """A torchvision network run part by part. Its activations stop working in place, and its dropout draws
    from the backbone's generator; nothing else of it changes."""

    splits = False

    def __init__(self, network: nn.Module, cut: Cut, classes: int) -> None:
        super().__init__(tuple(len(stage) for stage in cut.stages), classes, cut.activated)
        self.chains = cut.chains
        self.network = network
        adapt(network, self.source)
        self.average, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self._cut = cut
        self._blocks = [block for stage in cut.stages for block in stage]

    @property
    def stem_pool(self) -> nn.Module | None:
        """The max pooling of stride 2 behind the first convolution; MobileNetV2 has none."""
        return self._layer(self._cut.pool[0]) if self._cut.pool else None

    @property
    def head(self) -> nn.Module:
        """A view of the layers behind the last block; their parameters are the network's."""
        return nn.Sequential(*map(self._layer, self._cut.head))

    def block(self, index: int) -> nn.Module:
        """A view of the layers of the block of this number, from 1."""
        return nn.Sequential(*map(self._layer, self._blocks[index - 1]))

    def _layer(self, name: str) -> nn.Module:
        return self.get_submodule(name[1:] if name.startswith("~") else f"network.{name}")

    def _run(self, layers: Layers, x: Tensor) -> Tensor:
        for name in layers:
            x = run(self._layer(name), x)
        return x

    def _stem(self, images: Tensor) -> Tensor:
        return self._run(self._cut.stem, images)

    def _body(self, index: int, x: Tensor) -> Tensor:
        return self._run(self._blocks[index - 1], x)

    def _head(self, x: Tensor) -> Tensor:
        return self._run(self._cut.head, x)


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
