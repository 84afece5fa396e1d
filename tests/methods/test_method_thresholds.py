"""One common threshold for all exits: the fast sweep against brute force, and how points are chosen."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from toys import cascade_costs, synthetic, tables

from methods.routers import Signal, Threshold
from methods.routing import simulate
from methods.table import PathTable
from methods.thresholds import candidates, cascade_macs, spread, sweep, threshold_points

SIGNALS: tuple[Signal, ...] = get_args(Signal)
signals = st.sampled_from(SIGNALS)


def brute_force(table: PathTable, signal: Signal, thresholds: NDArray[np.floating]) -> tuple[list[float], list[float]]:
    """Accuracy and mean MACs at each threshold by routing every sample."""
    k, n = table.correct.shape
    accuracy, macs = [], []
    for t in thresholds:
        router = Threshold(signal=signal, cascade=tuple(range(k)), thresholds=(float(t),) * (k - 1))
        routing = simulate(table, router)
        accuracy.append(table.correct[routing.answer, np.arange(n)].mean())
        macs.append(table.costs.trails(routing.visited).mean())
    return accuracy, macs


def confidences(n: int, exits: int = 3, seed: int = 0) -> PathTable:
    """Exits with distinct random signal values and equal work between them."""
    generator = np.random.default_rng(seed)
    values = generator.random((exits, n)).astype(np.float32)
    costs = cascade_costs([100] * exits, [10] * exits)
    return synthetic(costs, values, generator.random((exits, n)) < 0.7)


@given(tables(), signals)
@settings(max_examples=80, deadline=None)
def test_the_sweep_equals_brute_force_at_every_value_and_between(table: PathTable, signal: Signal) -> None:
    thresholds = np.concatenate([np.arange(-1, 11) / 8, np.arange(-1, 10) / 8 + 1 / 16])
    accuracy, macs = sweep(table, signal, range(len(table.answers)), thresholds)
    expected_accuracy, expected_macs = brute_force(table, signal, thresholds)
    np.testing.assert_allclose(accuracy, expected_accuracy, atol=1e-12)
    np.testing.assert_allclose(macs, expected_macs, rtol=1e-12)


@given(tables(), signals)
@settings(max_examples=60, deadline=None)
def test_mean_cost_is_monotone_in_the_threshold(table: PathTable, signal: Signal) -> None:
    thresholds = np.linspace(-0.1, 1.2, 40)
    _, macs = sweep(table, signal, range(len(table.answers)), thresholds)
    steps = np.diff(macs) if signal != "entropy" else -np.diff(macs)
    assert (steps >= -1e-9).all()


@given(tables(), signals)
@settings(max_examples=60, deadline=None)
def test_candidates_lie_strictly_between_values_that_can_decide(table: PathTable, signal: Signal) -> None:
    """A value can decide if no earlier exit was as confident: otherwise the sample has left before."""
    *between, never = candidates(table, signal, range(len(table.answers)))
    surest = np.minimum if signal == "entropy" else np.maximum
    values = np.unique(surest.accumulate(getattr(table, signal)[:-1], axis=0))
    assert not np.isin(between, values).any()
    assert all(values.min() < t < values.max() for t in between)
    assert never == (0.0 if signal == "entropy" else 2.0)


@given(tables(), signals)
@settings(max_examples=60, deadline=None)
def test_candidates_decide_in_every_way_that_is_possible_but_everybody_at_once(
    table: PathTable, signal: Signal
) -> None:
    k = len(table.answers)

    def decisions(thresholds: NDArray[np.floating]) -> set[tuple[int, ...]]:
        routers = (
            Threshold(signal=signal, cascade=tuple(range(k)), thresholds=(float(t),) * (k - 1)) for t in thresholds
        )
        return {tuple(simulate(table, router).answer.tolist()) for router in routers}

    everybody = (0,) * len(table.labels)
    found = decisions(candidates(table, signal, range(k)))
    assert found == decisions(np.arange(-1, 20) / 16 + 1 / 32) - {everybody}
    assert len(found) == len(candidates(table, signal, range(k)))


@given(tables(), signals, st.integers(0, 12))
@settings(max_examples=80, deadline=None)
def test_there_are_at_most_as_many_points_as_asked_with_distinct_names(
    table: PathTable, signal: Signal, count: int
) -> None:
    points = threshold_points(table, signal, range(len(table.answers)), count)
    assert len(points) <= count
    assert len({p.name for p in points}) == len({p.router for p in points}) == len(points)


@pytest.mark.parametrize("signal", SIGNALS)
def test_points_are_spread_evenly_over_the_reachable_mean_cost(signal: Signal) -> None:
    table = confidences(2000)
    points = threshold_points(table, signal, range(3), 10)
    macs = sorted(float(table.costs.trails(simulate(table, p.router).visited).mean()) for p in points)
    low, *_, high = cascade_macs(table.costs, range(3))[:, 0]
    gaps = np.diff([low, *macs])
    assert (len(points), macs[-1]) == (10, high)
    assert gaps == pytest.approx((high - low) / 10, rel=0.05)


def test_the_dear_end_where_nobody_leaves_is_kept_and_the_cheap_end_left_out() -> None:
    table = confidences(50)
    routings = [simulate(table, p.router) for p in threshold_points(table, "entropy", range(3), 99)]
    assert any((r.answer == 2).all() for r in routings)
    assert not any((r.answer == 0).all() for r in routings)


def test_names_show_the_rule_and_tell_close_thresholds_apart() -> None:
    close = np.array([[0.5, 0.50001, 0.50002, 0.9], [0] * 4], dtype=np.float32)
    table = synthetic(cascade_costs([1, 1], [1, 1]), close, np.ones((2, 4), dtype=bool))
    names = [p.name for p in threshold_points(table, "max_prob", range(2), 9)]
    assert all(name.startswith("max_prob>=") for name in names)
    assert len(set(names)) == len(names) == 4
    assert threshold_points(table, "entropy", range(2), 1)[0].name.startswith("entropy<")


def test_equal_confidences_leave_one_threshold_that_nobody_passes() -> None:
    table = synthetic(cascade_costs([1, 1], [1, 1]), np.full((2, 5), 0.5, np.float32), np.ones((2, 5), bool))
    assert candidates(table, "max_prob", range(2)).tolist() == [2.0]
    (point,) = threshold_points(table, "max_prob", range(2), 5)
    assert (simulate(table, point.router).answer == 1).all()


def test_a_cascade_of_one_has_no_thresholds() -> None:
    assert threshold_points(confidences(5), "entropy", [2], 5) == []


def test_stopping_at_exit_k_of_a_cascade_pays_every_earlier_head() -> None:
    costs = cascade_costs([100, 200, 400], [1, 10, 0])
    assert costs.outputs().tolist() == [101, 310, 700]
    assert cascade_macs(costs, range(3))[:, 0].tolist() == [101, 311, 711]
    assert cascade_macs(costs, [0, 2])[:, 0].tolist() == [101, 701]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.integers(1, 50))
def test_spread_takes_distinct_positions_and_both_ends(costs: list[float], count: int) -> None:
    chosen = spread(np.array(costs), count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= count
    assert max(costs[i] for i in chosen) == max(costs)
    if count > 1:
        assert min(costs[i] for i in chosen) == min(costs)


def test_spread_of_an_even_grid_is_even() -> None:
    chosen = spread(np.arange(101.0), 11)
    assert {b - a for a, b in pairwise(chosen)} == {10}
