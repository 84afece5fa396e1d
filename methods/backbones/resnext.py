"""ResNeXt for small images: Xie et al., Aggregated residual transformations, CVPR 2017, section 5.3.

ResNeXt-29, 8x64d: three stages of three bottleneck blocks with 256, 512 and 1,024 channels, whose grouped
convolutions have 8 groups of 64 channels in the first stage, twice and four times as many channels then.
"""

from typing import cast

from torch import Tensor, nn

from methods.backbones.cifar import CifarBlock, CifarNetwork, Shape, conv1x1, conv3x3, projection
from methods.backbones.regularisation import Source, StochasticDepth

CHANNELS = (64, 256, 512, 1024)


class ResNeXtBlock(CifarBlock):
    """conv 1x1 - BN - ReLU - grouped conv 3x3 - BN - ReLU - conv 1x1 - BN, addition, ReLU (figure 3c)."""

    post_activation = True

    def __init__(self, shape: Shape, source: Source, add: StochasticDepth, cardinality: int, width: int) -> None:
        super().__init__()
        c_in, c_out, stride = shape
        inner = cardinality * width * c_out // CHANNELS[1]
        self.conv1 = conv1x1(c_in, inner)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv3x3(inner, inner, stride, groups=cardinality)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv1x1(inner, c_out)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.shortcut = projection(shape)
        self.add = add

    def body(self, x: Tensor) -> Tensor:
        """State to sum, see CifarBlock."""
        return cast(Tensor, self.add(self.shortcut(x), lambda: self._branch(x)))

    def _branch(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return cast(Tensor, self.bn3(self.conv3(y)))


def resnext(depth: int, cardinality: int, width: int, classes: int, stochastic_depth: float) -> CifarNetwork:
    """ResNeXt of `depth` = 9n + 2 layers, `cardinality` groups of `width` channels in its first stage."""
    repeats, groups = (depth - 2) // 9, {"cardinality": cardinality, "width": width}
    return CifarNetwork(ResNeXtBlock, repeats, CHANNELS, classes, stochastic_depth, **groups)
