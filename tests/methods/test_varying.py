"""What is looked up where costs depend on the image: by brute force, image by image, on random tables."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import cascade_costs, synthetic, varying_tables

from methods.learning import fit_policies, learned_points, step_macs
from methods.routers import Constant, OperatingPoint, Threshold
from methods.routing import closest, simulate, trail_macs
from methods.table import PathTable
from methods.thresholds import candidates, cascade_macs, sweep, threshold_points


def paid(table: PathTable, trail: tuple[int, ...], image: int) -> int:
    """The MACs of one image along a trail, node by node."""
    nodes = np.flatnonzero(table.costs.uses[list(trail)].any(axis=0)).tolist()
    own = dict(zip(table.costs.varying, table.spent[:, image].tolist(), strict=True))
    return sum(own.get(node, int(table.costs.macs[node])) for node in nodes)


@given(varying_tables(), st.floats(0, 1))
def test_a_trail_costs_each_image_what_it_spent_on_the_way(table: PathTable, threshold: float) -> None:
    cascade = tuple(range(len(table.answers)))
    router = Threshold(signal="max_prob", cascade=cascade, thresholds=(threshold,) * (len(cascade) - 1))
    routing = simulate(table, router)
    expected = [
        paid(table, tuple(np.flatnonzero(visited).tolist()), image) for image, visited in enumerate(routing.visited)
    ]
    assert trail_macs(table, routing).tolist() == expected
    along = np.broadcast_to(table.macs_along([cascade]), (1, len(table.labels)))
    assert along[0].tolist() == [paid(table, cascade, image) for image in range(len(table.labels))]
    each = [[paid(table, (answer,), image) for image in range(len(table.labels))] for answer in cascade]
    assert table.macs_of_each.tolist() == each
    assert table.macs.tolist() == np.mean(each, axis=1).tolist()


@given(varying_tables())
def test_a_sweep_over_thresholds_is_what_simulating_each_says(table: PathTable) -> None:
    cascade = tuple(range(len(table.answers)))
    thresholds = candidates(table, "entropy", cascade)
    accuracy, macs = sweep(table, "entropy", cascade, thresholds)
    for place, threshold in enumerate(thresholds.tolist()):
        router = Threshold(signal="entropy", cascade=cascade, thresholds=(threshold,) * (len(cascade) - 1))
        routing = simulate(table, router)
        assert macs[place] == pytest.approx(trail_macs(table, routing).mean(), rel=1e-12)
        right = table.correct[routing.answer, np.arange(len(table.labels))]
        assert accuracy[place] == pytest.approx(right.mean(), rel=1e-12)
    for point in threshold_points(table, "entropy", cascade, 5):
        assert table.decision(point) == "per-sample"


@given(varying_tables(), st.booleans())
def test_going_on_costs_each_image_what_it_has_not_paid(table: PathTable, jumps: bool) -> None:
    k, n = len(table.answers), len(table.labels)
    steps = np.broadcast_to(step_macs(table.costs, range(k), table.spent, jumps=jumps), (k, k, n))
    for here in range(k):
        for there in range(here + 1, k):
            before = (here,) if jumps else tuple(range(here + 1))
            expected = [paid(table, (*before, there), i) - paid(table, before, i) for i in range(n)]
            assert steps[here, there].tolist() == expected
    last = np.broadcast_to(cascade_macs(table.costs, range(k), table.spent), (k, n))[-1]
    assert last.tolist() == [paid(table, tuple(range(k)), i) for i in range(n)]


@given(varying_tables(), st.floats(0.01, 100), st.booleans())
def test_a_policy_is_learned_on_what_each_image_would_spend(table: PathTable, tradeoff: float, jumps: bool) -> None:
    learned = fit_policies(table, range(len(table.answers)), tradeoff, jumps=jumps)
    assert len(learned.policies) == len(table.answers) - 1
    learned_points(table, range(len(table.answers)), 3, jumps=jumps)


def test_a_policy_sends_on_the_images_for_which_going_on_is_cheap() -> None:
    """Every second image is answered right by the second exit alone, and pays 1 or 1000 for it."""
    n = 40
    dear = np.arange(n) % 2 == 0
    signals = np.where(dear, 0.2, 0.8).astype(np.float32) * np.ones((2, 1), dtype=np.float32)
    table = synthetic(cascade_costs([10, 0], [0, 0]), signals, np.array([[False] * n, [True] * n]))
    table = replace(
        table, costs=replace(table.costs, varying=(1,)), spent=np.where(dear, 1000, 1)[None],
        distance=np.full((1, n), np.inf, dtype=np.float32),
    )  # fmt: skip
    routing = simulate(table, fit_policies(table, (0, 1), 0.5))
    assert (routing.answer == 1).tolist() == (~dear).tolist()


def test_how_near_an_image_came_within_an_answer_counts_for_whoever_went_through_it() -> None:
    table = synthetic(cascade_costs([10, 0], [0, 0]), np.ones((2, 3), np.float32), np.ones((2, 3), dtype=bool))
    near = np.array([[0.5, 0.001, np.inf]], dtype=np.float32)
    table = replace(
        table, costs=replace(table.costs, varying=(1,)), spent=np.zeros((1, 3), dtype=np.int64), distance=near
    )
    assert closest(table, Constant(answer=1)).tolist() == near[0].tolist()
    assert closest(table, Constant(answer=0)).tolist() == [np.inf] * 3
    stops = Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.25,))
    assert closest(table, stops).tolist() == [0.75] * 3  # everybody stops before it
    assert [table.decision(OperatingPoint(name="p", router=Constant(answer=a))) for a in (0, 1)] == [
        "static", "per-sample",
    ]  # fmt: skip
    assert all(a < b for a, b in pairwise(table.costs.along([(0,), (0, 1)], table.spent + 1)[:, 0].tolist()))
