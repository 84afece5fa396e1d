"""What a gate prints and writes: the same verdicts for people, pull requests and machines."""

from io import StringIO
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from reports.console import gate


def check(verdict: str, metric: str = "MACs", **changes: Any) -> dict[str, Any]:
    known = {
        "method": "sdpoint", "variant": "default", "backbone": "resnet8", "dataset": "digits", "seed": 0,
        "point": "p1_r0.5", "metric": metric, "base": 100, "head": 110, "verdict": verdict, "note": "exact",
    }  # fmt: skip
    return known | changes


def record(*checks: dict[str, Any], verdict: str = "regression") -> dict[str, Any]:
    return {"verdict": verdict, "base": "main (0123456789)", "head": "this checkout", "latency": "batch 1",
            "machine": "2 x CPU", "seconds": 12.5, "checks": list(checks)}  # fmt: skip


MIXED = record(
    check("pass"),
    check("improvement", "parameters", point="all", base=1000, head=900),
    check("regression", variant="bn=uniform"),
    check("inconclusive", "accuracy", base=0.9, head=0.895),
    check("pass", "latency ms, batch 1", base=1.2345, head=1.25),
)


def printed(result: dict[str, Any], width: int = 160) -> str:
    text = StringIO()
    Console(file=text, width=width).print(gate.terminal(result))
    return text.getvalue()


def test_the_terminal_shows_the_worst_first_and_counts_what_passed() -> None:
    text = printed(MIXED)
    assert text.startswith("regression: Something costs more")
    places = [text.index(word) for word in ("regression: exact", "inconclusive: exact", "improvement: exact", "pass: ")]
    assert places == sorted(places)
    assert "sdpoint:bn=uniform resnet8 digits s0" in text
    assert "2 of 5 checks pass: 1 MACs, 1 latency ms." in text
    assert "main (0123456789)" in text


def test_changes_are_relative_but_for_accuracy_which_is_in_points() -> None:
    text = printed(MIXED)
    for said in ("+10.0%", "-10.0%", "90.00", "89.50", "-0.50", "1.234", "1.250", "+1.3%"):
        assert said in text


def test_markdown_is_a_table_of_what_did_not_just_pass() -> None:
    text = gate.markdown(MIXED)
    rows = [line for line in text.splitlines() if line.startswith("| sdpoint")]
    assert text.startswith("### ❌ Cost and latency gate: regression")
    assert len(rows) == 4
    assert all(row.count(" | ") == 7 for row in rows)
    assert "❌ regression" in rows[0]


def test_names_cannot_inject_markup_into_a_comment() -> None:
    text = gate.markdown(record(check("regression", point="a|b <img src=x> @all\n# *x* [l](u)")))
    (row,) = (line for line in text.splitlines() if line.startswith("| sdpoint"))
    assert not any(character in row.replace(" | ", "") for character in "<>@*[]#" if f"&#{ord(character)};" not in row)
    assert "<img" not in text
    assert "@all" not in text
    assert row.count(" | ") == 7


def test_a_comment_is_never_longer_than_it_may_be() -> None:
    many = [check("regression", point=f"point {k} " + "x" * 80) for k in range(2000)]
    text = gate.markdown(record(*many))
    assert len(text) <= 60_000
    shown = sum(line.startswith("| sdpoint") for line in text.splitlines())
    assert f"{2000 - shown} more rows in the JSON file." in text


def test_junit_fails_on_regressions_only_and_skips_open_questions() -> None:
    suite = ElementTree.fromstring(gate.junit(MIXED))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "1", "1")
    by_child = {child.tag: case.get("name") for case in suite for child in case}
    assert by_child == {"failure": "p1_r0.5: MACs", "skipped": "p1_r0.5: accuracy"}


def test_junit_is_xml_whatever_a_point_is_called() -> None:
    suite = ElementTree.fromstring(gate.junit(record(check("regression", point='"<&>\x00\x1b', note="\x07"))))
    assert suite[0].get("name") == '"<&>: MACs'


@pytest.mark.parametrize("verdict", gate.HEADLINES)
def test_every_verdict_has_a_headline_and_nothing_found_needs_no_table(verdict: str) -> None:
    text = gate.markdown(record(check("pass"), verdict=verdict))
    assert gate.HEADLINES[verdict] in text
    assert "| model" not in text
    assert gate.HEADLINES[verdict] in printed(record(verdict=verdict))
