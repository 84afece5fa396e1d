"""The storm tells what is wrong in silence from what is the same, made again, or said in a line; and goes on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STORM = Path(__file__).parent / "storm"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(STORM))
    for name in ("trials", "run", "commands"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import trials

    yield trials.judged
    for name in ("trials", "run", "commands"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("said", "equal", "outcome"),
    [
        ({}, True, "same"),
        ({}, False, "wrong"),
        ({"err": "made again: x is damaged\n"}, True, "said"),
        ({"status": 2, "err": "error: x is damaged\n"}, False, "line"),
        ({"status": 1, "err": "failed: plain: x\n"}, False, "line"),
        ({"status": 2, "err": "error: x\nerror: y\n"}, False, "trace"),
        ({"status": 1, "trace": "Traceback"}, False, "trace"),
        ({"err": "Traceback (most recent call last)"}, True, "trace"),
        ({"status": 139}, False, "trace"),
    ],
)
def test_an_end_is_judged_by_status_lines_and_results(
    judged: Any, said: dict[str, Any], equal: bool, outcome: str
) -> None:
    assert judged({"status": 0, "out": "", "err": "", "trace": "", **said}, equal) == outcome


def test_a_small_storm_finds_nothing_wrong_and_a_stopped_one_goes_on(tmp_path: Path) -> None:
    """Called twice: there is nothing left to do then."""
    log, tried = tmp_path / "trials.jsonl", ["kills-0-0", "flips-0-0", "flips-0-1", "truncations-0-0"]
    counts = ["--kills", "1", "--pairs", "0", "--flips", "2", "--truncations", "1", "--folder", str(tmp_path)]
    for printed in (tried, []):
        command = [sys.executable, str(STORM), *counts]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line.partition(": ")[0] for line in done.stdout.splitlines() if "-0-" in line] == printed
        assert [json.loads(line)["id"] for line in log.read_text().splitlines()] == tried
        log.write_text(log.read_text() + '{"id": "half')  # as a killed one leaves it
    counted = json.loads((tmp_path / "summary.json").read_text())["counts"]
    assert {kind: sum(ends.values()) for kind, ends in counted.items()} == {
        "kills": 1, "pairs": 0, "flips": 2, "truncations": 1,
    }  # fmt: skip
