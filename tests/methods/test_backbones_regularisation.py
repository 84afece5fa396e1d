"""Dropout and stochastic depth: seen in training only, seeded, and never in the weights."""

import copy

import pytest
import torch
from torch import Tensor, nn

from methods.backbones import Backbone, build
from methods.backbones.regularisation import Dropout, Source, StochasticDepth, survival

DROPOUT = ["resnet8", "preresnet8", "wrn-10-1", "densenet-bc-10-4"]
DEPTH = ["resnet8", "preresnet8", "wrn-10-1", "resnext11-2x4d"]


def images(n: int = 2) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def twins(plain: str, regularised: str) -> tuple[Backbone, Backbone]:
    """Two backbones with the same weights, whose batch norms are not the identity."""
    first, second = build(plain, 10).train(), build(regularised, 10)
    with torch.no_grad():
        first(images(8) * 3)
    second.load_state_dict(first.state_dict())  # strict: the same names
    return first, second


def source(seed: int) -> Source:
    made = Source()
    made.generator = torch.Generator().manual_seed(seed)
    return made


# --- Dropout


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    x = torch.ones(100_000)
    y = Dropout(0.3, source(0)).train()(x)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert y.mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_dropout_is_the_identity_in_evaluation_and_at_zero(p: float, training: bool) -> None:
    x = torch.rand(5)
    assert Dropout(p, source(0)).train(training)(x) is x


@pytest.mark.parametrize("name", DROPOUT)
def test_in_evaluation_a_network_with_dropout_is_the_plain_one_bit_for_bit(name: str) -> None:
    plain, dropping = twins(name, f"{name}:dropout=0.3")
    with torch.no_grad():
        assert torch.equal(plain.eval()(images()), dropping.eval()(images()))
        assert not torch.equal(plain.train()(images()), dropping.train()(images()))


def test_dropout_lies_between_the_convolutions_behind_the_activation() -> None:
    block = build("wrn-10-1:dropout=0.5", 10).train().block(1)
    seen: dict[str, Tensor] = {}
    for name in ("dropout", "conv2"):
        block.get_submodule(name).register_forward_pre_hook(lambda m, x, name=name: seen.update({name: x[0]}))
    block(torch.rand(4, 16, 8, 8))
    assert seen["dropout"].min() == 0  # activated
    assert (seen["conv2"] == 0).sum() > (seen["dropout"] == 0).sum()
    kept = seen["conv2"] != 0
    torch.testing.assert_close(seen["conv2"][kept], 2 * seen["dropout"][kept])


def test_densenets_dropout_follows_every_convolution_but_the_first() -> None:
    backbone, runs = build("densenet-bc-10-4:dropout=0.2", 10).train(), list[int]()
    for module in backbone.modules():
        if isinstance(module, Dropout):
            module.register_forward_hook(lambda *_: runs.append(1))
    backbone(images())
    assert len(runs) == len([m for m in backbone.modules() if isinstance(m, nn.Conv2d)]) - 1


# --- Stochastic depth


def test_survival_decays_linearly_from_one_at_the_input_to_its_last_value() -> None:
    assert [survival(block, 4, 0.5) for block in range(5)] == [1, 0.875, 0.75, 0.625, 0.5]
    assert [survival(block, 3, 1.0) for block in (1, 2, 3)] == [1, 1, 1]


@pytest.mark.parametrize("name", DEPTH)
def test_blocks_survive_with_the_papers_probabilities(name: str) -> None:
    backbone = build(f"{name}:stochastic_depth=0.5", 10)
    found = [m.survival for m in backbone.modules() if isinstance(m, StochasticDepth)]
    assert found == pytest.approx([5 / 6, 4 / 6, 3 / 6])


def test_a_branch_survives_as_often_as_it_should_and_is_not_computed_otherwise() -> None:
    layer, ran = StochasticDepth(0.7, source(0)).train(), list[int]()
    ones = torch.ones(2)
    sums = [layer(ones, lambda: ran.append(1) or ones)[0].item() for _ in range(4000)]  # type: ignore[func-returns-value]
    assert len(ran) == sums.count(2.0) == 4000 - sums.count(1.0)
    assert len(ran) / 4000 == pytest.approx(0.7, abs=0.03)


def test_at_test_time_a_branch_is_multiplied_by_its_survival_probability() -> None:
    layer = StochasticDepth(0.25, source(0)).eval()
    assert torch.equal(layer(torch.ones(2), lambda: torch.full((2,), 8.0)), torch.full((2,), 3.0))


@pytest.mark.parametrize("name", DEPTH)
@pytest.mark.parametrize("training", [True, False])
def test_a_network_whose_blocks_all_survive_is_the_plain_one_bit_for_bit(name: str, training: bool) -> None:
    plain, surviving = twins(name, f"{name}:stochastic_depth=1")
    with torch.no_grad():
        assert torch.equal(plain.train(training)(images()), surviving.train(training)(images()))


@pytest.mark.parametrize("name", ["preresnet8:stochastic_depth=0", "resnet8:stochastic_depth=0"])
def test_the_last_block_is_its_shortcut_when_it_never_survives(name: str) -> None:
    backbone = build(name, 10).train()
    x = torch.rand(2, 32, 8, 8)
    shortcut = backbone.block(3).get_submodule("shortcut")
    taken = backbone.block(3).get_submodule("bn1")(x).relu() if name.startswith("pre") else x
    assert torch.equal(backbone.step(("body", 3), x), shortcut(taken))


def test_one_draw_decides_for_the_whole_mini_batch() -> None:
    backbone = build("preresnet14:width=4,stochastic_depth=0.5", 10).train()
    x = torch.rand(16, 16, 4, 4)  # block 6 maps 16 channels to 16, with an identity shortcut
    backbone.generator = torch.Generator().manual_seed(0)
    unchanged = [(backbone.step(("body", 6), x) == x).flatten(1).all(1) for _ in range(20)]
    assert {tuple(row.tolist()) for row in unchanged} == {(True,) * 16, (False,) * 16}


# --- Where draws come from


@pytest.mark.parametrize("spec", ["wrn-10-1:dropout=0.3", "resnet14:width=4,stochastic_depth=0.5"])
def test_the_backbones_generator_decides_and_the_global_one_is_left_alone(spec: str) -> None:
    backbone, x = build(spec, 10).train(), images()
    state, outputs = torch.get_rng_state(), []
    for seed in (1, 1, 2):
        backbone.generator = torch.Generator().manual_seed(seed)
        outputs.append(torch.stack([backbone(x) for _ in range(4)]))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_generator_the_global_one_is_drawn_from() -> None:
    backbone, x = build("wrn-10-1:dropout=0.3", 10).train(), images()
    assert backbone.generator is None
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(backbone(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_parts_made_from_a_backbone_draw_from_its_generator_and_copies_of_it_do_not() -> None:
    backbone = build("preresnet8:dropout=0.5", 10)
    block, twin = backbone.entry_block(0).train(), copy.deepcopy(backbone)
    x, generator = torch.rand(2, 16, 4, 4), torch.Generator()
    backbone.generator = generator
    outputs = []
    for _ in range(2):
        generator.manual_seed(7)
        outputs.append(block(x))
    assert torch.equal(*outputs)
    assert twin.generator is None
    assert {id(m.source) for m in twin.modules() if isinstance(m, Dropout)} == {id(twin.source)}


def test_regularisation_adds_nothing_to_the_weights() -> None:
    for name, options in [("resnet8", "dropout=0.1,stochastic_depth=0.5"), ("densenet-bc-10-4", "dropout=0.2")]:
        assert list(build(name, 10).state_dict()) == list(build(f"{name}:{options}", 10).state_dict())


def test_weights_do_not_depend_on_regularisation() -> None:
    states = []
    for spec in ("wrn-10-1", "wrn-10-1:dropout=0.3,stochastic_depth=0.5"):
        torch.manual_seed(0)
        states.append(build(spec, 10).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
