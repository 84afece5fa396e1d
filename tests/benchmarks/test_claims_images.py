"""Verdicts speak of other test images as well as of other trainings."""

import math

import pytest
from hand import model, point
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import claims
from benchmarks.claims.pairing import Known
from benchmarks.finding import DOES_NOT, HOLDS, LEANS, UNDECIDED, Finding, OfSeed, entry, widened
from benchmarks.stats.inference import Interval

TOO_FEW = "separated over seeds, but by too few images"


def best_point(better: int, seeds: int = 5, images: int = 300) -> Finding:
    """SDPoint right on the same `better` images more (or fewer) than plain, in every seed."""
    half = images // 2
    models = [
        made
        for seed in range(seeds)
        for made in (
            model([point("full", [1] * half + [0] * half)], "plain", seed),
            model([point("full", [1] * (half + better) + [0] * (half - better))], "sdpoint", seed),
        )
    ]
    return next(one for one in claims.findings(models, Known(100.0)) if one.claim.startswith("the best point"))


def test_three_of_300_images_the_same_in_every_seed_decide_nothing() -> None:
    one = best_point(3)
    assert one.p_holm == 0  # five equal differences: the seeds' test is sure of it
    assert (one.verdict, one.note) == (UNDECIDED, TOO_FEW)
    assert best_point(-3).verdict == UNDECIDED
    assert best_point(3, seeds=3).note == f"3 seeds: shown, but no claim of significance; {TOO_FEW}"


def test_sixty_of_300_images_do() -> None:
    one = best_point(60)
    assert (one.verdict, one.note) == (HOLDS, "")
    # only images vary: a share of 0.2 of 300 has a standard error of 0.0231
    assert one.over_both == pytest.approx((0.2, 0.2 - 1.96 * 0.0231, 0.2 + 1.96 * 0.0231), abs=0.004)
    assert best_point(-60).verdict == DOES_NOT
    assert best_point(60, seeds=3).verdict == LEANS[HOLDS]


def test_an_entry_has_the_interval_over_both() -> None:
    data = entry(best_point(60))
    assert data["both_low"] < data["low"] == data["high"] < data["both_high"]


def test_one_seed_has_no_interval_over_seeds() -> None:
    mean, low, high = best_point(60, seeds=1).over_both
    assert mean == pytest.approx(0.2)
    assert math.isnan(low)
    assert math.isnan(high)


def test_without_differences_of_images_half_widths_add_as_squares() -> None:
    wide = widened(Interval(0.5, 0.2, 0.8), [Interval(0.4, 0.1, 0.7), Interval(0.6, 0.1, 1.1)])
    assert wide == pytest.approx((0.5, 0.0, 1.0))  # 0.3 over seeds, 0.4 over images


@given(st.floats(-0.5, 0.5), st.floats(0, 0.5))
def test_a_widened_interval_is_never_narrower(mean: float, half: float) -> None:
    over = Interval(mean, mean - 0.1, mean + 0.1)
    wide = widened(over, [Interval(mean, mean - half, mean + half)] * 3)
    assert wide.low <= over.low + 1e-12
    assert wide.high >= over.high - 1e-12


def test_of_a_rank_correlation_each_seeds_interval_counts() -> None:
    def finding(width: float) -> Finding:
        seeds = tuple(OfSeed(s, Interval(0.1, 0.1 - width, 0.1 + width), ()) for s in range(5))
        return Finding("c", "ours", "difficulty", "", seeds, unit="rho", p_holm=0.001)

    assert (finding(0.2).verdict, finding(0.2).note) == (UNDECIDED, TOO_FEW)
    assert finding(0.05).verdict == HOLDS
