"""Residual networks for small images: three stages, each with half the side of the one before.

ResNet: He et al., Deep residual learning for image recognition, CVPR 2016, section 4.2, with projection
shortcuts (option B). PreResNet: He et al., Identity mappings in deep residual networks, ECCV 2016. WRN:
Zagoruyko and Komodakis, Wide residual networks, BMVC 2016: a PreResNet with wider stages.

Dropout lies between the two convolutions of a block (Zagoruyko and Komodakis, section 2.4); stochastic depth
ends its residual branch (Huang et al., ECCV 2016). Both are off unless asked for.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar, cast

from torch import Tensor, nn

from methods.backbones.base import Backbone, Head
from methods.backbones.initialisation import initialise
from methods.backbones.regularisation import Dropout, Source, StochasticDepth, survival

Channels = tuple[int, int, int, int]
"""Channels of the stem and of the three stages."""
Shape = tuple[int, int, int]
"""Channels in, channels out and stride of a block."""


class CifarBlock(nn.Module, ABC):
    """A residual branch and a shortcut; `body` ends with their addition."""

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

    def __init__(self, shape: Shape, source: Source, add: StochasticDepth, dropout: float) -> None:
        super().__init__()
        c_in, c_out, stride = shape
        self.conv1 = conv3x3(c_in, c_out, stride)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.dropout = Dropout(dropout, source)
        self.conv2 = conv3x3(c_out, c_out)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut = projection(shape)
        self.add = add

    def body(self, x: Tensor) -> Tensor:
        """State to sum, see CifarBlock."""
        return cast(Tensor, self.add(self.shortcut(x), lambda: self._branch(x)))

    def _branch(self, x: Tensor) -> Tensor:
        y = self.dropout(self.bn1(self.conv1(x)).relu())
        return cast(Tensor, self.bn2(self.conv2(y)))


class PreActivationBlock(CifarBlock):
    """BN - ReLU - conv - BN - ReLU - conv, addition. A projection starts from the first activation."""

    post_activation = False

    def __init__(self, shape: Shape, source: Source, add: StochasticDepth, dropout: float) -> None:
        super().__init__()
        c_in, c_out, stride = shape
        self.bn1 = nn.BatchNorm2d(c_in)
        self.conv1 = conv3x3(c_in, c_out, stride)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.dropout = Dropout(dropout, source)
        self.conv2 = conv3x3(c_out, c_out)
        self.shortcut = conv1x1(c_in, c_out, stride) if (c_in, 1) != (c_out, stride) else None
        self.add = add

    def body(self, x: Tensor) -> Tensor:
        """State to sum, see CifarBlock."""
        active = self.bn1(x).relu()
        shortcut = x if self.shortcut is None else self.shortcut(active)
        return cast(Tensor, self.add(shortcut, lambda: self._branch(active)))

    def _branch(self, active: Tensor) -> Tensor:
        y = self.dropout(self.bn2(self.conv1(active)).relu())
        return cast(Tensor, self.conv2(y))


class CifarNetwork(Backbone):
    """A stem of one 3x3 convolution, three stages of `repeats` blocks, average pooling, a linear layer.

    The BN and ReLU that the blocks leave open follow the stem (post-activation) or begin the head
    (pre-activation). `stochastic_depth` is the survival probability of the last branch, 1 for none;
    `details` are the block's own.
    """

    def __init__(
        self, block: type[CifarBlock], repeats: int, channels: Channels, classes: int, stochastic_depth: float,
        **details: float,
    ) -> None:  # fmt: skip
        super().__init__((repeats,) * 3, classes, block.post_activation)
        stem, *_, last = channels
        active = (nn.BatchNorm2d(stem), nn.ReLU()) if block.post_activation else ()
        self.stem = nn.Sequential(conv3x3(3, stem), *active)
        survivals = (survival(i, 3 * repeats, stochastic_depth) for i in range(1, 3 * repeats + 1))
        self.blocks = nn.ModuleList(
            block(shape, self.source, StochasticDepth(p, self.source), **details)
            for shape, p in zip(_block_shapes(repeats, channels), survivals, strict=True)
        )
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

    def _head(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.classify(x))


def resnet(depth: int, classes: int, width: int, dropout: float, stochastic_depth: float) -> CifarNetwork:
    """ResNet of `depth` = 6n + 2 layers with `width` channels in its first stage."""
    channels = (width, width, 2 * width, 4 * width)
    return CifarNetwork(BasicBlock, (depth - 2) // 6, channels, classes, stochastic_depth, dropout=dropout)


def preresnet(depth: int, classes: int, width: int, dropout: float, stochastic_depth: float) -> CifarNetwork:
    """PreResNet of `depth` = 6n + 2 layers with `width` channels in its first stage."""
    channels = (width, width, 2 * width, 4 * width)
    return CifarNetwork(PreActivationBlock, (depth - 2) // 6, channels, classes, stochastic_depth, dropout=dropout)


def wide_resnet(
    depth: int, factor: int, classes: int, width: int, dropout: float, stochastic_depth: float
) -> CifarNetwork:
    """WRN-depth-factor, depth = 6n + 4: `width` channels in the stem, `factor * width` in the first stage."""
    wide = factor * width
    channels = (width, wide, 2 * wide, 4 * wide)
    return CifarNetwork(PreActivationBlock, (depth - 4) // 6, channels, classes, stochastic_depth, dropout=dropout)


def conv3x3(c_in: int, c_out: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size at stride 1, without bias."""
    return nn.Conv2d(c_in, c_out, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(c_in: int, c_out: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(c_in, c_out, 1, stride, bias=False)


def projection(shape: Shape) -> nn.Module:
    """The shortcut of a post-activation block: a projection where the shape changes, else the identity."""
    c_in, c_out, stride = shape
    if (c_in, 1) == (c_out, stride):
        return nn.Identity()
    return nn.Sequential(conv1x1(c_in, c_out, stride), nn.BatchNorm2d(c_out))


def _block_shapes(repeats: int, channels: Channels) -> list[Shape]:
    """The shape of every block; each stage but the first begins with stride 2."""
    shapes: list[Shape] = []
    for stage, (before, after) in enumerate(pairwise(channels)):
        shapes.append((before, after, 2 if stage > 0 else 1))
        shapes.extend([(after, after, 1)] * (repeats - 1))
    return shapes
