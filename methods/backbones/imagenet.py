"""torchvision's ResNet, ResNeXt and Wide ResNet seen as a stem, blocks and a head.

The wrapped network is torchvision's own object: parameters, their names (below `network.`) and outputs are
its own. Its blocks compute the addition and the last ReLU in one forward; `torch.fx` derives from that
forward the part before the ReLU.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx, nn

from methods.backbones.adapting import adapt
from methods.backbones.base import Backbone, Head

if TYPE_CHECKING:
    from torchvision.models import ResNet

Body = Callable[[nn.Module, Tensor], Tensor]
"""A block's forward up to and including the addition, as an unbound function of (block, state)."""


class TorchvisionBackbone(Backbone):
    """A torchvision ResNet, run step by step. Its ReLUs stop working in place; nothing else of it changes."""

    def __init__(self, network: "ResNet") -> None:
        stages = tuple(len(stage) for stage in _stages(network))
        super().__init__(stages, network.fc.out_features, post_activation=True)
        self.network = network
        adapt(network, self.source)
        self._places = [(stage, i) for stage, count in enumerate(stages) for i in range(count)]
        blocks = (block for stage in _stages(network) for block in stage)
        self._bodies = [_body_of(block.__class__, block.downsample is not None) for block in blocks]

    @property
    def stem_pool(self) -> nn.Module:
        """The 3x3 max pooling of stride 2."""
        return cast(nn.Module, self.network.maxpool)

    @property
    def head(self) -> nn.Module:
        """A view of the network's average pooling and linear layer; its parameters are the network's."""
        return Head(self.network.avgpool, self.network.fc)

    def block(self, index: int) -> nn.Module:
        """The block of this number, from 1."""
        stage, place = self._places[index - 1]
        return cast(nn.Module, _stages(self.network)[stage][place])

    def _stem(self, images: Tensor) -> Tensor:
        network = self.network
        return cast(Tensor, network.relu(network.bn1(network.conv1(images))))

    def _body(self, index: int, x: Tensor) -> Tensor:
        return self._bodies[index - 1](self.block(index), x)

    def _act(self, index: int, x: Tensor) -> Tensor:
        return cast(Tensor, self.block(index).get_submodule("relu")(x))

    def _head(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.network.fc(self.network.avgpool(x).flatten(1)))


def torchvision_network(name: str, classes: int) -> TorchvisionBackbone:
    """The network torchvision calls `name`, with random weights and `classes` outputs."""
    from torchvision import models  # here, as it imports slowly and most runs need none of it

    return TorchvisionBackbone(models.get_model(name, weights=None, num_classes=classes))


def _stages(network: "ResNet") -> tuple[Any, ...]:
    return (network.layer1, network.layer2, network.layer3, network.layer4)


class _OneLevel(fx.Tracer):
    """Traces a block's own forward and nothing below it: layers stay calls, whatever replaces them later."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


@cache
def _body_of(kind: type[Any], projects: bool) -> Body:
    """The forward of a kind of block, with or without projection, minus its last ReLU.

    Taken as a plain function and run on the original blocks, which it asks for their layers by name. So no
    parameter gets a second owner. Traced on a block without storage, which draws no random numbers.
    """
    with torch.device("meta"):
        block = kind(4, 4, downsample=nn.Identity() if projects else None)
    graph = _OneLevel().trace(block)
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    last = output.args[0]
    if not isinstance(last, fx.Node) or (last.op, last.target) != ("call_module", "relu"):
        raise RuntimeError(f"torchvision's {kind.__name__} no longer ends with its ReLU: it cannot be split")
    output.args = last.args
    graph.erase_node(last)
    return cast(Body, type(fx.GraphModule(block, graph)).forward)
