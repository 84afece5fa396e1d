"""The paired latency test: exact, distribution-free, and quiet about nothing."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from benchmarks.gate.shift import (
    LEVEL,
    SCREENING_PAIRS,
    fresh_pairs,
    hodges_lehmann,
    judged,
    signed_rank,
    within,
)

VALUES = st.lists(st.floats(-1, 1).filter(lambda v: abs(v) > 1e-6), min_size=1, max_size=12, unique_by=abs)


@given(VALUES)
def test_the_signed_rank_test_is_scipys_exact_one(values: list[float]) -> None:
    assert signed_rank(values) == pytest.approx(wilcoxon(values, alternative="greater", method="exact").pvalue)


def test_the_p_value_is_the_share_of_sign_patterns_that_are_as_extreme() -> None:
    sizes = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    observed = np.array([1, -1, 1, 1, 1]) * sizes
    ranks = np.arange(1, 6)
    sums = [int((ranks * (np.array(signs) > 0)).sum()) for signs in product((1, -1), repeat=5)]
    assert signed_rank(observed) == np.mean(np.array(sums) >= 1 + 3 + 4 + 5)


def test_values_of_zero_count_for_nobody_and_ties_against_the_alternative() -> None:
    assert signed_rank([0.0, 0.0]) == 1
    assert signed_rank([0.0, 1, 2, 3]) == signed_rank([1, 2, 3]) == 1 / 8
    assert signed_rank([1, 1, -1]) == pytest.approx(5 / 8)  # the negative one has rank 3 of 3: P(W <= 3)


@given(VALUES, st.floats(-1, 1))
def test_the_estimate_moves_with_the_values_and_lies_in_its_interval(values: list[float], by: float) -> None:
    found, moved = hodges_lehmann(values), hodges_lehmann([value + by for value in values])
    assert found.low <= found.mean <= found.high
    assert np.allclose(np.array(moved), np.array(found) + by)


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=12, unique_by=abs))
def test_the_interval_holds_what_the_test_does_not_reject(values: list[float]) -> None:
    """A bound of the interval is where the one-sided p-value crosses 2.5%."""
    interval, step = hodges_lehmann(values), 1e-7
    assert signed_rank(np.array(values) - interval.low - step) > 0.025
    assert signed_rank(np.array(values) - interval.low + step) <= 0.025 + 1e-12 or interval.low == interval.high


def test_six_values_have_a_95_percent_interval_from_end_to_end() -> None:
    assert hodges_lehmann([1, 2, 3, 4, 5, 6])[1:] == (1, 6)  # 2 / 64 is 3.1%


@pytest.mark.parametrize("suspects", [1, 2, 8, 17, 100])
def test_enough_fresh_pairs_that_three_ranks_may_disagree_after_holm(suspects: int) -> None:
    pairs = fresh_pairs(suspects)
    disagreeing = np.array([*range(1, pairs + 1)]) * np.where(np.arange(1, pairs + 1) == 3, -1.0, 1.0)
    assert suspects * signed_rank(disagreeing) <= LEVEL
    assert suspects * 5 / 2 ** (pairs - 1) > LEVEL


def test_a_point_whose_pairs_are_all_within_the_tolerance_passes_at_once() -> None:
    assert within([0.04, -0.04, 0.0, 0.048], 0.05)
    assert not within([0.04, -0.04, 0.0, 0.05], 0.05)
    found = judged({"p": [0.01, 0.02, -0.01, 0.0]}, {}, 0.05)["p"]
    assert (found.verdict, found.fresh, found.p) == ("pass", (), 1.0)


def test_fresh_pairs_decide_and_screening_does_not_count() -> None:
    wild = {"p": [9.0, 9.0, 9.0, 9.0]}
    tidy = [0.001 * k for k in range(-4, 5)]
    assert judged(wild, {"p": tidy}, 0.05)["p"].verdict == "pass"
    assert judged(wild, {"p": [0.18 + v for v in tidy]}, 0.05)["p"].verdict == "regression"
    assert judged(wild, {"p": [-0.18 + v for v in tidy]}, 0.05)["p"].verdict == "improvement"
    assert judged(wild, {"p": [math.log1p(0.05) + v for v in tidy]}, 0.05)["p"].verdict == "inconclusive"
    assert judged(wild, {"p": [-0.3, 0.4, -0.2, 0.3, 0.1, -0.1, 0.25, -0.05, 0.2]}, 0.05)["p"].verdict == "inconclusive"


def test_ratios_are_of_head_over_base() -> None:
    found = judged({"p": [0.2] * 4}, {"p": [math.log(1.2)] * 9}, 0.05)["p"]
    assert found.estimate.mean == pytest.approx(1.2)
    assert found.p == pytest.approx(2**-9)


def test_more_suspects_need_more_evidence_each() -> None:
    shifts = [0.1] * 8  # p = 1 / 256 alone
    alone = judged({"a": [1.0] * 4}, {"a": shifts}, 0.05)
    assert alone["a"].verdict == "regression"
    three = dict.fromkeys("abc", shifts)
    assert all(found.verdict == "inconclusive" for found in judged(three, three, 0.05).values())


def test_without_any_difference_false_regressions_are_rarer_than_the_level_even_at_the_tolerance() -> None:
    """The worst case of the null: every point is slower by exactly the tolerance, with heavy tails."""
    rng = np.random.default_rng(0)
    bound, alarms, gates = math.log1p(0.05), 0, 600
    for _ in range(gates):
        draw = lambda n: (bound + 0.03 * rng.standard_t(2, n)).tolist()  # noqa: E731
        screening = {name: draw(SCREENING_PAIRS) for name in "abcd"}
        fresh = {name: draw(fresh_pairs(4)) for name, first in screening.items() if not within(first, 0.05)}
        alarms += any(found.verdict == "regression" for found in judged(screening, fresh, 0.05).values())
    assert alarms <= 15  # of 600 at 1%: 6 expected, 16 or more with probability 0.0005
