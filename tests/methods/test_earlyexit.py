"""Early exits: the joint loss, independence of what comes later, costs with and without earlier heads."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toys import alone, earlyexit, images, lively, make, same, snapshot, table_of

from methods.base import Network
from methods.earlyexit import EarlyExit
from methods.errors import MethodError
from methods.registry import create, parse_settings
from methods.routers import Constant
from methods.routing import simulate
from methods.thresholds import cascade_macs

# MACs of ResNet-20 at 32x32 by hand; see test_cost for the parts.
STEM = 9 * 3 * 16 * 32 * 32
CONV = 9 * 16 * 16 * 32 * 32
ENTRY_BLOCK = CONV // 2 + CONV + 16 * 32 * 16 * 16
HEAD = 64 * 10
STAGE1, STAGE2, STAGE3 = 6 * CONV, ENTRY_BLOCK + 4 * CONV, ENTRY_BLOCK + 4 * CONV
RESNET20 = STEM + STAGE1 + STAGE2 + STAGE3 + HEAD
PAPER1, PAPER2 = 2 * ENTRY_BLOCK + HEAD, ENTRY_BLOCK + HEAD
"""The SDPoint paper's heads: one basic block per remaining stage, and a classifier."""


def loss_of(model: EarlyExit, x: Tensor, labels: Tensor) -> Tensor:
    return model.loss(x, labels, torch.Generator())


def trunk_gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


# The joint loss -----------------------------------------------------------------------------------


def test_weights_on_the_last_exit_alone_give_exactly_the_plain_gradient_on_the_trunk() -> None:
    model, plain = earlyexit(weights="0,0,1").train(), make("plain").train()
    x, labels = images(8), torch.arange(8)
    loss_of(model, x, labels).backward()
    plain.loss(x, labels, torch.Generator()).backward()
    ours, theirs = trunk_gradients(model.backbone), trunk_gradients(plain.backbone)
    assert len(ours) == len(theirs) == len(list(plain.backbone.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_the_joint_loss_is_the_weighted_sum_of_the_exits_cross_entropies() -> None:
    model = earlyexit(weights="1,0.3,2")
    x, labels = images(8), torch.arange(8)
    each = [F.cross_entropy(alone(model, name, x), labels) for name in model.graph.names]
    expected = each[0] + 0.3 * each[1] + 2 * each[2]
    torch.testing.assert_close(loss_of(model, x, labels), expected)


def test_the_loss_is_additive_and_linear_in_the_weights() -> None:
    x, labels = images(8), torch.arange(8)
    a, b, total, double = (loss_of(earlyexit(weights=w), x, labels) for w in ("1,0,2", "0,3,1", "1,3,3", "2,0,4"))
    torch.testing.assert_close(a + b, total)
    torch.testing.assert_close(2 * a, double)


def test_every_exit_weighs_one_by_default() -> None:
    x, labels = images(4), torch.arange(4)
    assert torch.equal(loss_of(earlyexit(), x, labels), loss_of(earlyexit(weights="1,1,1"), x, labels))


def test_label_smoothing_of_the_recipe_reaches_every_exit() -> None:
    model = earlyexit()
    model.label_smoothing = 0.1
    x, labels = images(4), torch.arange(4)
    each = [F.cross_entropy(y, labels, label_smoothing=0.1) for y in model.trace(x).values()]
    torch.testing.assert_close(loss_of(model, x, labels), torch.stack(each).sum())


# Exits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", ["light", "sdpoint-paper", "branchynet"])
@torch.no_grad()
def test_an_exit_does_not_depend_on_what_comes_after_it(heads: str) -> None:
    model = earlyexit("resnet14:width=4", heads=heads)
    x = images(3)
    before = model.trace(x)
    for k in (2, 1):
        lower = model.positions[k - 1]
        for block in range(lower + 1, sum(model.backbone.stages) + 1):
            for p in model.backbone.block(block).parameters():
                p.fill_(float("nan"))
        for p in (*model.backbone.head.parameters(), *model.heads[k:].parameters()):
            p.fill_(float("nan"))
        after = model.trace(x)
        for exit_ in range(1, 4):
            unchanged = torch.equal(after[f"exit{exit_}"], before[f"exit{exit_}"])
            assert unchanged == (exit_ <= k), (k, exit_)


@pytest.mark.parametrize("heads", ["light", "sdpoint-paper", "branchynet"])
@torch.no_grad()
def test_the_last_exit_is_the_plain_network_bit_for_bit(heads: str) -> None:
    model, plain = earlyexit(heads=heads), make("plain")
    assert torch.equal(model.trace(images(3))["exit3"], plain.backbone(images(3)))


@pytest.mark.parametrize("heads", ["light", "sdpoint-paper", "branchynet"])
@pytest.mark.parametrize(
    ("backbone", "size"),
    [("resnet8", 32), ("resnet8", 8), ("preresnet8", 32), ("preresnet8", 8), ("wrn-10-2", 32), ("resnet18", 64),
     ("resnet50", 64), ("resnet18", 32)],
)  # fmt: skip
@torch.no_grad()
def test_every_kind_of_head_builds_and_answers_on_every_kind_of_backbone(heads: str, backbone: str, size: int) -> None:
    model = make("earlyexit", backbone, (3, size, size), classes=7, heads=heads)
    exits = 3 if heads == "branchynet" else len(model.backbone.stages)
    logits = model.trace(images(2, size))
    assert list(logits) == [f"exit{k}" for k in range(1, exits + 1)]
    assert all(y.shape == (2, 7) and y.isfinite().all() for y in logits.values())
    assert len({tuple(y[0].tolist()) for y in logits.values()}) == exits


@pytest.mark.parametrize("heads", ["light", "branchynet"])
def test_heads_on_pre_activation_networks_begin_with_the_activation_their_blocks_leave_open(heads: str) -> None:
    def first(backbone: str) -> list[type[nn.Module]]:
        return [type(layer) for layer in list(earlyexit(backbone, heads=heads).heads[0].children())[:2]]

    assert first("preresnet8") == [nn.BatchNorm2d, nn.ReLU]
    assert first("resnet8")[0] is not nn.BatchNorm2d


def test_light_and_paper_heads_sit_behind_every_stage_but_the_last() -> None:
    for heads in ("light", "sdpoint-paper"):
        assert earlyexit("resnet14", heads=heads).positions == (2, 4)


def test_branches_sit_where_they_are_asked_for_with_as_many_convolutions() -> None:
    model = earlyexit("resnet14", heads="branchynet", positions="0,3,5", layers="2,1,0")
    work = [answer.work[-2] for answer in model.answers()[:-1]]
    assert work == [("stem",), ("act", 3), ("act", 5)]
    convolutions = [sum(isinstance(m, nn.Conv2d) for m in head.modules()) for head in model.heads]
    assert convolutions == [2, 1, 0]


def test_branches_are_by_default_those_of_b_resnet() -> None:
    model = earlyexit("resnet14", heads="branchynet")
    assert model.positions == (0, 2)
    assert [sum(isinstance(m, nn.Conv2d) for m in head.modules()) for head in model.heads] == [3, 2]


@torch.no_grad()
def test_on_imagenet_networks_a_branch_at_zero_lies_behind_the_stem_pooling() -> None:
    model = make("earlyexit", "resnet18", (3, 64, 64), heads="branchynet")
    assert model.answers()[0].work == (("stem",), ("stem_pool",), ("exit", 1))


def test_heads_are_drawn_anew_and_share_nothing_with_the_trunk() -> None:
    model = earlyexit("resnet8", heads="sdpoint-paper")
    trunk = {p.data_ptr() for p in model.backbone.parameters()}
    assert not trunk & {p.data_ptr() for p in model.heads.parameters()}
    first = model.heads[0][0].conv1.weight  # type: ignore[index]
    assert not torch.equal(first, model.backbone.block(2).conv1.weight)  # type: ignore[arg-type, union-attr]


def test_counting_the_trunk_for_the_heads_leaves_it_as_it_was() -> None:
    for heads in ("light", "sdpoint-paper", "branchynet"):
        model, plain = earlyexit(heads=heads), make("plain")
        assert same(snapshot(model.backbone), snapshot(plain.backbone))


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [{"positions": "0,1"}, {"layers": "1,2"}, {"positions": "0", "layers": "1"},
     {"heads": "branchynet", "positions": "0,1"}, {"heads": "branchynet", "layers": "1"},
     {"heads": "branchynet", "positions": "0,1", "layers": "1"}, {"heads": "heavy"}, {"rule": "vote"},
     {"weights": "a,b,c"}, {"weights": "nan,1,1"}, {"weights": "1,inf,1"}, {"weights": "1,1,-1"},
     {"heads": "branchynet", "positions": "0,1", "layers": "1,-1"},
     {"heads": "branchynet", "positions": "0.5", "layers": "1"}],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_one_line(given: dict[str, str]) -> None:
    with pytest.raises(MethodError, match="earlyexit") as raised:
        parse_settings("earlyexit", given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("positions", ["1,0", "0,0", "-1,0", "0,3", "3,4"])
def test_positions_must_rise_within_the_network(positions: str) -> None:
    with pytest.raises(MethodError, match="positions must rise within 0 to 2"):
        earlyexit(heads="branchynet", positions=positions, layers="1,1")


@pytest.mark.parametrize("weights", ["1", "1,1", "1,1,1,1"])
def test_there_must_be_a_weight_for_every_exit(weights: str) -> None:
    with pytest.raises(MethodError, match="weights needs 3 values"):
        earlyexit(weights=weights)


def test_the_backbone_starts_where_init_says() -> None:
    starts = {init: earlyexit(init=init).initial_weights() for init in ("none", "plain", "a/b.x")}
    assert starts == {
        "none": {},
        "plain": {"backbone": Network("resnet8:width=4")},
        "a/b.x": {"backbone": Path("a/b.x")},
    }


# Costs --------------------------------------------------------------------------------------------


def test_with_the_papers_heads_on_resnet20_exits_cost_what_is_counted_by_hand() -> None:
    costs = earlyexit("resnet20", heads="sdpoint-paper").costs()
    exit1, exit2 = STEM + STAGE1 + PAPER1, STEM + STAGE1 + STAGE2 + PAPER2
    assert exit2 == 31_376_000
    assert costs.outputs().tolist() == [exit1, exit2, RESNET20]
    through = [exit1, exit2 + PAPER1, RESNET20 + PAPER1 + PAPER2]
    assert cascade_macs(costs, range(3))[:, 0].tolist() == through
    assert [f"{c / RESNET20:.1%}" for c in (exit2, *through[1:])] == ["76.9%", "94.9%", "127.0%"]


def test_exits_dearer_than_the_plain_network_are_named() -> None:
    model = earlyexit("resnet20", heads="sdpoint-paper")
    assert model.warnings(model.costs()) == ["dearer than the plain network: exit3 through the cascade (127.0%)"]
    small = earlyexit("resnet8", heads="sdpoint-paper")
    (warning,) = small.warnings(small.costs())
    alone_, through = small.costs().outputs(), cascade_macs(small.costs(), range(3))[:, 0]
    assert f"exit2 through the cascade ({through[1] / alone_[-1]:.1%})" in warning
    assert f"exit3 through the cascade ({through[2] / alone_[-1]:.1%})" in warning


def test_with_light_heads_only_the_last_exit_is_dearer_and_named() -> None:
    for backbone, share in (("resnet8", "104.7%"), ("resnet14", "105.5%"), ("resnet20", "103.6%")):
        model = earlyexit(backbone)
        named = f"dearer than the plain network: exit3 through the cascade ({share})"
        assert model.warnings(model.costs()) == [named]


@pytest.mark.parametrize("heads", ["light", "sdpoint-paper", "branchynet"])
def test_the_last_exit_through_the_cascade_costs_more_than_the_plain_network(heads: str) -> None:
    costs, plain = earlyexit("resnet8", heads=heads).costs(), make("plain", "resnet8").costs()
    assert costs.outputs()[-1] == plain.outputs()[0]
    assert cascade_macs(costs, range(3))[-1, 0] > plain.outputs()[0]


def test_the_static_point_at_exit_two_pays_the_trunk_and_head_two_only() -> None:
    model = earlyexit("resnet20")
    costs = model.costs()
    steps = [model.graph.nodes[n].step for n in range(len(costs.work)) if costs.uses[1, n] and costs.macs[n]]
    assert [s for s in steps if s[0] == "exit"] == [("exit", 2)]
    head1 = next(m for n, m in zip(model.graph.nodes, costs.macs, strict=True) if n.step == ("exit", 1))
    assert cascade_macs(costs, range(3))[1, 0] == costs.outputs()[1] + head1


@pytest.mark.parametrize(
    ("backbone", "size", "classes"),
    [("resnet8", 32, 10), ("resnet14", 32, 10), ("resnet20", 32, 100), ("resnet56", 32, 10), ("resnet8", 8, 10),
     ("preresnet20", 32, 10), ("wrn-16-4", 32, 100), ("resnet18", 64, 10), ("resnet18", 224, 1000),
     ("resnet50", 64, 10), ("resnet50", 224, 1000)],
)  # fmt: skip
def test_a_light_head_costs_at_most_a_twentieth_of_the_plain_network(backbone: str, size: int, classes: int) -> None:
    model = make("earlyexit", backbone, (3, size, size), classes)
    costs = model.costs()
    heads = [m for n, m in zip(model.graph.nodes, costs.macs, strict=True) if n.step[0] == "exit"]
    assert len(heads) == len(model.backbone.stages) - 1
    assert 0 < max(heads) <= 0.05 * costs.outputs()[-1]


# Points -------------------------------------------------------------------------------------------


def test_points_are_everybody_at_exit_k_and_thresholds_of_the_rule_with_the_rest() -> None:
    for rule in ("entropy", "max_prob", "margin"):
        model = earlyexit(rule=rule)
        lively(model)
        table = table_of(model, images(64), 64)
        points = model.operating_points(table, 12)
        assert [p.name for p in points[:3]] == ["exit1", "exit2", "exit3"]
        assert len(points) == 12
        assert all(p.name.startswith(rule) for p in points[3:])
        assert {table.decision(p) for p in points[3:]} == {"per-sample"}


@pytest.mark.parametrize("method", ["plain", "sdpoint", "earlyexit"])
@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_a_method_offers_at_most_as_many_points_as_asked_with_distinct_names(method: str, count: int) -> None:
    model = make(method)
    points = model.operating_points(table_of(model, images(32), 32), count)
    assert 1 <= len({p.name for p in points}) == len(points) <= count


def test_everybody_leaves_at_exit_k_is_the_accuracy_and_cost_of_that_exit_alone() -> None:
    model = earlyexit()
    table = table_of(model, images(32), 32)
    for k in range(3):
        routing = simulate(table, Constant(answer=k))
        assert (routing.answer == k).all()
        assert (table.costs.trails(routing.visited) == table.costs.outputs()[k]).all()


def test_light_heads_that_many_classes_make_heavy_are_named_with_what_they_cost() -> None:
    model = create("earlyexit", parse_settings("earlyexit", {}), "resnet8:width=8", 1000, (3, 8, 8), 0)
    costs = model.costs()
    _, heavy = model.warnings(costs)
    assert heavy == "light heads above 5% of the plain network, as linear layers to 1,000 classes: exit2 6.8%"
    (second,) = (m for node, m in zip(model.graph.nodes, costs.macs, strict=True) if node.step == ("exit", 2))
    assert second == 16 * 1000  # nothing but pooling and the linear layer behind 16 channels
    few = create("earlyexit", parse_settings("earlyexit", {}), "resnet8:width=8", 10, (3, 8, 8), 0)
    assert not any("light" in line for line in few.warnings(few.costs()))
