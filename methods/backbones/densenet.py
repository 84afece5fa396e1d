"""DenseNets: Huang et al., Densely connected convolutional networks, CVPR 2017.

A block is one dense layer: it gives its input with its own maps concatenated, so that the state after it is
all there is, and SDPoint's points lie right behind the concatenation. The transition between two stages is
the first thing the next stage's first block does, as the stride is in a ResNet.
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from methods.backbones.adapting import adapt, run
from methods.backbones.base import Backbone, Head
from methods.backbones.cifar import conv1x1, conv3x3
from methods.backbones.initialisation import initialise
from methods.backbones.regularisation import Dropout, Source

if TYPE_CHECKING:
    from torchvision.models import DenseNet


class DenseLayer(nn.Module):
    """BN - ReLU - conv 1x1 to 4k channels - BN - ReLU - conv 3x3 to k channels, behind what came in."""

    def __init__(self, c_in: int, growth: int, dropout: float, source: Source) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(c_in)
        self.conv1 = conv1x1(c_in, 4 * growth)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = conv3x3(4 * growth, growth)
        self.dropout = Dropout(dropout, source)

    def forward(self, x: Tensor) -> Tensor:
        """State [n, c_in, h, w] to state [n, c_in + k, h, w]."""
        y = self.dropout(self.conv1(self.bn1(x).relu()))
        y = self.dropout(self.conv2(self.bn2(y).relu()))
        return torch.cat([x, y], 1)


class Transition(nn.Module):
    """BN - ReLU - conv 1x1 to half the channels - average pooling 2x2 (odd maps keep their border)."""

    def __init__(self, c_in: int, dropout: float, source: Source) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(c_in)
        self.conv = conv1x1(c_in, c_in // 2)
        self.dropout = Dropout(dropout, source)
        self.pool = nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """State [n, c, h, w] to state [n, c / 2, h / 2, w / 2]."""
        return cast(Tensor, self.pool(self.dropout(self.conv(self.bn(x).relu()))))


class CifarDenseNet(Backbone):
    """DenseNet-BC for small images (section 3): a 3x3 convolution to 2k channels, three stages of dense layers.

    Dropout follows every convolution but the first (section 4.2).
    """

    chains = False

    def __init__(self, layers: int, growth: int, classes: int, dropout: float) -> None:
        super().__init__((layers,) * 3, classes, post_activation=False)
        channels = 2 * growth
        self.stem = conv3x3(3, channels)
        self.blocks = nn.ModuleList()
        for index in range(3 * layers):
            before: tuple[nn.Module, ...] = ()
            if index and index % layers == 0:
                before = (Transition(channels, dropout, self.source),)
                channels //= 2
            self.blocks.append(nn.Sequential(*before, DenseLayer(channels, growth, dropout, self.source)))
            channels += growth
        self.classify = Head(nn.AdaptiveAvgPool2d(1), nn.Linear(channels, classes), nn.BatchNorm2d(channels))
        initialise(self)

    @property
    def head(self) -> nn.Module:
        """The head, with the last BN and ReLU."""
        return self.classify

    def block(self, index: int) -> nn.Module:
        """The dense layer of this number, from 1; a stage's first but the very first with its transition."""
        return self.blocks[index - 1]

    def _stem(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.stem(images))

    def _body(self, index: int, x: Tensor) -> Tensor:
        return cast(Tensor, self.block(index)(x))

    def _head(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.classify(x))


class TorchvisionDenseNet(Backbone):
    """torchvision's DenseNet, run layer by layer; parameters are its own, below `network.`."""

    chains = False

    def __init__(self, network: "DenseNet") -> None:
        features = network.features
        dense = [len(part) for name, part in features.named_children() if name.startswith("denseblock")]
        super().__init__(tuple(dense), network.classifier.out_features, post_activation=False)
        self.network = network
        adapt(network, self.source)
        self._places = [(stage, layer) for stage, count in enumerate(dense, 1) for layer in range(1, count + 1)]

    @property
    def stem_pool(self) -> nn.Module:
        """The 3x3 max pooling of stride 2."""
        return cast(nn.Module, self.network.features.pool0)

    @property
    def head(self) -> nn.Module:
        """A view of the last BN and the linear layer; its parameters are the network's."""
        return Head(nn.AdaptiveAvgPool2d(1), self.network.classifier, self.network.features.norm5)

    def block(self, index: int) -> nn.Module:
        """A view of the dense layer of this number (from 1), with the transition before it if there is one."""
        return _View(*self._parts(index))

    def _parts(self, index: int) -> tuple[nn.Module | None, nn.Module]:
        stage, layer = self._places[index - 1]
        features: Any = self.network.features
        transition = getattr(features, f"transition{stage - 1}") if stage > 1 and layer == 1 else None
        return transition, getattr(getattr(features, f"denseblock{stage}"), f"denselayer{layer}")

    def _stem(self, images: Tensor) -> Tensor:
        features = self.network.features
        return cast(Tensor, features.relu0(features.norm0(features.conv0(images))))

    def _body(self, index: int, x: Tensor) -> Tensor:
        return _grown(*self._parts(index), x)

    def _head(self, x: Tensor) -> Tensor:
        y: Tensor = self.network.features.norm5(x).relu()
        return cast(Tensor, self.network.classifier(nn.functional.adaptive_avg_pool2d(y, 1).flatten(1)))


class _View(nn.Module):
    """A torchvision dense layer as a module from state to state."""

    def __init__(self, transition: nn.Module | None, layer: nn.Module) -> None:
        super().__init__()
        self.transition = transition
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return _grown(self.transition, self.layer, x)


def _grown(transition: nn.Module | None, layer: nn.Module, x: Tensor) -> Tensor:
    if transition is not None:
        x = run(transition, x)
    return torch.cat([x, layer(x)], 1)


def cifar_densenet(depth: int, growth: int, classes: int, dropout: float) -> CifarDenseNet:
    """DenseNet-BC of `depth` = 6n + 4 layers whose dense layers give `growth` (k) channels each."""
    return CifarDenseNet((depth - 4) // 6, growth, classes, dropout)


def torchvision_densenet(name: str, classes: int) -> TorchvisionDenseNet:
    """The DenseNet torchvision calls `name`, with random weights and `classes` outputs."""
    from torchvision import models

    return TorchvisionDenseNet(models.get_model(name, weights=None, num_classes=classes))
