"""Verdicts on models whose differences are known."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hand import model, point

from benchmarks import claims
from benchmarks.claims.pairing import Known
from benchmarks.evaluation.per_image import Observed
from benchmarks.finding import DOES_NOT, HOLDS, LEANS, MISSING, UNDECIDED, Finding, entry
from benchmarks.stats.inference import mcnemar

PLAIN = 100.0
MANY = 10
"""How often ten images are repeated where a verdict takes more of them."""


def found(models: Sequence[Observed], claim: str, difficulty: np.ndarray | None = None) -> list[Finding]:
    """The findings whose claim holds these words."""
    return [finding for finding in claims.findings(models, Known(PLAIN, difficulty)) if claim in finding.claim]


def routed(seed: int, right: int, goes_on: float = 0.5, chance: float = 0.5) -> Observed:
    """A per-sample method that gets `right` of 10 images right where its controls get half of them."""
    inner = point("inner", [1] * right + [0] * (10 - right), goes_on=goes_on, chance=chance)
    return model([inner, point("outer", [0] * 10, goes_on=0.99, chance=chance)], seed=seed)


def test_three_seeds_above_the_control_lean_to_yes_and_prove_nothing() -> None:
    (one,) = found([routed(0, 8), routed(1, 9), routed(2, 8)], "random draw")
    assert [seed.interval.mean for seed in one.seeds] == pytest.approx([0.3, 0.4, 0.3])
    assert one.over_seeds[0].mean == pytest.approx(1 / 3)
    assert one.verdict == LEANS[HOLDS]
    assert one.note == "3 seeds: shown, but no claim of significance"


def test_only_inner_points_count() -> None:
    (one,) = found([routed(0, 8)], "random draw")
    assert [at.name for at in one.seeds[0].points] == ["inner"]
    (none,) = found([routed(0, 8, goes_on=0.95)], "mixture")
    assert (none.verdict, none.note) == ("not comparable", "no point where 10 to 90% of the images go on")


def test_the_opposite_does_not_hold_and_one_seed_decides_nothing() -> None:
    (one,) = found([routed(seed, 1 + seed % 2) for seed in range(5)], "mixture")
    assert one.verdict == DOES_NOT
    (single,) = found([routed(0, 10)], "mixture")
    assert single.verdict == UNDECIDED
    assert single.seeds[0].interval.low > 0


def test_a_seed_whose_router_collapsed_is_not_left_out_in_silence() -> None:
    (one,) = found([*(routed(seed, 8 + seed % 2) for seed in range(5)), routed(5, 8, goes_on=1.0)], "random draw")
    assert (one.verdict, one.note) == (UNDECIDED, "1 of 6 seeds have nothing to compare")


def test_another_variant_of_plain_is_not_the_reference() -> None:
    models = [
        made
        for seed in range(5)
        for made in (
            model([point("full", MANY * ([1] * 9 + [0]))], "plain", seed),
            model([point("full", MANY * ([1] * (6 + seed % 2) + [0] * (4 - seed % 2)))], "plain:size=16", seed),
            model([point("full", MANY * ([1] * (7 + seed % 2) + [0] * (3 - seed % 2)))], "sdpoint", seed),
        )
    ]
    assert {one.subject: one.verdict for one in found(models, "best point")} == {
        "plain:size=16": DOES_NOT,
        "sdpoint": DOES_NOT,
    }


def test_unequal_training_stands_beside_the_verdict() -> None:
    plain = [model([point("full", [1, 0])], "plain", seed) for seed in range(5)]
    dear = [model([point("full", [1, 1])], "earlyexit:init=plain", seed, train_macs=2.0) for seed in range(5)]
    (one,) = found([*plain, *dear], "best point")
    assert one.note.split("; ")[-1] == "its training cost 2.00 times the other's MACs"


def test_five_seeds_are_enough_to_say_nothing_more() -> None:
    (one,) = found([routed(seed, 8 + seed % 2) for seed in range(5)], "random draw")
    assert (one.verdict, one.note) == (HOLDS, "")


def test_findings_of_one_claim_are_tested_together() -> None:
    others = [replace(one, label="earlyexit:rule=margin") for one in (routed(0, 5), routed(1, 6), routed(2, 4))]
    clear, unclear = found([routed(0, 8), routed(1, 9), routed(2, 8), *others], "random draw")
    assert clear.p_holm == pytest.approx(2 * clear.over_seeds[1])
    assert unclear.verdict == UNDECIDED


def sdpoint(seed: int, correct: Sequence[Sequence[int]], bn: str) -> Observed:
    """Instances of 50, 90 and 100 MACs."""
    label = "sdpoint" if bn == "instance" else f"sdpoint:bn={bn}"
    full = point("full", correct[-1])
    return model([full], label, seed, correct, (50, 90, 100), {"bn": bn, "every": 1})


def test_statistics_are_compared_answer_by_answer_up_to_nine_tenths_of_the_cost() -> None:
    own = sdpoint(0, [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [0] * 5], "instance")
    uniform = sdpoint(0, [[1, 0, 0, 0, 1], [1, 1, 0, 0, 0], [1] * 5], "uniform")
    (one,) = found([own, uniform], "statistics per instance")
    assert (one.subject, one.against) == ("sdpoint", "sdpoint:bn=uniform")
    first, second = one.seeds[0].points
    assert (first.value, second.value) == pytest.approx((0.4, 0.2))
    assert (first.p, second.p) == (mcnemar(3, 1), mcnemar(1, 0))
    assert first.p_holm == min(1.0, 2 * first.p)
    assert one.seeds[0].interval.mean == pytest.approx(0.3)


def test_statistics_need_both_variants_of_the_same_settings() -> None:
    own = sdpoint(0, [[1], [1], [1]], "instance")
    other = model([point("full", [1])], "sdpoint:bn=uniform:every=2", 0, settings={"bn": "uniform", "every": 2})
    (one,) = found([own, other], "statistics per instance")
    assert (one.verdict, one.note) == (MISSING, "needs sdpoint and sdpoint:bn=uniform")


def test_compute_that_follows_difficulty_is_a_rank_correlation() -> None:
    spent = point("inner", [1] * 8, chance=0.5)
    spent = type(spent)(**{**vars(spent), "macs": np.array([1, 1, 2, 1, 2, 2, 3, 3])})
    difficulty = np.arange(8) / 8
    (one,) = found([model([spent])], "harder images", difficulty)
    assert one.unit == "rho"
    # midranks (2, 2, 5, 2, 5, 5, 7.5, 7.5) against 1..8: products sum to 34.5, squares to 37.5 and 42
    assert one.seeds[0].interval.mean == pytest.approx(34.5 / math.sqrt(37.5 * 42))
    (without,) = found([model([spent])], "harder images")
    assert (without.verdict, without.note) == (MISSING, "needs images of known difficulty")


def test_the_best_point_is_compared_with_the_plain_network_of_its_seed() -> None:
    plain = [model([point("full", [1, 1, 0, 0], calibrated=0.5)], "plain", seed) for seed in (0, 1)]
    cheap, best = point("cheap", [0] * 4, 40, calibrated=0.2), point("best", [1, 1, 1, 0], 70, calibrated=0.7)
    (one,) = found([*plain, model([cheap, best], "sdpoint", 1)], "plain network")
    assert [(seed.seed, seed.interval.mean, seed.macs) for seed in one.seeds] == [(1, 0.25, (70.0, 100.0))]


def test_budgets_buy_the_select_chosen_points_or_nothing() -> None:
    ours = model([point("half", [1, 1, 1, 0], 50), point("full", [1] * 4, 100, calibrated=0.9)], "sdpoint")
    theirs = model([point("exit", [1, 0, 0, 0], 60)], "earlyexit")
    rows = found([ours, theirs], "same budget")
    assert [(row.against, row.where, row.verdict) for row in rows] == [
        ("earlyexit, static exits", "at 35%", "not comparable"),
        ("earlyexit, static exits", "at 50%", "not comparable"),
        ("earlyexit, static exits", "at 75%", UNDECIDED),
        ("earlyexit, static exits", "at 100%", UNDECIDED),
        ("earlyexit", "at 35%", "not comparable"),
        ("earlyexit", "at 50%", "not comparable"),
        ("earlyexit", "at 75%", UNDECIDED),
        ("earlyexit", "at 100%", UNDECIDED),
        ("multiscale", "", MISSING),
    ]
    assert [row.seeds[0].interval.mean for row in rows[6:8]] == [0.5, 0.75]


def test_every_claim_is_reported_even_of_a_run_that_has_nothing_for_it() -> None:
    rows = claims.findings([model([point("full", [1])], "plain")], Known(PLAIN))
    assert {row.claim for row in rows} == {row.claim for row in claims.findings([], Known(PLAIN))}
    assert all(row.verdict == MISSING for row in claims.findings([], Known(PLAIN)))


def test_an_entry_holds_the_seeds_and_their_points() -> None:
    (one,) = found([routed(0, 8)], "random draw")
    data = entry(one)
    assert data["mean"] == pytest.approx(0.3)
    assert math.isnan(data["p"])
    assert data["seeds"][0]["points"][0]["name"] == "inner"
    assert (data["seeds"][0]["above"], data["seeds"][0]["macs"]) == (1, None)
