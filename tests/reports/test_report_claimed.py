"""The page of claims: verdicts, quoted figures apart from measured ones, and nothing that breaks its tables."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_up import write_run

from reports.data.records import read
from reports.paper import claims_page
from reports.paper.claims_page import Checked, page

PAPERS = {"someone": "Someone et al., 2020"}
QUOTED = {"setting": "ImageNet", "figure": "2.8×", "convention": "time, no MACs", "source": "Table 1"}
SPEC: dict[str, Any] = {
    "title": "It is above all others", "paper": "someone", "says": "It wins.", "here": "Half of the cost.",
    "of": ["one beats another"], "lines": "ours", "decides": "ours vs", "quoted": [QUOTED],
}  # fmt: skip


def entry(**changes: Any) -> dict[str, Any]:
    """An entry of claims.json with two seeds."""
    seeds = [
        {"seed": s, "value": value, "low": value - 0.01, "high": value + 0.01, "above": 1, "macs": 2e6,
         "against_macs": 4e6, "images": 2000, "training": 1.0, "points": [{"name": "p", "value": value}]}
        for s, value in enumerate((0.03, 0.005))
    ]  # fmt: skip
    about = {"claim": "one beats another", "decides": SPEC["title"], "line": "ours vs theirs", "among": "points"}
    words = {"subject": "ours", "against": "theirs", "where": "", "unit": "accuracy", "verdict": "leans to it"}
    about |= {"both_low": -0.15, "both_high": 0.25, "forfeits": False}
    figures = {"mean": 0.0175, "low": -0.1, "high": 0.2, "p": 0.01, "p_holm": 0.02, "margin": 0.0, "untimed": None}
    return about | words | figures | {"note": "2 seeds: shown, but no claim of significance", "seeds": seeds} | changes


MISSING = {"seeds": [], "verdict": "not comparable", "mean": math.nan, "p_holm": math.nan}


def written(folder: Path, findings: list[dict[str, Any]], **changes: Any) -> str:
    checked = [Checked(read(write_run(folder / "run", 2)), findings)]
    return page(checked, [SPEC | changes], PAPERS, "docs/claims.md")


def rows(text: str) -> list[list[str]]:
    """The cells of all lines of tables."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_a_claim_has_its_verdict_its_test_and_its_quoted_figure(tmp_path: Path) -> None:
    text = written(tmp_path, [entry()])
    found = rows(text)
    assert ["1. It is above all others", "leans to it"] in found
    assert ["ImageNet", "2.8×", "time, no MACs", "Table 1"] in found
    assert [
        "shapes-v1, resnet20", "**leans to it**", "ours vs theirs", "+1.8 points", "-10.0 to +20.0",
        "-15.0 to +25.0", "0.020", "2", "2,000", "",
    ] in found  # fmt: skip
    assert "(Someone et al., 2020)" in text
    assert "claims runs/sdpoint-earlyexit-shapes --page docs/claims.md" in text


def test_every_table_has_as_many_cells_in_every_line(tmp_path: Path) -> None:
    lacking = entry(line="ours vs a|b <script>", note="needs `x` | y", **MISSING)
    text = written(tmp_path, [entry(), lacking], whole=True)
    width = 0
    for line in text.splitlines():
        cells = re.split(r"(?<!\\)\|", line) if line.startswith("|") else []
        assert not cells or not width or len(cells) == width, line
        width = len(cells)
    assert "<script>" not in text


def test_the_worst_line_stands_for_several_and_all_are_folded(tmp_path: Path) -> None:
    against = entry(line="ours vs others", verdict="does not", mean=-0.2)
    other = entry(line="ours:variant vs theirs", decides="", verdict="holds")
    found = rows(written(tmp_path, [entry(), against, other, entry(line="unheard of", claim="other", decides="")]))
    assert [row[2] for row in found if row[1] == "**does not**"] == ["ours vs others (2 of 2 can be compared)"]
    assert [row[1] for row in found if len(row) == 11][1:] == [
        "---", "ours vs theirs †", "ours vs others †", "ours:variant vs theirs",
    ]  # fmt: skip


def test_a_whole_claim_shows_what_there_is_and_says_what_lacks(tmp_path: Path) -> None:
    lacking = entry(line="ours vs theirs time", note="its timing is flagged", **MISSING)
    found = rows(written(tmp_path, [entry(), lacking], whole=True))
    assert ["1. It is above all others", "not comparable"] in found
    (shown, why) = [row for row in found if len(row) == 10][2:]
    assert shown[1:3] == ["**not comparable**", "ours vs theirs"]
    assert why[:3] == ["", "", "its timing is flagged"]


@pytest.mark.parametrize(
    ("findings", "why"),
    [
        ([entry(subject="", line="vs theirs", decides="", note="needs ours", **MISSING)], "needs ours"),
        ([], "the run lacks the method"),
    ],
)
def test_what_a_run_cannot_say_is_not_comparable_with_the_reason(
    tmp_path: Path, findings: list[Mapping[str, Any]], why: str
) -> None:
    found = rows(written(tmp_path, [dict(one) for one in findings]))
    assert ["shapes-v1, resnet20", "**not comparable**", why, *[""] * 7] in found


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    assert written(tmp_path / "a", [entry()]) == written(tmp_path / "b", [entry()])


def test_runs_of_one_data_set_and_network_are_told_apart_by_name(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, 1) for name in ("one", "two")]
    for folder in folders:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        (folder / "run.json").write_text(json.dumps(record | {"name": folder.name}), encoding="utf-8")
    text = page([Checked(read(folder), [entry()]) for folder in folders], [SPEC], PAPERS, "page.md")
    assert rows(text)[0] == ["claim", "shapes-v1, resnet20, one (1 seed)", "shapes-v1, resnet20, two (1 seed)"]


def test_training_stands_beside_plains(tmp_path: Path) -> None:
    found = rows(written(tmp_path, [entry()]))
    assert [row[1] for row in found if row[-1] == "1.00×"] == ["sdpoint", "earlyexit"]


def test_a_page_without_quoted_figures_says_so(tmp_path: Path) -> None:
    spec = {name: value for name, value in SPEC.items() if name != "quoted"}
    text = claims_page.page([Checked(read(write_run(tmp_path / "run", 1)), [entry()])], [spec], PAPERS, "page.md")
    assert "No figure is quoted." in text


def test_the_command_of_scales_has_as_many_images(tmp_path: Path) -> None:
    some = entry(unit="similarity", seeds=[entry()["seeds"][0] | {"images": 500}])
    assert "scales runs/sdpoint-earlyexit-shapes --limit 500\n" in written(tmp_path / "a", [some])
    assert "scales runs/sdpoint-earlyexit-shapes\n" in written(tmp_path / "b", [entry(unit="similarity")])
