"""Exits on a frozen trunk: where they lie, what they cost, and that nothing but the classifiers learns."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import alone, cascade_costs, images, lively, make, ran, same, snapshot, synthetic, table_of

from methods.adaptiveexit import AdaptiveExit
from methods.base import Network
from methods.errors import MethodError
from methods.heads import Head
from methods.registry import parse_settings
from methods.routers import Constant, Learned
from methods.routing import simulate, trail_macs

SMALL = (3, 16, 16)
TINY = "resnet8:width=4"
EXIT_LINEAR = {1: 4 * 10, 2: 8 * 10}  # channels behind the first two blocks of TINY, into ten classes


def adaptive(backbone: str = TINY, **given: str) -> AdaptiveExit:
    return cast(AdaptiveExit, make("adaptiveexit", backbone, SMALL, **given))


def ready(backbone: str = TINY, **given: str) -> AdaptiveExit:
    model = adaptive(backbone, **given)
    lively(model)
    model.collect_statistics([images(64, 16, seed=1)])
    return model


# Exits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backbone", "positions"),
    [
        (TINY, (1, 2)),
        ("resnet20:width=2", tuple(range(1, 9))),
        ("resnet32:width=2", (1, 3, 5, 7, 8, 10, 12, 14)),  # 15 blocks, eight exits evenly from 1 to 14
    ],
)
def test_exits_lie_behind_every_block_but_the_last_or_eight_evenly(backbone: str, positions: tuple[int, ...]) -> None:
    model = adaptive(backbone)
    assert len(model.positions) == len(positions)
    assert (model.positions[0], model.positions[-1]) == (positions[0], positions[-1])
    assert np.abs(np.array(model.positions) - positions).max() <= 1
    assert model.graph.names == tuple(f"exit{k}" for k in range(1, len(positions) + 2))


def test_positions_may_be_chosen_the_stem_included() -> None:
    model = adaptive(positions="0,2")
    assert model.positions == (0, 2)
    assert model.answers()[0].work == (("stem",), ("exit", 1))


@pytest.mark.parametrize("positions", ["3", "2,1", "1,1", "-1", "0,7", "", "a"])
def test_positions_that_make_no_sense_are_refused_in_one_line(positions: str) -> None:
    with pytest.raises(MethodError) as refused:
        adaptive(positions=positions)
    assert "\n" not in str(refused.value)


def test_an_exit_is_pooling_and_a_linear_layer() -> None:
    for head, channels in zip(adaptive().heads, (4, 8), strict=True):
        assert isinstance(head, Head)
        assert [type(layer) for layer in head] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
        assert cast(nn.Linear, head[2]).in_features == channels
    before = [type(layer) for layer in cast(Head, adaptive("preresnet8:width=4").heads[0])]
    assert before[:2] == [nn.BatchNorm2d, nn.ReLU]  # maps that were not activated yet


# Costs --------------------------------------------------------------------------------------------


def test_an_exit_costs_the_trunk_up_to_its_block_and_its_classifier() -> None:
    model, plain = adaptive(), make("plain", TINY, SMALL)
    costs, trunk = model.costs(), plain.costs()
    steps = {node.step: int(macs) for node, macs in zip(plain.graph.nodes, trunk.macs, strict=True)}
    so_far = steps["stem",]
    for k in (1, 2):
        so_far += steps["body", k] + steps["act", k]
        assert costs.outputs()[k - 1] == so_far + EXIT_LINEAR[k]
    assert costs.outputs()[-1] == trunk.outputs()[-1]


def test_through_the_cascade_every_classifier_on_the_way_is_paid_and_every_decision() -> None:
    model = ready()
    table = table_of(model, images(64, 16, seed=2), 64)
    learned = [p for p in model.operating_points(table, 20) if isinstance(p.router, Learned)]
    assert learned
    alone_macs = table.costs.outputs()
    through = [alone_macs[0], alone_macs[1] + EXIT_LINEAR[1], alone_macs[2] + EXIT_LINEAR[1] + EXIT_LINEAR[2]]
    for point in learned:
        routing = simulate(table, point.router)
        decisions = np.array([3, 6, 6])  # three features each
        assert (trail_macs(table, routing) == np.array(through)[routing.answer] + decisions[routing.answer]).all()


def test_training_runs_the_trunk_forward_and_the_classifiers_three_times() -> None:
    model = adaptive()
    costs = model.costs()
    trunk = costs.outputs()[1] - EXIT_LINEAR[2]  # up to the last exit, not to the end
    assert model.training_macs(costs) == trunk + 3 * (EXIT_LINEAR[1] + EXIT_LINEAR[2])


def test_whoever_leaves_runs_nothing_behind() -> None:
    model = ready()
    for k in range(3):
        found = ran(model, Constant(answer=k), images(5, 16))
        blocks = [found[f"backbone.blocks.{b}.conv1"] for b in range(3)]
        assert blocks == [[5] if b <= k else [] for b in range(3)]


# The trunk ----------------------------------------------------------------------------------------


def test_the_trunk_is_this_runs_plain_network() -> None:
    assert adaptive("resnet8:width=04").initial_weights() == {"backbone": Network(TINY)}


@pytest.mark.parametrize("backbone", [TINY, "preresnet8:width=4"])
@torch.no_grad()
def test_the_full_answer_is_the_plain_networks_bit_for_bit(backbone: str) -> None:
    plain, model = make("plain", backbone, SMALL, seed=5), adaptive(backbone)
    lively(plain)
    model.backbone.load_state_dict(plain.backbone.state_dict())
    x = images(16, 16, seed=2)
    for network in (plain, model):
        network.collect_statistics([images(64, 16, seed=1)])
    assert torch.equal(model.trace(x)["exit3"], alone(plain, "full", x))


def frozen(model: AdaptiveExit) -> AdaptiveExit:
    """As the training loop prepares it for its only stage."""
    (stage,) = model.stages()
    model.train()
    model.requires_grad_(True)
    for module in stage.frozen:
        module.eval().requires_grad_(False)
    return model


@pytest.mark.parametrize("backbone", [TINY, "preresnet8:width=4", "resnet8:width=4,dropout=0.5"])
def test_a_step_of_training_changes_the_classifiers_and_neither_weight_nor_buffer_of_the_trunk(backbone: str) -> None:
    model = frozen(adaptive(backbone))
    (stage,) = model.stages()
    trunk, heads = snapshot(model.backbone), snapshot(model.heads)
    optimizer = torch.optim.SGD([p for group in stage.groups for p in group.parameters], lr=0.1, weight_decay=0.1)
    for seed in range(3):
        loss = stage.loss(images(8, 16, seed=seed), torch.arange(8), torch.Generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert same(snapshot(model.backbone), trunk)
    changed = {name for name, value in snapshot(model.heads).items() if not torch.equal(value, heads[name])}
    assert changed == set(heads)


def test_only_classifiers_are_learned_for_a_third_of_the_epochs() -> None:
    model = adaptive()
    (stage,) = model.stages()
    assert {p for group in stage.groups for p in group.parameters} == set(model.heads.parameters())
    assert stage.share == pytest.approx(1 / 3)
    assert stage.frozen == (model.backbone,)


def test_the_loss_is_the_sum_of_the_exits_and_leaves_out_the_plain_network() -> None:
    model, x, labels = ready(), images(8, 16), torch.arange(8)
    said = model.trace(x)
    expected = F.cross_entropy(said["exit1"], labels) + F.cross_entropy(said["exit2"], labels)
    torch.testing.assert_close(model.loss(x, labels, torch.Generator()), expected)


def test_each_classifier_learns_from_its_own_loss_alone() -> None:
    """Perturbing one changes no other's gradient: they share no parameters."""
    grads = []
    for change in (0.0, 1.0):
        model = frozen(ready())
        with torch.no_grad():
            cast(nn.Linear, cast(Head, model.heads[1])[2]).bias.add_(torch.arange(10) * change)
        model.loss(images(8, 16), torch.arange(8), torch.Generator()).backward()
        grads.append([p.grad for p in model.heads[0].parameters()])
    for one, other in zip(*grads, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


# Points -------------------------------------------------------------------------------------------


def useful_table(n: int = 200) -> Any:
    """Exits whose confidence says whether they are right; later ones are right more often."""
    rng = np.random.default_rng(0)
    signals = np.sort(rng.random((3, n), dtype=np.float32), axis=0)
    correct = signals > np.array([[0.5], [0.4], [0.3]])
    return synthetic(cascade_costs([100, 100, 100], [5, 5, 0]), signals, correct)


@pytest.mark.parametrize("given", [{}, {"jumps": "true"}, {"history": "true"}, {"features": "entropy"}])
@pytest.mark.parametrize("most", [2, 5, 20])
def test_points_are_static_ones_and_learned_ones_within_the_count(given: dict[str, str], most: int) -> None:
    model = adaptive(**given)
    found = model.operating_points(useful_table(), most)
    names = [point.name for point in found]
    assert len(names) == len(set(names)) <= most
    assert "exit3" in names
    assert any(isinstance(point.router, Learned) for point in found)
    for point in found:
        if isinstance(point.router, Learned):
            assert point.router.cascade == (0, 1, 2)
            assert point.router.jumps == (given.get("jumps") == "true")
            assert point.router.history == ("history" in given)
            assert point.router.features == (("entropy",) if "features" in given else ("max_prob", "margin", "entropy"))


@pytest.mark.parametrize("target", ["error", "cross_entropy"])
def test_the_target_of_the_policies_is_a_setting_that_training_does_not_depend_on(target: str) -> None:
    settings = parse_settings("adaptiveexit", {"target": target})
    assert settings.for_training() == parse_settings("adaptiveexit", {}).for_training()
    other = parse_settings("adaptiveexit", {"positions": "1"})
    assert other.for_training() != settings.for_training()


def test_history_and_jumps_exclude_each_other_in_one_line() -> None:
    with pytest.raises(MethodError, match="jumps") as refused:
        parse_settings("adaptiveexit", {"history": "true", "jumps": "true"})
    assert "\n" not in str(refused.value)


@torch.no_grad()
def test_an_exits_answer_does_not_depend_on_what_lies_behind() -> None:
    model, x = ready(), images(8, 16)
    before = model.trace(x)
    for parameter in cast(Any, model.backbone).blocks[2].parameters():
        parameter.add_(1)
    after = model.trace(x)
    assert [torch.equal(before[name], after[name]) for name in model.graph.names] == [True, True, False]
