"""Tests of differences, against scipy and against hand counts."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.stats.inference import auroc, bootstrap, holm, mcnemar, midranks, paired_t, spearman

FLOATS = st.floats(-100, 100)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(st.lists(FLOATS, min_size=2, max_size=30))
def test_paired_t_is_scipys_test_and_interval(differences: list[float]) -> None:
    assume(np.std(differences) > 1e-6)
    expected = stats.ttest_1samp(differences, 0)
    (mean, low, high), p = paired_t(differences)
    interval = expected.confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((np.mean(differences), interval.low, interval.high), abs=1e-9)
    assert p == pytest.approx(expected.pvalue, abs=1e-9)


def test_paired_t_of_three_seeds_is_the_hand_computed_one() -> None:
    # mean 2, standard deviation 1, standard error 1/sqrt(3) = 0.57735; t(0.975, 2) = 4.302653
    assert paired_t([1.0, 2.0, 3.0])[0] == pytest.approx((2, 2 - 2.48414, 2 + 2.48414), abs=1e-5)


def test_one_pair_supports_no_interval_and_none_no_mean() -> None:
    (mean, low, high), p = paired_t([0.25])
    assert mean == 0.25
    assert all(math.isnan(value) for value in (low, high, p))
    with pytest.raises(ValueError, match="at least one pair"):
        paired_t([])


@pytest.mark.parametrize(("differences", "p"), [([0.5, 0.5], 0.0), ([0.0, 0.0, 0.0], 1.0)])
def test_differences_that_never_vary_are_their_own_interval(differences: list[float], p: float) -> None:
    assert paired_t(differences) == ((differences[0],) * 3, p)


def test_holm_of_three_is_the_hand_computed_one() -> None:
    # sorted: 3 x 0.01, 2 x 0.02, 1 x 0.03, and never below the one before
    assert holm([0.03, 0.01, 0.02]).tolist() == pytest.approx([0.04, 0.03, 0.04])


@given(P_VALUES)
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    given_p, adjusted = np.array(p_values), holm(p_values)
    assert (adjusted >= given_p - 1e-12).all()
    assert (adjusted <= np.minimum(given_p * len(p_values), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(given_p, kind="stable")]) >= 0).all()


def test_holm_leaves_out_what_could_not_be_tested() -> None:
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert math.isnan(adjusted[1])


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


def test_bootstrap_of_many_images_is_close_to_the_normal_interval() -> None:
    values = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], 5000, p=[0.1, 0.7, 0.2])
    half = 1.96 * values.std() / math.sqrt(len(values))
    mean, low, high = bootstrap(values)
    assert mean == values.mean()
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.1 * half)


def test_bootstrap_draws_the_same_images_for_values_on_the_same_images() -> None:
    values = np.random.default_rng(1).random(50)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values + 1) == pytest.approx(tuple(part + 1 for part in bootstrap(values)))


def test_bootstrap_of_values_that_never_vary_is_that_value() -> None:
    assert bootstrap([0.5] * 9) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([])


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_midranks_are_scipys(values: list[int]) -> None:
    assert midranks(values).tolist() == stats.rankdata(values).tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=60))
def test_spearman_is_scipys_and_lies_in_its_interval(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs).T
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    rho, low, high = spearman(x, y)
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert -1 <= low <= rho <= high <= 1


def test_spearman_of_what_never_varies_is_missing() -> None:
    assert all(math.isnan(part) for part in spearman([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]))


def test_spearmans_interval_holds_its_level() -> None:
    # correlated normals with Pearson 0.5 have Spearman 6/pi asin(0.25) = 0.4826
    draws = np.random.default_rng(0)
    truth, held = 6 / math.pi * math.asin(0.25), 0
    for _ in range(400):
        x = draws.normal(size=200)
        y = 0.5 * x + math.sqrt(0.75) * draws.normal(size=200)
        _, low, high = spearman(x, y)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_auroc_counts_the_pairs_that_are_in_order(samples: list[tuple[int, bool]]) -> None:
    positive, negative = ([score for score, label in samples if label is wanted] for wanted in (True, False))
    found = auroc([score for score, _ in samples], [label for _, label in samples])
    if not positive or not negative:
        assert math.isnan(found)
        return
    wins = sum((p > n) + (p == n) / 2 for p in positive for n in negative)
    assert found == pytest.approx(wins / len(positive) / len(negative))
