"""Properties of frontiers, of the point chosen at a budget and of the summary."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.stats.frontier import TOLERANCE, accuracy_at, counted_cost, on_frontier, summary

# Few distinct values, so that ties and duplicates are common.
POINTS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=30).map(
    lambda pairs: (np.array([c for c, _ in pairs], float), np.array([a for _, a in pairs], float) / 8)
)


def beaten(i: int, cost: np.ndarray, accuracy: np.ndarray) -> bool:
    """The definition, one pair at a time."""
    return any(
        cost[j] <= cost[i] and accuracy[j] >= accuracy[i] and (cost[j] < cost[i] or accuracy[j] > accuracy[i])
        for j in range(len(cost))
    )


@given(POINTS)
def test_frontier_is_exactly_the_points_that_nothing_beats(points: tuple[np.ndarray, np.ndarray]) -> None:
    cost, accuracy = points
    assert on_frontier(cost, accuracy).tolist() == [not beaten(i, cost, accuracy) for i in range(len(cost))]


@given(POINTS, st.randoms(use_true_random=False))
def test_frontier_does_not_depend_on_the_order(points: tuple[np.ndarray, np.ndarray], random) -> None:
    cost, accuracy = points
    order = np.array(random.sample(range(len(cost)), len(cost)))
    assert (on_frontier(cost[order], accuracy[order]) == on_frontier(cost, accuracy)[order]).all()


@given(POINTS)
def test_a_beaten_point_changes_nothing(points: tuple[np.ndarray, np.ndarray]) -> None:
    cost, accuracy = points
    worse_cost, worse_accuracy = np.append(cost, cost[0] + 1), np.append(accuracy, accuracy[0])
    mask = on_frontier(worse_cost, worse_accuracy)
    assert mask.tolist() == [*on_frontier(cost, accuracy).tolist(), False]


@given(POINTS)
def test_duplicates_of_a_frontier_point_are_all_kept(points: tuple[np.ndarray, np.ndarray]) -> None:
    cost, accuracy = points
    mask = on_frontier(np.tile(cost, 2), np.tile(accuracy, 2))
    assert mask.tolist() == on_frontier(cost, accuracy).tolist() * 2


def test_frontier_of_no_points_is_empty() -> None:
    assert on_frontier([], []).tolist() == []


def test_frontier_refuses_a_missing_accuracy() -> None:
    with pytest.raises(ValueError, match="not finite"):
        on_frontier([1.0, 2.0], [0.5, np.nan])


def test_frontier_of_a_hundred_thousand_points_takes_no_quadratic_time() -> None:
    rng = np.random.default_rng(0)
    cost, accuracy = rng.random(100_000), rng.random(100_000)
    started = time.perf_counter()
    on_frontier(cost, accuracy)
    assert time.perf_counter() - started < 2


def test_budget_buys_the_most_accurate_affordable_point_and_the_cheaper_of_equals() -> None:
    cost, accuracy = [10, 20, 30, 40], [0.6, 0.8, 0.8, 0.9]
    assert [accuracy_at(budget, cost, accuracy) for budget in (9, 10, 35, 40, 99)] == [None, 0, 1, 3, 3]


def test_a_mean_cost_off_by_a_rounding_still_fits_its_budget() -> None:
    assert accuracy_at(0.3, [0.1 + 0.2], [0.5]) == 0


@given(POINTS, st.integers(1, 8), st.floats(0.5, 2))
def test_what_counts_at_a_budget_keeps_it_within_a_hundredth_on_both_kinds_of_images(
    points: tuple[np.ndarray, np.ndarray], budget: int, factor: float
) -> None:
    chosen, accuracy = points
    tested = chosen * np.where(accuracy > 0.5, factor, 1)
    index = accuracy_at(TOLERANCE * budget, counted_cost(chosen, tested), accuracy)
    assert index is None or max(chosen[index], tested[index]) <= 1.01 * budget * (1 + 1e-9)


@given(POINTS, st.integers(1, 8))
def test_what_a_budget_buys_is_on_the_frontier(points: tuple[np.ndarray, np.ndarray], budget: int) -> None:
    cost, accuracy = points
    index = accuracy_at(budget, cost, accuracy)
    assert index is None if budget < cost.min() else on_frontier(cost, accuracy)[index]


def test_summary_of_three_steps_is_their_hand_computed_mean() -> None:
    # plain = 80: chance 0.1 from -3 to -2, cost 20 from -2 to -1, cost 40 from -1 to 0; cost 80 has no width.
    mean = summary([20, 40, 80], [0.5, 0.7, 0.9], [0.4, 0.8, 0.9], 80, 0.1)
    assert mean == pytest.approx((0.1 + 0.4 + 0.8) / 3)


def test_summary_ignores_a_dearer_point_that_select_found_worse() -> None:
    assert summary([10, 20], [0.7, 0.6], [0.7, 0.99], 80, 0.1) == pytest.approx(0.7)


def test_summary_of_nothing_and_of_the_plain_point_alone_is_chance() -> None:
    assert summary([], [], [], 80, 0.1) == pytest.approx(0.1)
    assert summary([80], [0.9], [0.9], 80, 0.1) == pytest.approx(0.1)


def test_summary_of_a_point_below_an_eighth_covers_everything() -> None:
    assert summary([1, 200], [0.4, 0.9], [0.5, 0.9], 80, 0.1) == pytest.approx(0.5)


@given(arrays(np.float64, 12, elements=st.floats(0.05, 2)), arrays(np.float64, 12, elements=st.floats(0, 1)))
def test_summary_is_the_mean_of_what_budgets_buy(cost: np.ndarray, accuracy: np.ndarray) -> None:
    grid = 2.0 ** (np.arange(-3, 0, 1 / 400) + 1 / 800)
    bought = [accuracy_at(budget, cost, accuracy) for budget in grid]
    sampled = np.mean([0.1 if index is None else accuracy[index] for index in bought])
    assert summary(cost, accuracy, accuracy, 1.0, 0.1) == pytest.approx(sampled, abs=0.01)
