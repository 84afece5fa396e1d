"""States that are kept stay what they were: no layer and no forward of any family writes into them."""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import images

from methods.backbones import BUILDERS, build
from methods.backbones.adapting import adapt
from methods.backbones.regularisation import Source
from methods.graph import IMAGES, Answer, Graph, State

TINY = {
    "cifar-resnet": ("resnet8:width=2,dropout=0.1,stochastic_depth=0.9", 8),
    "cifar-preresnet": ("preresnet8:width=2,dropout=0.1,stochastic_depth=0.9", 8),
    "cifar-wrn": ("wrn-10-1:width=2", 8),
    "cifar-resnext": ("resnext11-2x4d", 8),
    "cifar-densenet": ("densenet-bc-10-2", 8),
    "resnet": ("resnet18", 32),
    "resnext": ("resnext50_32x4d", 32),
    "wide-resnet": ("wide_resnet50_2", 32),
    "densenet": ("densenet121", 32),
    "mobilenet": ("mobilenet_v2:width=0.1", 32),
    "googlenet": ("googlenet", 33),
    "alexnet": ("alexnet", 63),
}
"""A small network of every family, and a side of images for it."""
IN_PLACE = sorted(
    name for name, kind in vars(nn).items()
    if inspect.isclass(kind) and "inplace" in inspect.signature(kind.__init__).parameters
)  # fmt: skip
"""Every layer of torch's that can work in place."""


def filled(spec: str) -> Any:
    """A network with values that cost less than drawing initial ones."""
    with torch.device("meta"):
        network = build(spec, 10)
    network = network.to_empty(device="cpu")
    with torch.no_grad():
        for index, values in enumerate(network.state_dict().values()):
            pattern = torch.linspace(-0.2, 0.2, 61).roll(index)
            values.copy_(pattern.repeat(-(-values.numel() // 61))[: values.numel()].view(values.shape))
        for name, values in network.named_buffers():
            if name.endswith("running_var"):
                values.fill_(1)
    return network


def test_every_family_is_among_them() -> None:
    assert set(TINY) == set(BUILDERS)


@torch.no_grad()
@pytest.mark.parametrize("family", TINY)
def test_every_state_of_a_sweep_is_the_same_after_it(family: str) -> None:
    spec, side = TINY[family]
    network = filled(spec)
    work = network.work()
    graph = Graph([Answer(f"to{k}", work[:k]) for k in range(1, len(work) + 1)])
    kept: list[tuple[State, Tensor]] = []

    def run(node: Any, x: Any) -> Tensor:
        y: Tensor = network.step(node.step, x)
        kept.append((y, y.clone()))
        return y

    for training in (False, True):
        network.train(training)
        x = images(4, side)
        kept.append((x, x.clone()))
        for _ in graph.sweep(run, {IMAGES: x}):
            pass
    assert len(kept) == 2 * (1 + len(work))
    assert all(torch.equal(y, before) for y, before in kept if isinstance(y, Tensor))


def made(name: str) -> nn.Module:
    given: dict[str, tuple[Any, ...]] = {"Threshold": (0.1, -3.0)}
    layer: nn.Module = getattr(nn, name)(*given.get(name, ()), inplace=True)
    return layer


@pytest.mark.parametrize("name", IN_PLACE)
def test_no_layer_of_torchs_writes_into_what_it_is_given(name: str) -> None:
    assert {"ReLU6", "Hardswish", "SiLU", "Hardsigmoid", "ELU", "LeakyReLU", "Dropout2d"} <= set(IN_PLACE)
    network = nn.Sequential(nn.Identity(), made(name)).train()
    x = images(4, 6)[:, :, 0] if name == "Dropout1d" else images(4, 6)
    before, expected = x.clone(), made(name).eval()(x.clone())
    adapt(network, Source())
    network(x)
    assert torch.equal(x, before)
    assert torch.equal(network.eval()(x), expected)


class Swish(nn.Module):
    """A layer of a user's."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(x.sigmoid()) if self.inplace else x * x.sigmoid()


def test_nested_layers_and_those_of_users_are_reset_too() -> None:
    layers = [Swish(True), *(made(name) for name in IN_PLACE if name != "Dropout1d")]
    network = nn.Sequential(nn.Sequential(*layers), Swish(False))
    adapt(network, Source())
    assert not [module for module in network.modules() if getattr(module, "inplace", False)]
    x = images(2, 3)
    for layer in network[0]:  # type: ignore[union-attr]
        layer(x)
    assert torch.equal(x, images(2, 3))
