"""torchvision's DenseNet, MobileNetV2, GoogLeNet and AlexNet: run step by step, otherwise unchanged."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from methods.backbones import Backbone, build
from methods.backbones.densenet import TorchvisionDenseNet
from methods.backbones.regularisation import Dropout
from methods.backbones.sequence import CUTS, SequenceBackbone
from methods.cost import ptflops_macs
from methods.errors import MethodError

NAMES = ["mobilenet_v2", "densenet121", "googlenet", "alexnet"]
SIDES = {"alexnet": 63, "densenet121": 29, "googlenet": 15}  # torchvision's smallest inputs
OPTIONS: dict[str, dict[str, Any]] = {"googlenet": {"aux_logits": False, "init_weights": True}}


def images(side: int, n: int = 2) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def original(name: str) -> nn.Module:
    network: nn.Module = models.get_model(name, weights=None, num_classes=10, **OPTIONS.get(name, {}))
    return network


def adapted(name: str, network: nn.Module) -> Backbone:
    if isinstance(network, models.DenseNet):
        return TorchvisionDenseNet(network)
    return SequenceBackbone(network, CUTS[name], 10)


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Backbone, nn.Module, int]:
    """A backbone and torchvision's network with the same weights, both in evaluation mode, and a side for images."""
    side = SIDES.get(request.param, 31) + 2
    network: Any = original(request.param)
    if request.param == "alexnet":  # its 57 million weights would make slow tests
        network.classifier = nn.Sequential(nn.Dropout(), nn.Linear(256 * 6 * 6, 10))
    with torch.no_grad():
        network.train()(images(side, 4) * 3)  # batch norms are no longer the identity
    return adapted(request.param, copy.deepcopy(network)).eval(), network.eval(), side


Pair = tuple[Backbone, nn.Module, int]


@torch.no_grad()
def test_outputs_are_torchvisions_bit_for_bit(pair: Pair) -> None:
    backbone, network, side = pair
    for size in (side, side + 5):
        assert torch.equal(backbone(images(size)), network(images(size)))


@torch.no_grad()
def test_steps_leave_their_inputs_alone_and_blocks_and_head_are_views_of_them(pair: Pair) -> None:
    backbone, network, side = pair
    x, plain = images(side), network(images(side))
    for step in backbone.work():
        before = x.clone()
        y = backbone.step(step, x)
        assert torch.equal(x, before), step
        view = backbone.block(int(step[1])) if step[0] == "body" else backbone.head if step[0] == "head" else None
        assert view is None or torch.equal(view(x), y)
        x = y
    assert torch.equal(x, plain)


@pytest.mark.parametrize("name", ["mobilenet_v2", "densenet121", "googlenet"])
def test_parameters_are_torchvisions_under_one_prefix_and_with_its_initial_values(name: str) -> None:
    torch.manual_seed(0)
    theirs = original(name).state_dict()
    torch.manual_seed(0)
    ours = build(name, 10).state_dict()
    assert list(ours) == [f"network.{key}" for key in theirs]
    assert all(torch.equal(ours[f"network.{key}"], value) for key, value in theirs.items())


def test_training_gives_torchvisions_outputs_statistics_and_gradients(pair: Pair) -> None:
    backbone, network = copy.deepcopy(pair[0]).train(), copy.deepcopy(pair[1]).train()
    for module in [*backbone.modules(), *network.modules()]:
        if isinstance(module, Dropout | nn.Dropout):
            module.p = 0.0
    side = max(pair[2], 64)  # no normalising of single values
    ours, theirs = backbone(images(side)), network(images(side))
    assert torch.equal(ours, theirs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    for p, q in zip(backbone.parameters(), network.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-5)
    assert all(torch.equal(p, q) for p, q in zip(backbone.buffers(), network.buffers(), strict=True))


def test_dropout_of_the_network_draws_from_the_backbones_generator(pair: Pair) -> None:
    backbone, x = copy.deepcopy(pair[0]).train(), images(max(pair[2], 64))
    found = [m for m in backbone.modules() if isinstance(m, nn.Dropout | Dropout)]
    assert all(type(m) is Dropout for m in found)
    drawn = []
    for seed in (1, 1, 2):
        backbone.generator = torch.Generator().manual_seed(seed)
        drawn.append(backbone(x).detach())
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2]) == (not found)


@pytest.mark.parametrize("name", SIDES)
def test_images_that_are_too_small_are_refused_in_one_line(name: str) -> None:
    with torch.device("meta"):
        backbone = build(name, 10).eval()
        backbone(torch.empty(1, 3, SIDES[name], SIDES[name]))
        for side in (SIDES[name] - 1, 1):
            with pytest.raises(MethodError, match="image is too small"):
                backbone(torch.empty(1, 3, side, side))


def test_a_failure_that_is_not_about_size_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        build("mobilenet_v2:width=0.1", 10)(torch.zeros(1, 4, 32, 32))


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("mobilenet_v2", (1, 2, 3, 4, 3, 3, 1)),
        ("densenet121", (6, 12, 24, 16)),
        ("densenet169", (6, 12, 32, 32)),
        ("densenet201", (6, 12, 48, 32)),
        ("googlenet", (2, 2, 5, 2)),
        ("alexnet", (1, 3)),
    ],
)
def test_stages_are_those_of_the_papers_tables(name: str, stages: tuple[int, ...]) -> None:
    with torch.device("meta"):
        backbone = build(name, 10)
    assert backbone.stages == stages
    pool = () if name == "mobilenet_v2" else (("stem_pool",),)
    bodies = tuple(("body", index) for index in range(1, sum(stages) + 1))
    assert backbone.work() == (("stem",), *pool, *bodies, ("head",))


def test_every_dense_layer_adds_its_growth_and_transitions_open_the_next_stage() -> None:
    with torch.device("meta"):
        backbone, x = build("densenet121", 10).eval(), torch.empty(1, 3, 64, 64)
        shapes = []
        for step in backbone.work()[:-1]:
            x = backbone.step(step, x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes[2:8] == [(64 + 32 * k, 16, 16) for k in range(1, 7)]
    assert shapes[8] == (256 // 2 + 32, 8, 8)


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "alexnet"])
def test_networks_whose_blocks_differ_in_width_have_no_entry_blocks(name: str) -> None:
    with torch.device("meta"), pytest.raises(MethodError, match=f"blocks of {name} differ in width"):
        build(name, 10).entry_block(1)


@torch.no_grad()
def test_a_chain_of_mobilenets_entry_blocks_ends_in_what_the_head_takes() -> None:
    backbone = build("mobilenet_v2:width=0.25", 10).eval()
    x = backbone.step(("stem",), images(32))
    for stage in range(7):
        x = backbone.entry_block(stage).eval()(x)
    assert backbone.new_head().eval()(x).shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
def test_macs_at_224_are_those_of_a_second_counter_but_for_its_biases(name: str) -> None:
    with torch.device("meta"):
        backbone = build(name, 1000).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            assert backbone(torch.empty(1, 3, 224, 224)).shape == (1, 1000)
    macs, other = counter.get_total_flops() // 2, ptflops_macs(backbone, (3, 224, 224))
    convolutions = (64 * 55**2 + 192 * 27**2 + (384 + 256 + 256) * 13**2) if name == "alexnet" else 0
    linear = sum(m.out_features for m in backbone.modules() if isinstance(m, nn.Linear))
    assert other == macs + convolutions + linear


def test_macs_of_alexnet_at_224_are_those_counted_by_hand() -> None:
    convolutions = 64 * 3 * 11**2 * 55**2 + 192 * 64 * 5**2 * 27**2
    convolutions += (384 * 192 + 256 * 384 + 256 * 256) * 3**2 * 13**2
    linear = 256 * 6 * 6 * 4096 + 4096 * 4096 + 4096 * 1000
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build("alexnet", 1000).eval()(torch.empty(1, 3, 224, 224))
    assert counter.get_total_flops() // 2 == convolutions + linear == 714_188_480


# Published counts are for 1,000 classes: torchvision's documentation of each network.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v2", 3_504_872),
        ("densenet121", 7_978_856),
        ("densenet169", 14_149_480),
        ("densenet201", 20_013_928),
        ("googlenet", 6_624_904),
        ("alexnet", 61_100_840),
    ],
)
def test_parameters_are_the_published_ones(name: str, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in build(name, 1000).parameters()) == expected


def test_mobilenets_width_multiplies_its_channels() -> None:
    with torch.device("meta"):
        half = build("mobilenet_v2:width=0.5", 10)
        assert half.step(("body", 1), torch.empty(1, 16, 8, 8)).shape[1] == 8
        assert sum(p.numel() for p in build("mobilenet_v2:width=0.5", 1000).parameters()) == 1_968_680
