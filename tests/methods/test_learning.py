"""Learned routing: the decisions' labels and weights, their order, what is fitted, and which points are offered."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from toys import cascade_costs, synthetic, tables

from methods.cost import Costs
from methods.errors import MethodError
from methods.learning import (
    Bools,
    Floats,
    Problem,
    chain,
    explore,
    fit_policies,
    fit_row,
    induction,
    learned_points,
    logistic,
    pose,
    step_macs,
)
from methods.routers import Router
from methods.routing import simulate, trail_macs
from methods.table import PathTable
from methods.thresholds import cascade_macs, threshold_points

tradeoffs = st.floats(0, 100)


def exits(correct: Sequence[Sequence[int]], trunk: Sequence[int], heads: Sequence[int] | None = None) -> PathTable:
    """A table of exits that are right where `correct` [a, n] is 1; confidence says nothing."""
    right = np.array(correct, dtype=bool)
    costs = cascade_costs(trunk, heads or [0] * len(trunk))
    return synthetic(costs, np.full(right.shape, 0.5, dtype=np.float32), right)


def networks(macs: Sequence[int]) -> Costs:
    """Costs of separate networks: nothing is shared."""
    return Costs(tuple(f"net {i}" for i in range(len(macs))), np.array(macs), np.eye(len(macs), dtype=bool))


def unregularised() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="newton-cholesky", C=np.inf, tol=1e-10)


def oracle(features: Floats, gain: Floats) -> tuple[Bools, Bools]:
    """The labels themselves as decisions."""
    return gain > 0, gain > 0


def gains(problem: Problem, tradeoff: float) -> list[list[Floats]]:
    """What going on saves at each row of each place, under the oracle's tail."""
    return induction(problem, tradeoff, lambda features, gain: (gain, gain > 0))


def follow(table: PathTable, cascade: Sequence[int], rules: list[list[Bools]]) -> tuple[Bools, NDArray[np.int64]]:
    """Answers each sample goes through, [n, a], and its last one, under rules that say who goes on."""
    visited = np.zeros((len(table.labels), len(table.answers)), dtype=bool)
    last = np.zeros(len(table.labels), dtype=np.int64)
    for sample in range(len(visited)):
        place, step = 0, 1
        visited[sample, cascade[0]] = True
        while step and place < len(cascade) - 1:
            step = int(np.cumprod([row[sample] for row in rules[place]]).sum())
            place += step
            visited[sample, cascade[place]] = True
        last[sample] = cascade[place]
    return visited, last


def outcome(table: PathTable, router: Router) -> tuple[float, float]:
    """Mean MACs and accuracy of a router on a table."""
    routing = simulate(table, router)
    right = table.correct[routing.answer, np.arange(len(table.labels))]
    return float(trail_macs(table, routing).mean()), float(right.mean())


# Labels, weights, and the order of the decisions --------------------------------------------------


def test_going_on_gains_what_it_saves_in_loss_less_what_it_costs() -> None:
    #              both right, only the later, only the first, none
    table = exits([[1, 0, 1, 0], [1, 1, 0, 0]], trunk=[60, 40])
    for tradeoff, expected in ((1.0, [-0.4, 0.6, -1.4, -0.4]), (0.25, [-0.4, -0.15, -0.65, -0.4])):
        ((gain,),) = gains(pose(table, (0, 1)), tradeoff)
        np.testing.assert_allclose(gain, expected)


def test_the_tail_is_paid_with_its_decision_and_every_head_on_the_way() -> None:
    table = exits([[0], [0], [1]], trunk=[500, 300, 190], heads=[10, 10, 10])  # the last alone: 1000
    ((first,), (second,)) = gains(pose(table, (0, 1, 2), features=("entropy",)), tradeoff=1.0)
    assert second[0] == pytest.approx(1 - 0.2)
    assert first[0] == pytest.approx(1 - (0.310 + 0.001 + 0.2))  # one MAC decides after answer 1


def test_the_last_row_with_jumps_weighs_the_farthest_answer_against_the_one_before() -> None:
    table = exits([[0, 0], [1, 0], [1, 1]], trunk=[500, 300, 190], heads=[10, 10, 10])
    (stop_or_go, far_or_near), (second,) = gains(pose(table, (0, 1, 2), features=("entropy",), jumps=True), 1.0)
    np.testing.assert_allclose(second, [-0.2, 0.8])
    np.testing.assert_allclose(far_or_near, [0.310 + 0.001 - 0.5, 0.310 + 0.001 + 0.2 - 0.5])
    np.testing.assert_allclose(stop_or_go, [1 - 0.310 - 0.001, 1 - 0.5])


@pytest.mark.parametrize(("jumps", "expected"), [(False, [3, 2, 1]), (True, [3, 2, 2, 1, 1, 1])])
def test_the_last_decision_is_made_first(jumps: bool, expected: list[int]) -> None:
    places = np.arange(1, 5, dtype=np.float32)[:, None]
    table = synthetic(cascade_costs([1] * 4, [1] * 4), places, np.ones((4, 1), dtype=bool))
    order: list[int] = []

    def decide(features: Floats, gain: Floats) -> tuple[None, Bools]:
        order.append(int(features[0, 0]))
        return None, gain > 0

    induction(pose(table, range(4), jumps=jumps), 1.0, decide)
    assert order == expected


def test_a_decision_knows_what_those_behind_it_really_do_and_nothing_of_those_before() -> None:
    problem = pose(exits([[0], [0], [1]], trunk=[1, 1, 1]), (0, 1, 2))

    def with_flipped(place: int) -> list[float]:
        found: list[float] = []

        def decide(features: Floats, gain: Floats) -> tuple[None, Bools]:
            found.insert(0, float(gain[0]))
            return None, (gain > 0) != (len(found) == 2 - place)

        induction(problem, 10.0, decide)
        return found

    straight, first_flipped, last_flipped = with_flipped(9), with_flipped(0), with_flipped(1)
    assert first_flipped == straight
    assert (last_flipped[1], straight[0] > 0, last_flipped[0] < 0) == (straight[1], True, True)


def paid(table: PathTable, visited: Bools, jumps: bool) -> Floats:
    """What these trails [n, a] cost as a share of the dearest answer, with three MACs for each row of a policy."""
    rows = np.arange(visited.shape[1] - 1, -1, -1) if jumps else np.arange(visited.shape[1]) < visited.shape[1] - 1
    shares: Floats = (table.costs.trails(visited) + 3 * visited @ rows) / table.macs.max()
    return shares


@given(tables(), tradeoffs, st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_oracle_takes_the_best_of_all_trails(table: PathTable, tradeoff: float, jumps: bool) -> None:
    """With jumps the last answer is all that a decision knows; for exits nothing is lost by that."""
    k, n = len(table.answers), len(table.labels)
    leaps = [(0, *some) for r in range(k) for some in combinations(range(1, k), r)]
    values = []
    for trail in leaps if jumps else [range(i) for i in range(1, k + 1)]:
        visited = np.tile(np.isin(np.arange(k), trail), (n, 1))
        values.append(paid(table, visited, jumps) + tradeoff * ~table.correct[trail[-1]])
    visited, last = follow(table, range(k), induction(pose(table, range(k), jumps=jumps), tradeoff, oracle))
    found = paid(table, visited, jumps) + tradeoff * ~table.correct[last, np.arange(n)]
    np.testing.assert_allclose(found, np.min(values, axis=0), atol=1e-9)


@given(tables(), tradeoffs, tradeoffs, st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_oracle_never_pays_less_for_a_higher_tradeoff(table: PathTable, a: float, b: float, jumps: bool) -> None:
    cascade = range(len(table.answers))
    problem = pose(table, cascade, jumps=jumps)
    low, high = (
        paid(table, follow(table, cascade, induction(problem, tradeoff, oracle))[0], jumps)
        for tradeoff in sorted((a, b))
    )
    assert (high >= low - 1e-9).all()


# Costs --------------------------------------------------------------------------------------------


def test_selection_costs_the_sum_of_all_networks_on_the_trail() -> None:
    costs = networks([1, 20, 300])
    steps = step_macs(costs, (0, 1, 2), jumps=True)[..., 0]
    assert (steps[0, 1], steps[0, 2], steps[1, 2]) == (20, 300, 300)
    assert cascade_macs(costs, (0, 1, 2))[:, 0].tolist() == [1, 21, 321]
    assert np.diagonal(step_macs(costs, (0, 1, 2), jumps=False)[..., 0], 1).tolist() == [20, 300]


@given(tables(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_steps_along_a_trail_of_exits_add_up_to_its_cost(table: PathTable, jumps: bool) -> None:
    k = len(table.answers)
    steps = step_macs(table.costs, range(k), jumps=jumps)[..., 0]
    for r in range(k) if jumps else [k - 1]:
        for some in combinations(range(1, k), r):
            visited = np.isin(np.arange(k), (0, *some))[None]
            assert table.macs[0] + sum(steps[a, b] for a, b in pairwise((0, *some))) == table.costs.trails(visited)[0]


def test_without_jumps_work_that_an_earlier_answer_did_is_not_paid_again() -> None:
    uses = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]], dtype=bool)  # 2 shares with 0, not with 1
    costs = Costs(("a", "b", "c", "d"), np.array([1, 10, 100, 1000]), uses)
    assert step_macs(costs, (0, 1, 2), jumps=False)[1, 2] == 1000
    assert step_macs(costs, (0, 1, 2), jumps=True)[1, 2] == 1001


# One decision -------------------------------------------------------------------------------------


def some_decision(n: int = 200, seed: int = 0) -> tuple[Floats, Floats]:
    """Features [n, 2] and gains [n] that depend on them, with noise."""
    rng = np.random.default_rng(seed)
    features = rng.random((n, 2))
    gain = features @ [1.0, -2.0] + 0.4 + 0.4 * rng.standard_normal(n)
    return features, gain


@pytest.mark.parametrize("classifier", [logistic, unregularised])
def test_scaling_all_weights_changes_nothing(classifier: Any) -> None:
    features, gain = some_decision()
    (weights, bias), later = fit_row(features, gain, classifier)
    (scaled, scaled_bias), scaled_later = fit_row(features, 1000 * gain, classifier)
    assert scaled == pytest.approx(weights)
    assert scaled_bias == pytest.approx(bias)
    assert (scaled_later == later).all()


@pytest.mark.parametrize("classifier", [logistic, unregularised])
def test_samples_of_no_weight_do_not_matter(classifier: Any) -> None:
    features, gain = some_decision()
    strange = np.random.default_rng(1).random((500, 2)) * [9, 0.1]
    (weights, _), later = fit_row(features, gain, classifier)
    (same, _), with_strange = fit_row(np.vstack([features, strange]), np.append(gain, np.zeros(500)), classifier)
    assert same == pytest.approx(weights, rel=1e-9)
    assert (with_strange[:200] == later).all()


def test_the_heavier_side_is_served_where_features_do_not_tell_them_apart() -> None:
    features = np.array([[0.1], [0.1], [0.2], [0.2]])
    for gain, goes in (([3.0, -1, 3, -1], True), ([3.0, -4, 3, -4], False)):
        assert fit_row(features, np.array(gain))[1].tolist() == [goes] * 4


@pytest.mark.parametrize(("gain", "bias"), [([1.0, 2, 0], 1.0), ([-1.0, 0, -3], -1.0), ([0.0, 0, 0], -1.0)])
def test_where_all_agree_the_decision_is_constant_and_ties_stop(gain: list[float], bias: float) -> None:
    row, later = fit_row(np.random.default_rng(0).random((3, 2)), np.array(gain))
    assert row == ((0.0, 0.0), bias)
    assert later.tolist() == [bias > 0] * 3


def test_features_that_never_vary_give_a_constant_decision() -> None:
    row, later = fit_row(np.full((4, 2), 0.3), np.array([1.0, -2, 1, -2]))
    assert row == ((0.0, 0.0), -1.0)
    assert not later.any()


def test_collinear_features_are_no_problem() -> None:
    features, gain = some_decision()
    repeated = np.repeat(features, 3, axis=1)
    assert (fit_row(repeated, gain)[1] == fit_row(features, gain)[1]).mean() > 0.98


def test_no_sample_lies_within_a_millionth_of_the_boundary_where_there_is_room() -> None:
    for seed in range(20):
        features, gain = some_decision(seed=seed)
        (weights, bias), later = fit_row(features, gain)
        scores = features @ weights + bias
        below, above = scores[~later].max(), scores[later].min()
        assert below == pytest.approx(-above)
        assert above > 1e-6
        assert np.abs(weights).sum() == pytest.approx(1)


def test_a_classifier_that_is_not_linear_or_takes_no_weights_is_refused_in_one_line() -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    table = exits([[1, 0], [1, 1]], trunk=[1, 1])
    with pytest.raises(MethodError, match="DecisionTreeClassifier has no coef_: a policy needs a linear classifier"):
        fit_policies(table, (0, 1), 9.0, classifier=DecisionTreeClassifier)
    with pytest.raises(MethodError, match="KNeighborsClassifier takes no sample weights"):
        fit_policies(table, (0, 1), 9.0, classifier=KNeighborsClassifier)


# Whole routers ------------------------------------------------------------------------------------


def separable(n: int = 300, seed: int = 0) -> PathTable:
    """Three exits; confidence tells who is right, but at each exit by another scale. The last is always right."""
    confidence = np.random.default_rng(seed).random((3, n)).astype(np.float32)
    right = np.stack([confidence[0] > 0.8, confidence[1] > 0.3, np.ones(n, dtype=bool)])
    return synthetic(cascade_costs([100] * 3, [5] * 3), confidence, right)


@given(tables(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_at_tradeoff_zero_everybody_stops_at_the_first_answer(table: PathTable, jumps: bool) -> None:
    router = fit_policies(table, range(len(table.answers)), 0.0, jumps=jumps)
    assert (simulate(table, router).answer == 0).all()


@pytest.mark.parametrize("options", [{}, {"jumps": True}, {"history": True}])
def test_at_a_huge_tradeoff_accuracy_is_at_least_that_of_the_full_answer(options: Any) -> None:
    table = separable()
    assert outcome(table, fit_policies(table, (0, 1, 2), 1e6, **options))[1] == table.correct[2].mean()


@given(tables(), tradeoffs, st.sampled_from(["plain", "jumps", "history"]))
@settings(max_examples=40, deadline=None)
def test_the_router_does_what_was_decided_when_it_was_fitted(table: PathTable, tradeoff: float, kind: str) -> None:
    cascade = range(len(table.answers))
    options: Any = {} if kind == "plain" else {kind: True}
    decided = induction(
        pose(table, cascade, **options), tradeoff, lambda features, gain: (fit_row(features, gain)[1],) * 2
    )
    visited, last = follow(table, cascade, decided)
    routing = simulate(table, fit_policies(table, cascade, tradeoff, **options))
    assert (routing.visited == visited).all()
    assert (routing.answer == last).all()


def test_a_learned_router_beats_one_common_threshold_and_every_mixture_of_its_answers() -> None:
    fit, test = separable(1000, seed=1), separable(5000, seed=2)
    learned = [outcome(test, p.router) for p in learned_points(fit, (0, 1, 2), 20)]
    common = [outcome(test, p.router) for p in threshold_points(fit, "max_prob", (0, 1, 2), 99)]
    macs, accuracy = test.macs.astype(float), test.correct.mean(axis=1)
    assert all(right > np.interp(cost, macs, accuracy) for cost, right in learned)
    cheapest = min(cost for cost, right in learned if right >= 0.98)  # about 214 by hand, 256 with one threshold
    assert cheapest < 0.95 * min(cost for cost, right in common if right >= 0.98)
    assert cheapest < 0.8 * np.interp(0.98, accuracy, macs)


def test_a_history_is_the_features_of_every_answer_so_far_oldest_first() -> None:
    table = separable(4)
    table = replace(table, entropy=table.entropy + 10)
    problem = pose(table, (0, 2, 1), history=True, features=("margin", "entropy"))
    np.testing.assert_array_equal(problem.features[0], np.stack([table.margin[0], table.entropy[0]], axis=1))
    np.testing.assert_array_equal(
        problem.features[1],
        np.stack([table.margin[0], table.entropy[0], table.margin[2], table.entropy[2]], axis=1),
    )
    router = fit_policies(table, (0, 2, 1), 5.0, history=True, features=("margin", "entropy"))
    assert [len(policy.weights[0]) for policy in router.policies] == [2, 4]


def test_the_loss_may_be_a_function_of_the_table() -> None:
    table = separable()
    given_loss = fit_policies(table, (0, 1, 2), 3.0, loss=lambda t: 1.0 - t.correct)
    assert given_loss == fit_policies(table, (0, 1, 2), 3.0)
    assert given_loss != fit_policies(table, (0, 1, 2), 3.0, loss="cross_entropy")


def test_what_cannot_be_fitted_is_refused_in_one_line() -> None:
    table = separable(5)
    with pytest.raises(MethodError, match="choose history or jumps"):
        fit_policies(table, (0, 1, 2), 1.0, history=True, jumps=True)
    for tradeoff in (-1.0, np.inf, np.nan):
        with pytest.raises(MethodError, match="a trade-off is a number from 0 on"):
            fit_policies(table, (0, 1, 2), tradeoff)
    with pytest.raises(MethodError, match="did training diverge"):
        fit_policies(replace(table, entropy=table.entropy * np.nan), (0, 1, 2), 1.0)


# Operating points ---------------------------------------------------------------------------------


@given(tables(), st.integers(0, 6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_points_are_at_most_as_many_as_asked_and_all_differ(table: PathTable, count: int, jumps: bool) -> None:
    points = learned_points(table, range(len(table.answers)), count, jumps=jumps)
    assert len(points) <= count
    assert len({p.name for p in points}) == len(points)
    routings = [simulate(table, p.router) for p in points]
    assert len({r.visited.tobytes() for r in routings}) == len(points)
    assert all((r.answer != 0).any() for r in routings)


@pytest.mark.parametrize("jumps", [False, True])
def test_points_are_spread_over_the_reachable_mean_cost_by_rising_tradeoff(jumps: bool) -> None:
    rng = np.random.default_rng(0)
    signals = rng.random((3, 2000)).astype(np.float32)
    right = rng.random((3, 2000)) < np.array([0.4, 0.7, 0.9])[:, None] * signals**0.3
    table = synthetic(cascade_costs([100] * 3, [1] * 3), signals, right)
    points = learned_points(table, (0, 1, 2), 10, jumps=jumps)
    macs = np.array([outcome(table, p.router)[0] for p in points])
    values = [float(p.name.removeprefix("lambda=")) for p in points]
    assert len(points) >= 8
    assert values == sorted(values)
    assert np.diff(np.sort(macs)).max() < 0.25 * np.ptp(macs)
    assert all(p.name.isascii() for p in points)


def test_there_are_no_points_where_there_is_nothing_to_decide_or_to_gain() -> None:
    table = separable()
    assert learned_points(table, (1,), 5) == learned_points(table, (0, 1), 0) == []
    assert learned_points(exits([[1, 0], [1, 0]], trunk=[1, 1]), (0, 1), 5) == []


def test_the_sweep_looks_closer_where_the_cost_changes() -> None:
    found = explore(lambda tradeoff: float(tradeoff > 30), 1.0, 1000.0, 12)
    assert len(found) == 12
    assert sum(20 < tradeoff < 45 for tradeoff in found) >= 4
    assert len(explore(lambda tradeoff: 1.0, 1.0, 1000.0, 50)) < 10


# Chains -------------------------------------------------------------------------------------------


def family(macs: Sequence[int], right: Sequence[int], n: int = 10) -> PathTable:
    """Separate networks that are right on the first `right` of n samples."""
    correct = np.arange(n) < np.array(right)[:, None]
    return synthetic(networks(macs), np.ones(correct.shape, dtype=np.float32), correct)


def test_a_chain_holds_answers_that_no_other_beats_by_rising_cost() -> None:
    assert chain(family([30, 10, 20, 25, 40], [7, 5, 5, 6, 9])) == (1, 3, 0, 4)


def test_a_chain_is_thinned_evenly_over_cost() -> None:
    table = family(range(10, 111, 10), range(11), n=11)
    assert chain(table, 3) == (0, 5, 10)
    assert len(chain(table)) == 5


def test_the_full_answer_stays_in_a_chain_where_it_is_dearest_or_unbeaten() -> None:
    assert chain(family([10, 20, 30], [5, 9, 8])) == (0, 1, 2)
    assert chain(family([10, 20, 90, 30], [5, 6, 9, 7]), 2) == (3, 2)
    assert chain(family([10, 30, 30], [5, 9, 8])) == (0, 1)
    assert chain(family([10, 40, 30], [5, 9, 4])) == (0, 1)


@given(tables(), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_chain_has_at_most_so_many_answers_of_strictly_rising_cost(table: PathTable, count: int) -> None:
    found = chain(table, count)
    assert 1 <= len(found) <= count
    assert all(table.macs[a] < table.macs[b] for a, b in pairwise(found))
