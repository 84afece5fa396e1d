"""The terminal tables of `analyse`, `scales` and `claims`: they hold the figures, and fit."""

import math
from typing import Any

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from reports.console import analyses
from reports.console import claims as console
from reports.data import claims

ABOUT = {"method": "sdpoint", "variant": "default", "seed": 0}


def shown(*what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(*what, sep="\n")
    return capture.get()


def line(text: str, start: str) -> list[str]:
    """The words of the line that begins so."""
    (found,) = [row.split() for row in text.splitlines() if row.split()[:1] == [start]]
    return found


def test_images_are_counted_at_the_costs_they_need() -> None:
    rows = pd.DataFrame(
        [
            ABOUT | {"needed": "p1", "of_plain": 0.35, "share": 0.6},
            ABOUT | {"needed": "full", "of_plain": 1.0, "share": 0.3},
            ABOUT | {"needed": "none", "of_plain": None, "share": 0.1},
        ]
    )
    text = shown(*analyses.analyses({"cost-needed": rows}))
    assert line(text, "sdpoint") == ["sdpoint", "–", "60.0", "60.0", "60.0", "90.0", "90.0", "10.0"]


def test_the_first_answer_is_held_against_the_last() -> None:
    figures = {"both_right": 0.5, "both_wrong": 0.2, "first_only": 0.1, "second_only": 0.2}
    rows = pd.DataFrame([
        ABOUT | {"first": a, "second": b, "same": same} | figures
        for a, b, same in (("a", "b", 0.1), ("a", "c", 0.65), ("b", "c", 0.2))
    ])  # fmt: skip
    assert line(shown(*analyses.analyses({"agreement": rows})), "a,")[:3] == ["a,", "c", "65.0"]


def test_figures_of_answers_are_means_over_seeds() -> None:
    figures = {"macs": 10, "accuracy": 0.8, "confidence": 0.9, "ece_width": 0.1, "loss": 0.5, "auroc": 0.75, "bins": 15}
    rows = pd.DataFrame([
        ABOUT | {"seed": seed, "answer": "full", "ece": error} | figures for seed, error in ((0, 0.1), (1, 0.2))
    ])  # fmt: skip
    assert line(shown(*analyses.analyses({"calibration": rows})), "full")[3] == "15.0"


def test_what_compute_costs_stands_below_per_sample_points_only() -> None:
    rows = pd.DataFrame([
        ABOUT | {"point": point, "decision": decision, "decile": d, "accuracy": 1 - d / 10, "macs": d * 1e6}
        for point, decision in (("full", "static"), ("sure", "per-sample")) for d in (1, 2, 3)
    ])  # fmt: skip
    text = shown(*analyses.analyses({"difficulty": rows}))
    assert line(text, "sure") == ["sure", "90", "80", "70"]
    assert line(text, "MMACs") == ["MMACs", "1.0", "2.0", "3.0"]


def test_correlations_are_told_by_seed() -> None:
    rows = pd.DataFrame([ABOUT | {"rho": rho, "low": rho - 0.1} for rho in (0.05, 0.2, 0.4)])
    text = shown(*analyses.analyses({"effort": rows}))
    assert line(text, "sdpoint") == ["sdpoint", "0", "3", "+0.05", "+0.20", "+0.40", "2"]


@pytest.mark.parametrize(("seeds", "interval"), [(1, "over images"), (3, "over 3 seeds")])
def test_scales_say_what_their_interval_is_over(seeds: int, interval: str) -> None:
    similarity = pd.DataFrame([
        ABOUT | {"seed": s, "similarity": 0.9, "above_plain": 0.02 + s / 100, "above_low": 0.01, "above_high": 0.03}
        for s in range(seeds)
    ])  # fmt: skip
    accuracy = pd.DataFrame(
        [ABOUT | {"seed": s, "side": side, "accuracy": 0.5} for s in range(seeds) for side in (4, 8)]
    )
    text = shown(analyses.scales(similarity, accuracy))
    assert interval in text
    assert line(text, "sdpoint")[1:4] == ["50.0", "50.0", "0.900"]


def finding(**changes: Any) -> dict[str, Any]:
    """An entry of claims.json with three seeds."""
    seeds = [
        {"seed": s, "value": value, "low": value - 0.01, "high": value + 0.01, "above": 1, "macs": None, "images": 100,
         "against_macs": None, "points": [{"name": "p", "value": value, "p": math.nan, "p_holm": math.nan}] * 2}
        for s, value in enumerate((0.03, 0.005, -0.02))
    ]  # fmt: skip
    about = {"claim": "routing beats chance", "among": "inner points", "subject": "earlyexit", "against": "random"}
    both: dict[str, Any] = {"both_low": -0.07, "both_high": 0.08, "forfeits": False}
    figures: dict[str, Any] = {"mean": 0.005, "low": -0.06, "high": 0.07, "p": 0.8, "p_holm": 0.8}
    words = {"where": "", "unit": "accuracy", "verdict": "not separated", "note": "3 seeds", "decides": ""}
    words |= {"margin": 0.0, "untimed": None, "line": f"{changes.get('subject', 'earlyexit')} vs random"}
    return about | figures | both | words | {"seeds": seeds} | changes


MISSING = finding(claim="another", seeds=[], verdict="not comparable", note="needs multiscale", mean=math.nan)


def test_a_finding_is_one_line_of_points_with_clear_seeds_starred() -> None:
    text = shown(*console.verdicts([finding()], 120), width=120)
    assert "routing beats chance, inner points" in text
    words = " ".join(line(text, "earlyexit"))
    assert words == "earlyexit vs random +0.5 -6.0 to +7.0 3/6 +3.0* +0.5 -2.0* not separated"


def test_narrow_terminals_leave_the_seeds_out_and_cut_nothing() -> None:
    entries = [finding(subject="earlyexit:rule=max_prob"), MISSING]
    text = shown(*console.verdicts(entries, 80))
    assert "+3.0*" not in text
    assert "…" not in text
    assert "not comparable" in text


def test_what_is_missing_and_how_few_seeds_there_are_is_said_below() -> None:
    text = " ".join(shown(*console.closing([finding(), MISSING])).split())
    assert "3 seeds, fewer than 5: shown, but no claim of significance" in text
    assert "not comparable: needs multiscale" in text
    five = finding(seeds=finding()["seeds"] * 2)
    assert "fewer" not in shown(*console.closing([five]))


def test_the_table_of_claims_has_findings_seeds_and_points() -> None:
    rows = claims.rows([finding(), MISSING])
    assert rows["seed"].to_list() == ["all", *[s for s in (0, 1, 2) for _ in range(3)], "all"]
    assert (rows["point"] == "p").sum() == 6
    assert rows["verdict"].dropna().to_list() == ["not separated", "not comparable"]


def test_a_line_that_decides_a_papers_claim_is_marked() -> None:
    words = " ".join(line(shown(*console.verdicts([finding(decides="a claim")], 120), width=120), ">"))
    assert words.startswith("> earlyexit vs random +0.5")


def test_one_time_has_its_interval_over_repetitions() -> None:
    one = finding(unit="share", untimed=2, seeds=[finding()["seeds"][0] | {"value": 0.3, "low": 0.2, "high": 0.4}])
    assert claims.figures_of(one)[1] == "+20% to +40%"
    assert claims.figures_of(one | {"untimed": None})[1] == "one seed"


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "not comparable"], "holds"),
        (["holds", "leans to it"], "leans to it"),
        (["holds", "not separated"], "not separated"),
        (["holds", "does not", "leans against"], "does not"),
        (["not comparable"], "not comparable"),
        ([], "not comparable"),
    ],
)
def test_a_claim_is_as_good_as_its_worst_line_that_can_be_compared(found: list[str], word: str) -> None:
    assert claims.summed([finding(verdict=one) for one in found])[0] == word


def test_of_a_whole_claim_nothing_is_said_before_all_can_be_compared() -> None:
    lines = [finding(verdict="holds"), finding(verdict="not comparable")]
    assert claims.summed(lines, whole=True) == ("not comparable", None)
    assert claims.summed(lines[:1], whole=True)[0] == "holds"


@pytest.mark.parametrize(
    ("other", "word"),
    [("holds", "not comparable"), ("leans to it", "not comparable"), ("does not", "does not")],
)
def test_a_claim_cannot_hold_where_only_its_subject_has_nothing(other: str, word: str) -> None:
    nothing = finding(seeds=[], verdict="not comparable", forfeits=True)
    assert claims.summed([finding(verdict=other), nothing])[0] == word


def test_the_interval_over_seeds_and_images_is_written_where_there_is_one() -> None:
    assert claims.over_both(finding()) == "-7.0 to +8.0"
    assert claims.over_both(finding(both_low=None, both_high=None)) == ""
