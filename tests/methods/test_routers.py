"""Learned and Argmax routers: what their numbers mean, what they cost, and that they survive storage."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from toys import cascade_costs, synthetic

from methods.counting import count
from methods.routers import SCORES, STOP, Argmax, Heard, Learned, OperatingPoint, Policy, Said
from methods.routing import closest, simulate, trail_macs
from methods.table import PathTable

STAY, GO = Policy(weights=((0.0,),), bias=(-1.0,)), Policy(weights=((0.0,),), bias=(1.0,))


def policy(*rows: tuple[Sequence[float], float]) -> Policy:
    return Policy(weights=tuple(tuple(weights) for weights, _ in rows), bias=tuple(bias for _, bias in rows))


def learned(*policies: Policy, cascade: Sequence[int] | None = None, history: bool = False) -> Learned:
    """A router on one signal (max_prob) over answers 0, 1, ... or the given cascade."""
    answers = tuple(range(len(policies) + 1)) if cascade is None else tuple(cascade)
    return Learned(cascade=answers, features=("max_prob",), history=history, policies=policies)


def table_of(rows: Sequence[Sequence[float]]) -> PathTable:
    """A table of exits whose signals are these, [a, n]: trunk parts of 100 MACs, heads of 10, 11, 12, ..."""
    values = np.array(rows, dtype=np.float32)
    costs = cascade_costs([100] * len(values), range(10, 10 + len(values)))
    return synthetic(costs, values, np.ones(values.shape, dtype=bool))


def scores_of(rows: Sequence[Sequence[float]]) -> Heard:
    values = torch.tensor(rows, dtype=torch.float32)

    def said(name: str) -> torch.Tensor:
        assert name == SCORES
        return values

    return {9: said}


def signals_of(**values: Sequence[float]) -> Said:
    return lambda name: torch.tensor(values[name], dtype=torch.float32)


# What rows mean -----------------------------------------------------------------------------------


def test_one_row_stops_at_a_score_of_at_most_zero_and_else_goes_on() -> None:
    router = learned(policy(([1.0], -0.5)), STAY)
    assert simulate(table_of([[0.25, 0.5, 0.75]] * 3), router).answer.tolist() == [0, 0, 1]


def test_row_i_decides_between_option_i_and_all_later_ones() -> None:
    # rows: stop up to 0.25; the next answer up to 0.5; the one behind it up to 0.75; else the last
    rows = policy(([1.0], -0.25), ([1.0], -0.5), ([1.0], -0.75))
    router = learned(rows, STAY, STAY)
    values = [0.2, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9]
    assert simulate(table_of([values] * 4), router).answer.tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_rows_behind_the_one_that_stops_are_not_asked() -> None:
    rows = policy(([-1.0], 0.5), ([1.0], -0.25))  # row 0: stop from 0.5 on; row 1 would go far from 0.25 on
    router = learned(rows, STAY)
    assert simulate(table_of([[0.2, 0.3, 0.5, 0.9]] * 3), router).answer.tolist() == [1, 2, 0, 0]


def test_who_jumps_neither_visits_nor_pays_what_lies_between() -> None:
    router = learned(policy(([0.0], 1.0), ([1.0], -0.5)), GO)
    table = table_of([[0.1, 0.9]] * 3)
    routing = simulate(table, router)
    assert routing.visited.tolist() == [[True, True, True], [True, False, True]]
    # two rows of one feature at answer 0, one at answer 1; the last answer decides nothing
    assert routing.router_macs.tolist() == [3, 2]
    assert trail_macs(table, routing).tolist() == [300 + 10 + 11 + 12 + 3, 300 + 10 + 12 + 2]


def test_a_cascade_may_visit_answers_in_any_order() -> None:
    router = learned(policy(([1.0], -0.5), ([1.0], -0.8)), GO, cascade=(2, 0, 1))
    routing = simulate(table_of([[0.1, 0.6, 0.9]] * 3), router)
    assert routing.answer.tolist() == [2, 1, 1]
    assert routing.visited.tolist() == [[False, False, True], [True, True, True], [False, True, True]]


def test_history_decides_on_every_answer_so_far_oldest_first() -> None:
    second = policy(([1.0, -1.0], 0.0))  # goes on where the first was surer than the second
    router = learned(GO, second, history=True)
    table = table_of([[0.5, 0.5, 0.5], [0.4, 0.5, 0.6], [0, 0, 0]])
    assert simulate(table, router).answer.tolist() == [2, 1, 1]


def test_history_of_several_signals_keeps_each_answers_together() -> None:
    router = Learned(
        cascade=(0, 1, 2),
        features=("max_prob", "entropy"),
        history=True,
        policies=(
            Policy(weights=((0.0, 0.0),), bias=(1.0,)),
            Policy(weights=((1.0, 10.0, 100.0, 1000.0),), bias=(-4321.0,)),
        ),
    )
    heard = {0: signals_of(max_prob=[1, 1], entropy=[2, 2]), 1: signals_of(max_prob=[3, 3], entropy=[4, 5])}
    goes = router.decide(1, heard, 2)
    assert goes is not None
    assert goes.tolist() == [STOP, 2]


def test_the_last_answer_decides_nothing_and_costs_nothing() -> None:
    router = learned(GO, GO)
    assert router.decide(2, {}, 3) is None
    assert router.macs(2) == 0
    assert router.closeness(2, {}, 3).tolist() == [float("inf")] * 3


def test_a_cascade_of_one_answer_is_that_answer() -> None:
    router = learned()
    assert simulate(table_of([[0.1, 0.9]]), router).answer.tolist() == [0, 0]
    assert (router.shortest, router.jumps) == (((0,),), False)


def option(policy: Policy, value: float) -> int:
    """The reference: the first row whose score is not positive, in plain Python on exact numbers."""
    found = [
        i for i, (row, bias) in enumerate(zip(policy.weights, policy.bias, strict=True)) if row[0] * value <= -bias
    ]
    return found[0] if found else len(policy.bias)


EIGHTHS = st.integers(-8, 8).map(lambda v: v / 8)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Learned, PathTable]:
    """Routers that may jump and tables of 2 to 4 exits; all numbers are eighths, so that nothing is rounded."""
    k, n = draw(st.integers(2, 4)), draw(st.integers(1, 12))
    policies = []
    for place in range(k - 1):
        rows = draw(st.integers(1, k - 1 - place))
        policies.append(policy(*(([draw(EIGHTHS)], draw(EIGHTHS)) for _ in range(rows))))
    rows = draw(st.lists(st.lists(EIGHTHS, min_size=n, max_size=n), min_size=k, max_size=k))
    return learned(*policies), table_of(rows)


@given(problems())
@settings(max_examples=150, deadline=None)
def test_trails_are_those_of_a_loop_in_plain_python(problem: tuple[Learned, PathTable]) -> None:
    router, table = problem
    routing = simulate(table, router)
    paid = trail_macs(table, routing)
    for sample in range(len(table.labels)):
        at, trail = 0, [0]
        while at < len(router.policies) and (chosen := option(router.policies[at], table.max_prob[at, sample])):
            at += chosen
            trail.append(at)
        assert routing.answer[sample] == trail[-1]
        assert np.flatnonzero(routing.visited[sample]).tolist() == trail
        decisions = sum(len(router.policies[place].bias) for place in trail if place < len(router.policies))
        assert routing.router_macs[sample] == decisions
        assert paid[sample] == 100 * (trail[-1] + 1) + sum(10 + place for place in trail) + decisions


@given(problems())
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_samples_does_not_matter(problem: tuple[Learned, PathTable]) -> None:
    router, table = problem
    order = np.random.default_rng(0).permutation(len(table.labels))
    there, here = simulate(table.part(order), router), simulate(table, router)
    assert (there.answer == here.answer[order]).all()
    assert (there.visited == here.visited[order]).all()


@given(problems())
@settings(max_examples=100, deadline=None)
def test_shortest_trails_lead_to_every_reachable_answer_and_are_no_longer_than_any_taken(
    problem: tuple[Learned, PathTable],
) -> None:
    router, table = problem
    shortest = {trail[-1]: trail for trail in router.shortest}
    routing = simulate(table, router)
    assert set(shortest) == set(router.cascade)
    for answer, visited in zip(routing.answer, routing.visited, strict=True):
        assert len(shortest[int(answer)]) <= visited.sum()


def test_shortest_trails_by_hand() -> None:
    two = policy(([1.0], 0.0), ([1.0], 0.0))
    assert learned(GO, GO, GO).shortest == ((0,), (0, 1), (0, 1, 2), (0, 1, 2, 3))
    assert learned(GO, two, GO).shortest == ((0,), (0, 1), (0, 1, 2), (0, 1, 3))
    assert learned(two, GO, GO).shortest == ((0,), (0, 1), (0, 2), (0, 2, 3))


# Closeness ----------------------------------------------------------------------------------------


def decisions(router: Any, at: int, features: NDArray[np.float64]) -> list[int]:
    heard = {at: signals_of(max_prob=features[:, 0].tolist(), margin=features[:, 1].tolist())}
    goes = router.decide(at, heard, len(features))
    assert goes is not None
    found: list[int] = goes.tolist()
    return found


NUMBERS = st.floats(-2, 2, width=32)
TWO = st.tuples(NUMBERS, NUMBERS)


@given(st.lists(st.tuples(TWO, NUMBERS), min_size=1, max_size=3), TWO)
@settings(max_examples=200, deadline=None)
def test_closeness_is_how_far_the_features_have_to_move_for_another_decision_no_more_no_less(
    rows: list[tuple[tuple[float, float], float]], features: tuple[float, float]
) -> None:
    assume(all(abs(a) + abs(b) > 0.1 for (a, b), _ in rows))
    router = Learned(
        cascade=(0, 1, 2, 3),
        features=("max_prob", "margin"),
        policies=(policy(*rows), *(Policy(weights=((0.0, 0.0),), bias=(1.0,)),) * 2),
    )
    heard = {0: signals_of(max_prob=[features[0]], margin=[features[1]])}
    near = float(router.closeness(0, heard, 1))
    assume(near > 1e-3)
    corners = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)], dtype=float)
    now = decisions(router, 0, np.array([features]))
    assert decisions(router, 0, np.array(features) + 0.999 * near * corners) == now * 4
    assert decisions(router, 0, np.array(features) + 1.001 * near * corners) != now * 4


def test_a_decision_that_is_the_same_for_everybody_is_never_close() -> None:
    heard = {0: signals_of(max_prob=[0.0, 0.3])}
    zero = learned(policy(([0.0], 0.0)), STAY)
    assert learned(GO).closeness(0, heard, 2).tolist() == [float("inf")] * 2
    assert zero.closeness(0, heard, 2).tolist() == [float("inf")] * 2


def test_the_closest_decision_anywhere_on_the_trail_counts_and_only_there() -> None:
    router = learned(policy(([1.0], -0.5)), policy(([1.0], -0.5)))
    table = table_of([[0.75, 0.25, 0.625], [0.5625, 0.5, 0.75], [0, 0, 0]])
    assert closest(table, router).tolist() == [0.0625, 0.25, 0.125]


# Costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("features", [("entropy",), ("max_prob", "margin", "entropy")])
def test_the_macs_of_a_decision_are_those_that_the_counter_sees(rows: int, features: tuple[Any, ...]) -> None:
    width = len(features)
    router = Learned(
        cascade=(0, 1, 2, 3),
        features=features,
        policies=(
            policy(*([[0.5] * width, 0.1],) * rows),  # type: ignore[arg-type]
            *(Policy(weights=((1.0,) * width,), bias=(0.0,)),) * 2,
        ),
    )
    heard = {0: signals_of(**{name: [0.5] * 5 for name in features})}
    for n in (1, 5):
        few: Heard = {0: lambda name, n=n: heard[0](name)[:n]}  # type: ignore[misc]
        macs = count(lambda few=few, n=n: router.decide(0, few, n)).macs  # type: ignore[misc, arg-type, return-value]
        assert macs == n * router.macs(0) == n * rows * width


def test_with_history_later_decisions_cost_more() -> None:
    router = learned(GO, policy(([1.0, 1.0], 0.0)), policy(([1.0, 1.0, 1.0], 0.0)), history=True)
    assert [router.macs(at) for at in range(4)] == [1, 2, 3, 0]


def test_choosing_what_scores_highest_costs_no_macs() -> None:
    router = Argmax(probe=9, options=(0, 1), bias=(0.0, 0.5))
    macs = count(lambda: router.decide(9, scores_of([[1, 2]]), 1)).macs  # type: ignore[arg-type, return-value]
    assert macs == router.macs(9) == router.macs(0) == 0


# Argmax -------------------------------------------------------------------------------------------


def chosen(router: Argmax, *rows: Sequence[float]) -> list[int]:
    goes = router.decide(9, scores_of(rows), len(rows))
    assert goes is not None
    found: list[int] = goes.tolist()
    return found


def test_score_j_speaks_for_option_j_whatever_its_number() -> None:
    router = Argmax(probe=9, options=(5, 0, 3), bias=(0.0, 0.0, 0.0))
    assert chosen(router, [3, 1, 2], [1, 3, 2], [1, 2, 3]) == [5, 0, 3]


def test_of_equal_scores_the_first_option_is_taken() -> None:
    router = Argmax(probe=9, options=(0, 1, 2), bias=(0.0, 0.0, 0.0))
    assert chosen(router, [1, 1, 1], [0, 2, 2]) == [0, 1]
    assert router.closeness(9, scores_of([[1, 1, 1], [0, 2, 2]]), 2).tolist() == [0, 0]


def test_the_bias_is_added_to_the_scores() -> None:
    router = Argmax(probe=9, options=(0, 1), bias=(0.0, 1.0))
    assert chosen(router, [1.5, 1], [2.5, 1], [2, 1]) == [1, 0, 0]


def test_the_closeness_of_a_choice_is_half_the_lead_of_the_best() -> None:
    router = Argmax(probe=9, options=(0, 1, 2), bias=(0.0, 0.0, 1.0))
    assert router.closeness(9, scores_of([[4, 1, 2], [0, 5, 4]]), 2).tolist() == [0.5, 0]
    assert router.closeness(0, {}, 2).tolist() == [float("inf")] * 2


def test_one_option_is_for_everybody_and_never_close() -> None:
    router = Argmax(probe=9, options=(4,), bias=(0.0,))
    assert chosen(router, [-1], [7]) == [4, 4]
    assert router.closeness(9, scores_of([[-1], [7]]), 2).tolist() == [float("inf")] * 2
    assert router.shortest == ((9, 4),)


def test_whoever_was_sent_to_an_option_stops_there() -> None:
    router = Argmax(probe=2, options=(0, 1), bias=(0.0, 0.0))
    assert router.decide(0, {}, 3) is None
    assert (router.start, router.outputs) == (2, (2, 0, 1))
    assert router.shortest == ((2, 0), (2, 1))


# Storage and validation ---------------------------------------------------------------------------


ROUTERS = [
    learned(policy(([0.1], 1 / 3), ([1e-30], -2.0)), GO),
    learned(GO, policy(([1.0, -1.0], 0.0)), history=True),
    Argmax(probe=3, options=(2, 0, 1), bias=(0.1, 1 / 3, -1e30)),
]


@pytest.mark.parametrize("router", ROUTERS, ids=["jumps", "history", "argmax"])
def test_routers_survive_json_to_the_last_bit(router: Any) -> None:
    point = OperatingPoint(name="p", router=router)
    again = OperatingPoint.model_validate_json(point.model_dump_json())
    assert again == point
    assert type(again.router) is type(router)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: learned(GO, cascade=(0, 1, 2)), "a policy for each but the last"),
        (lambda: learned(GO, GO, cascade=(0, 1, 0)), "distinct answers"),
        (lambda: learned(cascade=()), "a policy for each but the last"),
        (lambda: learned(policy(([1.0], 0.0), ([1.0], 0.0))), "fewer answers behind it"),
        (lambda: learned(policy(([1.0, 1.0], 0.0))), "does not fit"),
        (lambda: learned(GO, GO, history=True), "does not fit"),
        (lambda: learned(GO, policy(([1.0] * 2, 0.0), ([1.0] * 2, 0.0)), GO, history=True), "does not fit|one trail"),
        (lambda: Policy(weights=((1.0,),), bias=()), "a bias for each"),
        (lambda: Policy(weights=(), bias=()), "a bias for each"),
        (lambda: Policy(weights=((1.0,), (1.0, 2.0)), bias=(0.0, 0.0)), "equally many weights"),
        (lambda: Argmax(probe=3, options=(0, 1), bias=(0.0,)), "a bias for each"),
        (lambda: Argmax(probe=3, options=(), bias=()), "distinct options"),
        (lambda: Argmax(probe=3, options=(1, 1), bias=(0.0, 0.0)), "distinct options"),
        (lambda: Argmax(probe=3, options=(1, 3), bias=(0.0, 0.0)), "distinct options"),  # it would go in circles
    ],
)
def test_a_router_that_makes_no_sense_is_refused(made: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        made()


def test_a_history_of_three_answers_with_a_jump_is_refused() -> None:
    jump = policy(([1.0], 0.0), ([1.0], 0.0))
    with pytest.raises(ValueError, match="one trail"):
        learned(jump, policy(([1.0, 1.0], 0.0)), policy(([1.0, 1.0, 1.0], 0.0)), history=True)
