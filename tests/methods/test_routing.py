"""Simulated and executed routing: one loop, the same answers, and skipped work that really does not run."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from toys import cascade_costs, images, lively, make, sums, synthetic, table_of, tables

from methods.base import AdjustableModel
from methods.earlyexit import EarlyExit
from methods.routers import STOP, Constant, Heard, OperatingPoint, Signal, Threshold
from methods.routing import simulate
from methods.table import PathTable
from methods.thresholds import threshold_points

SIDE = 16
LN10 = float(np.log(10))


@pytest.fixture(scope="module")
def exits() -> AdjustableModel:
    return _ready("earlyexit")


@pytest.fixture(scope="module")
def point() -> AdjustableModel:
    return _ready("sdpoint")


def _ready(method: str) -> AdjustableModel:
    model: AdjustableModel = make(method, "resnet8:width=4", (3, SIDE, SIDE))
    lively(model)
    model.collect_statistics([images(64, SIDE, seed=1)])
    return model


def points(model: AdjustableModel) -> list[OperatingPoint]:
    """All static points and, over the whole model as a cascade, five thresholds for each signal."""
    table = table_of(model, images(128, SIDE, seed=2), 128)
    everyone = range(len(table.answers))
    cascade = [0, 2, 4, len(everyone) - 1] if len(everyone) > 4 else list(everyone)
    found = model.static_points(table, everyone, 99)
    for signal in get_args(Signal):
        found += threshold_points(table, signal, cascade, 5)
    return found


def near_threshold(table: PathTable, router: Constant | Threshold, within: float = 1e-4) -> NDArray[np.bool_]:
    """Samples that stood at most this far from a threshold they were compared with, [n]."""
    close = np.zeros(len(table.labels), dtype=bool)
    if isinstance(router, Threshold):
        values = getattr(table, router.signal)
        for answer, threshold in zip(router.cascade, router.thresholds, strict=False):
            close |= threshold is not None and np.abs(values[answer] - threshold) < within
    return close


def blocks_run(model: AdjustableModel, router: Constant | Threshold, x: Tensor) -> dict[str, list[int]]:
    """Batch sizes with which every convolution of the model ran, by hooks."""
    sizes: dict[str, list[int]] = {n: [] for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    hooks = [
        module.register_forward_hook(lambda _m, _i, y, name=name: sizes[name].append(len(y)))
        for name, module in model.named_modules()
        if name in sizes
    ]
    with torch.no_grad():
        model.execute(x, router)
    for hook in hooks:
        hook.remove()
    return sizes


def middle(model: AdjustableModel, x: Tensor, signal: Signal = "entropy") -> Threshold:
    """A threshold at which some samples leave at every exit."""
    values = getattr(table_of(model, x, len(x)), signal)
    cuts = tuple(float(np.quantile(row, 0.4)) for row in values[:-1])
    return Threshold(signal=signal, cascade=(0, 1, 2), thresholds=cuts)


# Executed equals simulated ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exits", "point"])
@pytest.mark.parametrize("batch", [1, 7, 64, 256])
@torch.no_grad()
def test_executed_equals_simulated_at_every_point(method: str, batch: int, request: pytest.FixtureRequest) -> None:
    model: AdjustableModel = request.getfixturevalue(method)
    x = images(min(256, max(2 * batch, 12)), SIDE, seed=3)
    table = table_of(model, x, batch)
    for p in points(model):
        routing = simulate(table, p.router)
        executed = [model.execute(part, p.router) for part in x.split(batch)]
        answer = torch.cat([r.answer for r in executed]).numpy()
        prediction = torch.cat([r.logits for r in executed]).argmax(1).numpy()
        differ = answer != routing.answer
        assert not (differ & ~near_threshold(table, p.router)).any(), p.name
        assert differ.sum() <= 1, p.name
        expected = table.prediction[routing.answer, np.arange(len(x))]
        assert (prediction == expected)[~differ].all(), p.name


@pytest.mark.parametrize("method", ["exits", "point"])
@torch.no_grad()
def test_at_batch_one_executed_logits_are_the_traced_ones_bit_for_bit(
    method: str, request: pytest.FixtureRequest
) -> None:
    model: AdjustableModel = request.getfixturevalue(method)
    for x in images(4, SIDE, seed=4).split(1):
        traced = list(model.trace(x).values())
        table = table_of(model, x, 1)
        for p in points(model):
            logits, answer = model.execute(x, p.router)
            assert int(answer) == int(simulate(table, p.router).answer[0])
            assert torch.equal(logits, traced[int(answer)])


@pytest.mark.parametrize("method", ["exits", "point"])
@pytest.mark.parametrize("batch", [7, 64])
@torch.no_grad()
def test_where_nobody_leaves_executed_logits_are_the_traced_ones_bit_for_bit(
    method: str, batch: int, request: pytest.FixtureRequest
) -> None:
    model: AdjustableModel = request.getfixturevalue(method)
    x = images(batch, SIDE, seed=5)
    last = len(model.graph.names) - 1
    traced = list(model.trace(x).values())
    for router in (
        Threshold(signal="entropy", cascade=tuple(range(last + 1)), thresholds=(0.0,) * last),
        *(Constant(answer=k) for k in range(last + 1)),
    ):
        logits, answer = model.execute(x, router)
        assert torch.equal(logits, traced[int(answer[0])])


@torch.no_grad()
def test_whoever_leaves_at_the_first_exit_has_its_traced_logits_bit_for_bit(exits: AdjustableModel) -> None:
    x = images(64, SIDE, seed=6)
    logits, answer = exits.execute(x, middle(exits, x))
    assert set(answer.tolist()) == {0, 1, 2}
    assert torch.equal(logits[answer == 0], exits.trace(x)["exit1"][answer == 0])


@torch.no_grad()
def test_outputs_keep_the_order_of_the_images(exits: AdjustableModel) -> None:
    x = images(64, SIDE, seed=7)
    router = middle(exits, x)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    logits, answer = exits.execute(x, router)
    shuffled_logits, shuffled_answer = exits.execute(x[order], router)
    assert torch.equal(shuffled_answer, answer[order])
    torch.testing.assert_close(shuffled_logits, logits[order], rtol=0, atol=1e-4)


@torch.no_grad()
def test_an_empty_batch_gives_empty_outputs(exits: AdjustableModel) -> None:
    logits, answer = exits.execute(images(4, SIDE)[:0], middle(exits, images(32, SIDE)))
    assert (tuple(logits.shape), tuple(answer.shape)) == ((0, 10), (0,))


@torch.no_grad()
def test_forward_answers_at_the_chosen_point_and_at_full_cost_before() -> None:
    model = _ready("earlyexit")
    x = images(8, SIDE)
    assert set(model(x).answer.tolist()) == {2}
    model.points = (OperatingPoint(name="cheap", router=Constant(answer=0)),)
    model.point = "cheap"
    assert model.point == "cheap"
    assert torch.equal(model(x).logits, model.trace(x)["exit1"])
    with pytest.raises(ValueError, match="unknown operating point 'dear'; known are cheap"):
        model.point = "dear"


# What is skipped does not run ---------------------------------------------------------------------


def test_layers_behind_an_exit_run_on_exactly_those_who_go_on(exits: AdjustableModel) -> None:
    x = images(64, SIDE, seed=8)
    router = middle(exits, x)
    left = np.bincount(simulate(table_of(exits, x, 64), router).answer, minlength=3)
    assert (left > 0).all()
    ran = blocks_run(exits, router, x)
    assert ran["backbone.stem.0"] == ran["backbone.blocks.0.conv1"] == ran["heads.0.1"] == [64]
    assert ran["backbone.blocks.1.conv1"] == ran["heads.1.1"] == [64 - left[0]]
    assert ran["backbone.blocks.2.conv2"] == [left[2]]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_everybody_leaves_at_exit_k_runs_head_k_only_and_nothing_behind(exits: AdjustableModel, k: int) -> None:
    ran = blocks_run(exits, Constant(answer=k), images(5, SIDE))
    assert [len(ran[f"heads.{head}.1"]) for head in (0, 1)] == [int(k == head) for head in (0, 1)]
    assert [len(ran[f"backbone.blocks.{b}.conv1"]) for b in range(3)] == [int(b <= k) for b in range(3)]


def test_an_sdpoint_instance_runs_every_block_once(point: AdjustableModel) -> None:
    for k in range(len(point.graph.names)):
        ran = blocks_run(point, Constant(answer=k), images(3, SIDE))
        assert all(sizes == [3] for sizes in ran.values())


def test_a_cascade_of_sdpoint_instances_reuses_the_work_they_share(point: AdjustableModel) -> None:
    names = point.graph.names
    cascade = (names.index("p1_r0.5"), names.index("p2_r0.5"), names.index("full"))
    router = Threshold(signal="entropy", cascade=cascade, thresholds=(0.0, 0.0))
    ran = blocks_run(point, router, images(3, SIDE))
    assert [len(ran[f"backbone.blocks.{b}.conv1"]) for b in range(3)] == [1, 2, 3]
    assert len(ran["backbone.stem.0"]) == 1


class Free:
    """A router whose decisions cost nothing."""

    def macs(self, at: int) -> int:
        return 0


class Jumping(Free):
    """From answer 0, samples whose confidence is below the cut jump over answer 1 to the last."""

    start = 0

    def __init__(self, cut: float, last: int) -> None:
        self.cut, self.last, self.outputs = cut, last, (0, last)

    def decide(self, answer: int, heard: Heard, n: int) -> Tensor | None:
        if answer == self.last:
            return None
        return torch.where(heard[answer]("max_prob") >= self.cut, STOP, self.last)


def test_jumping_over_an_exit_neither_runs_nor_pays_its_head(exits: AdjustableModel) -> None:
    x = images(32, SIDE, seed=9)
    table = table_of(exits, x, 32)
    router: Any = Jumping(float(np.median(table.max_prob[0])), last=2)
    routing = simulate(table, router)
    assert not routing.visited[:, 1].any()
    on = int((routing.answer == 2).sum())
    assert 0 < on < 32
    ran = blocks_run(exits, router, x)
    assert (ran["heads.1.1"], ran["backbone.blocks.2.conv1"]) == ([], [on])
    macs, costs = table.costs.trails(routing.visited), table.costs
    head1 = costs.macs[costs.uses[0] & ~costs.uses[2]].sum()
    assert set(macs.tolist()) == {int(costs.outputs()[0]), int(costs.outputs()[2] + head1)}


def test_a_router_may_send_samples_of_one_group_to_different_answers_and_back() -> None:
    model = sums((1, 2), (1, 3), (1, 4), (5, 6))

    class Spreading(Free):
        start, outputs = 2, (2, 0, 1, 3)

        def decide(self, answer: int, heard: Heard, n: int) -> Tensor | None:
            following: dict[int, Tensor] = {2: torch.arange(n) % 3, 0: torch.full((n,), 3)}
            following[2][following[2] == 2] = STOP
            return following.get(answer)

    router: Any = Spreading()
    logits, answer = model.execute(torch.zeros(6, 2), router)
    assert answer.tolist() == [3, 1, 2, 3, 1, 2]
    assert logits[:, 0].tolist() == [11, 4, 5, 11, 4, 5]
    assert sorted(model.ran) == [((1,), 6), ((2,), 2), ((3,), 2), ((4,), 6), ((5,), 2), ((6,), 2)]


def test_an_answer_on_the_way_to_another_is_continued_not_run_again() -> None:
    model = sums((1, 2), (1, 2, 3))
    router = Threshold(signal="max_prob", cascade=(0, 1), thresholds=(2.0,))
    logits, answer = model.execute(torch.zeros(4, 2), router)
    assert (answer.tolist(), logits[:, 0].tolist()) == ([1] * 4, [6] * 4)
    assert model.ran == [((1,), 4), ((2,), 4), ((3,), 4)]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_on_any_tree_each_node_runs_once_for_each_sample_whose_trail_needs_it(data: st.DataObject) -> None:
    work = st.lists(st.integers(1, 3), min_size=1, max_size=4)
    works = data.draw(st.lists(work, min_size=2, max_size=6, unique_by=tuple))
    model = sums(*works)
    cascade = tuple(data.draw(st.permutations(range(len(works)))))
    n = 8
    exits_at = torch.tensor(data.draw(st.lists(st.integers(0, len(works) - 1), min_size=n, max_size=n)))
    group_rows = {"now": torch.arange(n)}

    class Scripted(Free):
        start, outputs = cascade[0], tuple(cascade)

        def decide(self, answer: int, heard: Heard, m: int) -> Tensor | None:
            place = cascade.index(answer)
            rows = group_rows["now"]
            stays = exits_at[rows] > place
            group_rows["now"] = rows[stays]
            return torch.where(stays, cascade[min(place + 1, len(cascade) - 1)], STOP)

    router: Any = Scripted()
    logits, answer = model.execute(torch.zeros(n, 2), router)
    assert answer.tolist() == [cascade[place] for place in exits_at]
    assert logits[:, 0].tolist() == [sum(works[a]) for a in answer]
    needed = sum(len(model.graph.plan(cascade[: place + 1]).nodes) for place in exits_at)
    assert sum(size for _, size in model.ran) == needed


# Exit rules ---------------------------------------------------------------------------------------


def exits_of(rows: list[list[float]]) -> PathTable:
    """A table of exits with these signal values [a, n], every answer right."""
    values = np.array(rows, dtype=np.float32)
    costs = cascade_costs([10] * len(values), [1] * len(values))
    return synthetic(costs, values, np.ones(values.shape, dtype=bool))


def stopped(signal: Signal, threshold: float | None, values: list[float]) -> list[int]:
    """Which of two exits samples with these values at the first leave at."""
    router = Threshold(signal=signal, cascade=(0, 1), thresholds=(threshold,))
    answer: list[int] = simulate(exits_of([values, values]), router).answer.tolist()
    return answer


def test_the_entropy_rule_is_strict_ties_go_on() -> None:
    below, above = float(np.nextafter(np.float32(0.5), np.float32(0))), 0.500001
    assert stopped("entropy", 0.5, [below, 0.5, above]) == [0, 1, 1]


@pytest.mark.parametrize("signal", ["max_prob", "margin"])
def test_the_confidence_rules_stop_where_the_threshold_is_reached(signal: Signal) -> None:
    assert stopped(signal, 0.5, [0.499999, 0.5, 0.500001]) == [1, 0, 0]
    assert stopped(signal, 0.0, [0.0, 0.5, 1.0]) == [0, 0, 0]
    assert stopped(signal, 1.1, [0.0, 0.5, 1.0]) == [1, 1, 1]


@torch.no_grad()
def test_entropy_threshold_zero_nobody_leaves_above_ln_c_everybody_at_exit_one(exits: AdjustableModel) -> None:
    x = images(40)
    for threshold, expected in ((0.0, 2), (LN10 + 1e-3, 0)):
        router = Threshold(signal="entropy", cascade=(0, 1, 2), thresholds=(threshold,) * 2)
        assert set(exits.execute(x, router).answer.tolist()) == {expected}
        assert set(simulate(table_of(exits, x, 40), router).answer.tolist()) == {expected}


@pytest.mark.parametrize("signal", ["entropy", "max_prob", "margin"])
@torch.no_grad()
def test_a_disabled_exit_never_fires_even_at_certainty(signal: Signal) -> None:
    model: EarlyExit = make("earlyexit")
    with torch.no_grad():
        for head in (layer for layer in model.heads.modules() if isinstance(layer, nn.Linear)):
            head.weight.zero_()
            head.bias.copy_(torch.tensor([1000.0] + [0.0] * 9))
    x = images(6)
    table = table_of(model, x, 6)
    assert (table.max_prob[:2] == 1).all()
    assert (table.entropy[:2] == 0).all()
    router = Threshold(signal=signal, cascade=(0, 1, 2), thresholds=(None, None))
    assert set(model.execute(x, router).answer.tolist()) == {2}
    assert set(simulate(table, router).answer.tolist()) == {2}
    half = Threshold(signal=signal, cascade=(0, 1, 2), thresholds=(None, 0.5))
    assert set(model.execute(x, half).answer.tolist()) == {1}


@given(tables(), st.data())
@settings(max_examples=60, deadline=None)
def test_raising_any_entropy_threshold_never_raises_cost_nor_lowers_its_own_share(
    table: PathTable, data: st.DataObject
) -> None:
    k = len(table.answers) - 1
    grid = st.integers(0, 9).map(lambda v: v / 8)
    before = data.draw(st.lists(grid, min_size=k, max_size=k))
    raised = data.draw(st.integers(0, k - 1))
    after = [t + (i == raised) * data.draw(st.sampled_from([0.1, 0.3, 1.0])) for i, t in enumerate(before)]
    low, high = (
        simulate(table, Threshold(signal="entropy", cascade=tuple(range(k + 1)), thresholds=tuple(t)))
        for t in (before, after)
    )
    assert (table.costs.trails(high.visited) <= table.costs.trails(low.visited)).all()
    assert (high.answer == raised).sum() >= (low.answer == raised).sum()


@given(tables())
@settings(max_examples=40, deadline=None)
def test_a_sample_visits_every_exit_up_to_its_last_and_pays_for_all_of_them(table: PathTable) -> None:
    k = len(table.answers)
    routing = simulate(table, Threshold(signal="margin", cascade=tuple(range(k)), thresholds=(0.5,) * (k - 1)))
    assert (routing.visited == (np.arange(k) <= routing.answer[:, None])).all()
    trunk, heads = table.costs.macs[:k], table.costs.macs[k:]
    through = trunk.cumsum() + heads.cumsum()
    assert (table.costs.trails(routing.visited) == through[routing.answer]).all()


@pytest.mark.parametrize(
    ("cascade", "thresholds"), [((0, 1, 2), (0.5,)), ((0, 1), (0.5, 0.5)), ((), ()), ((0, 0, 1), (0.5, 0.5))]
)
def test_a_cascade_has_distinct_answers_and_a_threshold_for_each_but_the_last(
    cascade: tuple[int, ...], thresholds: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="a threshold for each but the last"):
        Threshold(signal="entropy", cascade=cascade, thresholds=thresholds)


def test_tables_say_whether_a_point_is_static_and_points_survive_json() -> None:
    table = synthetic(cascade_costs([1, 2], [3, 4]), np.zeros((2, 1), np.float32), np.ones((2, 1), dtype=bool))
    threshold = Threshold(signal="entropy", cascade=(0, 1), thresholds=(None,))
    for router, decision in ((Constant(answer=1), "static"), (threshold, "per-sample")):
        p = OperatingPoint(name="p", router=router)
        assert table.decision(p) == decision
        assert OperatingPoint.model_validate_json(p.model_dump_json()) == p
    with pytest.raises(ValueError, match="kind"):
        OperatingPoint.model_validate({"name": "p", "router": {"kind": "oracle"}})
