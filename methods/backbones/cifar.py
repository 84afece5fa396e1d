"""Residual networks for small images: three stages, each with half the side of the one before.

ResNet: He et al., Deep residual learning for image recognition, CVPR 2016, section 4.2, with projection
shortcuts (option B). PreResNet: He et al., Identity mappings in deep residual networks, ECCV 2016. WRN:
Zagoruyko and Komodakis, Wide residual networks, BMVC 2016, without dropout: a PreResNet with wider stages.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar, cast

from torch import Tensor, nn

from methods.backbones.base import Backbone, Head
from methods.backbones.initialisation import initialise

Channels = tuple[int, int, int, int]
"""Channels of the stem and of the three stages."""


class CifarBlock(nn.Module, ABC):
    """Two 3x3 convolutions and a shortcut; `body` ends with their addition."""

    post_activation: ClassVar[bool]

    @abstractmethod
    def body(self, x: Tensor) -> Tensor:
        """State [n, c_in, h, w] to the sum [n, c_out, h / stride, w / stride]."""

    def forward(self, x: Tensor) -> Tensor:
        """State [n, c_in, h, w] to state [n, c_out, h / stride, w / stride]."""
        y = self.body(x)
        return y.relu() if self.post_activation else y


class BasicBlock(CifarBlock):
    """conv - BN - ReLU - conv - BN, addition, ReLU."""

    post_activation = True

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(c_in, c_out, stride)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = _conv3x3(c_out, c_out)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut: nn.Module = nn.Identity()
        if (c_in, 1) != (c_out, stride):
            self.shortcut = nn.Sequential(_conv1x1(c_in, c_out, stride), nn.BatchNorm2d(c_out))

    def body(self, x: Tensor) -> Tensor:
        """State to sum, see CifarBlock."""
        y = self.bn1(self.conv1(x)).relu()
        total: Tensor = self.bn2(self.conv2(y)) + self.shortcut(x)
        return total


class PreActivationBlock(CifarBlock):
    """BN - ReLU - conv - BN - ReLU - conv, addition. A projection starts from the first activation."""

    post_activation = False

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(c_in)
        self.conv1 = _conv3x3(c_in, c_out, stride)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.conv2 = _conv3x3(c_out, c_out)
        self.shortcut = _conv1x1(c_in, c_out, stride) if (c_in, 1) != (c_out, stride) else None

    def body(self, x: Tensor) -> Tensor:
        """State to sum, see CifarBlock."""
        active = self.bn1(x).relu()
        y = self.conv2(self.bn2(self.conv1(active)).relu())
        total: Tensor = y + (x if self.shortcut is None else self.shortcut(active))
        return total


class CifarNetwork(Backbone):
    """A stem of one 3x3 convolution, three stages of `repeats` blocks, average pooling, a linear layer.

    The BN and ReLU that the blocks leave open follow the stem (post-activation) or begin the head
    (pre-activation).
    """

    def __init__(self, block: type[CifarBlock], repeats: int, channels: Channels, classes: int) -> None:
        super().__init__((repeats,) * 3, classes, block.post_activation)
        stem, *_, last = channels
        active = (nn.BatchNorm2d(stem), nn.ReLU()) if block.post_activation else ()
        self.stem = nn.Sequential(_conv3x3(3, stem), *active)
        self.blocks = nn.ModuleList(block(*shape) for shape in _block_shapes(repeats, channels))
        norm = None if block.post_activation else nn.BatchNorm2d(last)
        self.classify = Head(nn.AdaptiveAvgPool2d(1), nn.Linear(last, classes), norm)
        initialise(self)

    @property
    def head(self) -> nn.Module:
        """The head; for pre-activation networks with the last BN and ReLU."""
        return self.classify

    def block(self, index: int) -> CifarBlock:
        """The block of this number, from 1."""
        return cast(CifarBlock, self.blocks[index - 1])

    def _stem(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.stem(images))

    def _body(self, index: int, x: Tensor) -> Tensor:
        return self.block(index).body(x)

    def _act(self, index: int, x: Tensor) -> Tensor:
        return x.relu()

    def _head(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.classify(x))


def resnet(depth: int, classes: int, width: int) -> CifarNetwork:
    """ResNet of `depth` = 6n + 2 layers with `width` channels in its first stage."""
    return CifarNetwork(BasicBlock, (depth - 2) // 6, (width, width, 2 * width, 4 * width), classes)


def preresnet(depth: int, classes: int, width: int) -> CifarNetwork:
    """PreResNet of `depth` = 6n + 2 layers with `width` channels in its first stage."""
    return CifarNetwork(PreActivationBlock, (depth - 2) // 6, (width, width, 2 * width, 4 * width), classes)


def wide_resnet(depth: int, factor: int, classes: int, width: int) -> CifarNetwork:
    """WRN-depth-factor, depth = 6n + 4: `width` channels in the stem, `factor * width` in the first stage."""
    wide = factor * width
    return CifarNetwork(PreActivationBlock, (depth - 4) // 6, (width, wide, 2 * wide, 4 * wide), classes)


def _block_shapes(repeats: int, channels: Channels) -> list[tuple[int, int, int]]:
    """Channels in, channels out and stride of every block; each stage but the first begins with stride 2."""
    shapes: list[tuple[int, int, int]] = []
    for stage, (before, after) in enumerate(pairwise(channels)):
        shapes.append((before, after, 2 if stage > 0 else 1))
        shapes.extend([(after, after, 1)] * (repeats - 1))
    return shapes


def _conv3x3(c_in: int, c_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)


def _conv1x1(c_in: int, c_out: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 1, stride, bias=False)
