"""SDPoint's ablations and rivals, and the similarity of predictions, on models whose differences are known."""

import math

import numpy as np
import pytest
from hand import model, point

from benchmarks import claims
from benchmarks.claims.pairing import Known
from benchmarks.evaluation.per_image import Observed
from benchmarks.finding import HOLDS, LEANS, MISSING, UNDECIDED, Finding
from benchmarks.scales import Alike
from benchmarks.stats.inference import Interval

PLAIN = 100.0
FULL = {"bn": "instance", "every": 1, "ratios": (0.5, 0.75)}


def found(models: list[Observed], claim: str, known: Known | None = None) -> list[Finding]:
    return [one for one in claims.findings(models, known or Known(PLAIN)) if claim in one.claim]


def sdpoint(label: str, right: dict[float, list[int]], seed: int = 0, **settings: object) -> Observed:
    """A model with a point at each of these costs, the dearer the more accurate on *select*."""
    points = [point(f"at {cost:g}", answers, cost, calibrated=cost / 200) for cost, answers in right.items()]
    return model(points, label, seed, settings=FULL | settings)


def test_a_frontier_is_averaged_in_octaves_of_the_budget() -> None:
    of = sdpoint("sdpoint", {25: [1, 0], 50: [1, 1]})
    assert of.over(25, 100).tolist() == [1.0, 0.5]  # an octave of each point
    assert of.over(50, 100).tolist() == [1.0, 1.0]


def test_fewer_points_are_compared_from_the_dearer_of_the_cheapest_budgets() -> None:
    models = [
        made
        for seed in range(3)
        for made in (
            sdpoint("sdpoint", {25: [0] * 4, 50: [1, 1, 1, seed % 2]}, seed),
            sdpoint("sdpoint:ratios=0.75", {50: [1, 0, 0, 0]}, seed, ratios=(0.75,)),
        )
    ]
    (one,) = found(models, "fewer")
    assert (one.subject, one.against) == ("sdpoint", "sdpoint:ratios=0.75")
    assert [seed.interval.mean for seed in one.seeds] == [0.5, 0.75, 0.5]
    assert [at.value for at in one.seeds[0].points] == [0.5, 0.5, 0.5]  # at 50, 75 and 100% of plain
    assert one.verdict == LEANS[HOLDS]


def test_only_variants_with_other_points_or_ratios_are_ablations() -> None:
    own = sdpoint("sdpoint", {50: [1]})
    uniform = sdpoint("sdpoint:bn=uniform:every=2", {50: [0]}, bn="uniform", every=2)
    (one,) = found([own, uniform], "fewer")
    assert (one.verdict, one.missing[:5]) == (MISSING, "needs")
    every = sdpoint("sdpoint:every=2", {100: [0]}, every=2)
    (one,) = found([own, every], "fewer")
    assert (one.verdict, one.forfeits) == (MISSING, False)  # it is the variant that lacks
    assert one.note == "sdpoint:every=2: no point below the plain MACs in 1 of 1 seed"


def test_against_static_exits_thresholds_are_left_out() -> None:
    ours = model([point("half", [1, 1, 0, 0], 50)], "sdpoint")
    exits = model([point("exit", [1, 0, 0, 0], 50), point("entropy", [1] * 4, 50, chance=0.5, calibrated=0.9)])
    rows = {(one.against, one.where): one for one in found([ours, exits], "same budget") if one.seeds}
    assert rows["earlyexit, static exits", "at 50%"].seeds[0].interval.mean == 0.25
    assert rows["earlyexit", "at 50%"].seeds[0].interval.mean == -0.5


def rivals(lacking: range) -> list[Observed]:
    """Ten seeds of SDPoint well above a rival at 50% of plain; some seeds of it lack a point so cheap."""
    return [
        made
        for seed in range(10)
        for made in (
            sdpoint("sdpoint", {100: [1] * 40} if seed in lacking else {50: [1] * 40, 100: [1] * 40}, seed),
            model([point("half", [1] * (9 + seed % 2) + [0] * (31 - seed % 2), 50)], "multiscale", seed),
        )
    ]


def at_half(models: list[Observed], against: str) -> Finding:
    return next(one for one in found(models, "same budget") if (one.against, one.where) == (against, "at 50%"))


def test_seeds_without_a_point_at_a_budget_are_counted_and_it_is_said_whose() -> None:
    assert at_half(rivals(range(0)), "multiscale").verdict == HOLDS
    one = at_half(rivals(range(6, 10)), "multiscale")
    assert (one.verdict, one.lacking) == (UNDECIDED, 4)
    assert one.note == "4 of 10 seeds have nothing to compare (sdpoint: no point so cheap in 4 of 10 seeds)"


def test_a_budget_that_only_sdpoint_cannot_meet_is_forfeited_and_named() -> None:
    one = at_half(rivals(range(10)), "multiscale")
    assert (one.verdict, one.forfeits) == (MISSING, True)
    assert one.note == "sdpoint: no point so cheap in 10 of 10 seeds"
    below = next(row for row in found(rivals(range(10)), "same budget") if row.where == "at 35%")
    assert (below.forfeits, below.note) == (
        False,
        "sdpoint: no point so cheap in 10 of 10 seeds, multiscale: no point so cheap in 10 of 10 seeds",
    )


def test_a_seed_that_an_ablation_cannot_compare_is_counted() -> None:
    models = [
        made
        for seed in range(6)
        for made in (
            sdpoint("sdpoint", {25: [1] * 40} if seed else {100: [1] * 40}, seed),
            sdpoint("sdpoint:every=2", {50: [0] * 40}, seed, every=2),
        )
    ]
    (one,) = found(models, "fewer")
    assert (one.verdict, one.forfeits) == (UNDECIDED, False)
    assert one.note == ("1 of 6 seeds have nothing to compare (sdpoint: no point below the plain MACs in 1 of 6 seeds)")


def test_a_seed_without_a_cheaper_instance_is_counted() -> None:
    models = [
        model([point("full", [1])], label, seed, ([1] * 40, [1] * 40), (50 if seed else 95, 100), FULL | {"bn": bn})
        for seed in range(6)
        for label, bn in (("sdpoint", "instance"), ("sdpoint:bn=uniform", "uniform"))
    ]
    (one,) = found(models, "statistics per instance")
    assert one.note == "1 of 6 seeds have nothing to compare (sdpoint: no cheaper answer in 1 of 6 seeds)"


def test_lines_that_decide_a_papers_claim_are_tested_apart_from_the_others() -> None:
    right = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    models = [
        made
        for seed in range(3)
        for made in (
            model([point("full", [0] * 4)], "plain", seed),
            *(model([point("best", right[seed])], label, seed) for label in ("sdpoint", "earlyexit", "multiscale")),
        )
    ]
    one, *others = found(models, "plain network")
    assert (one.subject, one.decides) == ("sdpoint", "The best instance is above the plain network")
    assert one.p_holm == pytest.approx(one.over_seeds[1])
    assert [other.p_holm for other in others] == pytest.approx([2 * one.over_seeds[1]] * 2)
    assert {other.decides for other in others} == {""}


def test_similarity_is_what_scales_found_above_the_plain_network() -> None:
    rows = [Alike("sdpoint", seed, Interval(0.1 + seed / 100, 0.05, 0.2), 40, "4, 8") for seed in range(5)]
    plain = Alike("plain", 0, Interval(math.nan, math.nan, math.nan), 40, "4, 8")
    models = [sdpoint("sdpoint", {50: [1]}, seed) for seed in range(5)]
    one, other = found(models, "alike", Known(PLAIN, alike=[plain, *rows]))
    assert (one.line, one.unit, one.verdict) == ("sdpoint vs plain at 4, 8 px", "similarity", HOLDS)
    assert one.over_seeds[0].mean == pytest.approx(0.12)
    assert (other.verdict, other.note) == (MISSING, "needs multiscale")
    (lacking, _) = found(models, "alike", Known(PLAIN, alike=rows[:3]))
    assert lacking.note == "3 seeds: shown, but no claim of significance; 2 of 5 seeds have nothing to compare"
    (none, _) = found(models, "alike")
    assert (none.verdict, none.note) == (MISSING, "needs what scales RUN writes of a run with the plain network")


def dynres(seed: int, right: list[int]) -> Observed:
    """Two fixed sizes, and a point where half of the images take the dearer."""
    small, large = point("s16", [1, 0, 0, 0], 25), point("s32", [1, 1, 1, 1], 100, calibrated=0.9)
    return model([small, large, point("bias", right, 60, chance=0.5)], "dynres", seed)


def test_a_resolution_for_each_image_is_held_against_the_best_static_one_so_cheap() -> None:
    sizes = [
        point("16px", [1, 1, 0, 0], 50),
        point("resnet8", [1] * 4, 55, calibrated=0.8),
        point("full", [1] * 4, 100),
    ]
    models = [dynres(0, [1, 1, 1, 0]), model(sizes, "static"), model([point("s20", [0] * 4, 90)], "multiscale")]
    own, multiscale, static = found(models, "dynamic")
    assert (own.against, own.seeds[0].interval.mean) == ("its own static answers", 0.5)
    assert (multiscale.against, multiscale.verdict) == ("multiscale", MISSING)
    # the thinner network is no resolution
    assert (static.against, static.seeds[0].interval.mean) == ("static, one size each", 0.25)
    assert static.seeds[0].macs == (60.0, 50.0)


def test_a_predictor_that_collapsed_cannot_be_compared() -> None:
    one = dynres(0, [1] * 4)
    collapsed = model([*one.points[:2], point("bias", [1] * 4, 100, goes_on=1.0, chance=0.5)], "dynres")
    rows = found([collapsed], "dynamic")
    assert [row.verdict for row in rows] == [MISSING]
    assert rows[0].note == "no point where 10 to 90% of the images go on"


def test_intervals_are_over_the_test_images() -> None:
    (one,) = [row for row in found([dynres(0, [1, 1, 1, 0])], "dynamic") if row.seeds]
    assert one.seeds[0].images == 4
    assert np.isnan(one.over_seeds[0].low)
