"""Intervals against scipy's and against their own promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.stats.inference import median_interval, wilson

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_the_interval_scipy_gives(counts: tuple[int, int], level: float) -> None:
    correct, n = counts
    expected = stats.binomtest(correct, n).proportion_ci(level, method="wilson")
    assert wilson(correct, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(COUNTS)
def test_wilson_contains_the_accuracy_and_stays_within_zero_and_one(counts: tuple[int, int]) -> None:
    correct, n = counts
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert low < high


def test_wilson_of_nine_in_ten_is_the_hand_computed_one() -> None:
    # z = 1.959964: centre (0.9 + 0.19207) / 1.38415 = 0.78899, half-width 0.19327.
    assert wilson(9, 10) == pytest.approx((0.59585, 0.98212), abs=2e-5)


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (-1, 10), (11, 10)])
def test_wilson_refuses_impossible_counts(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match="right answers"):
        wilson(correct, n)


@pytest.mark.parametrize("n", range(6, 80))
def test_median_interval_is_the_narrowest_symmetric_pair_that_holds_its_level(n: int) -> None:
    low, high = median_interval(np.arange(1, n + 1))
    rank = int(low)
    assert high == n + 1 - rank
    assert 1 - 2 * stats.binom.cdf(rank - 1, n, 0.5) >= 0.95
    assert 1 - 2 * stats.binom.cdf(rank, n, 0.5) < 0.95


@given(st.lists(st.floats(0.01, 1e3), min_size=6, max_size=60))
def test_median_interval_contains_both_ends_of_scipys_quantile_interval(samples: list[float]) -> None:
    # scipy's two one-sided bounds are each the tightest order statistic, as ours are by symmetry.
    expected = stats.quantile_test(samples, p=0.5).confidence_interval(0.95)
    low, high = median_interval(samples)
    assert (low, high) == (expected.low, expected.high)
    assert low <= np.median(samples) <= high


@pytest.mark.parametrize("samples", [[3.0], [2.0, 1.0], [5.0, 1.0, 4.0, 2.0, 3.0]])
def test_median_interval_of_few_samples_is_their_range(samples: list[float]) -> None:
    assert median_interval(samples) == (min(samples), max(samples))


def test_median_interval_needs_a_sample() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median_interval([])
