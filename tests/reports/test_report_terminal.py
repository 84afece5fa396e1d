"""What is printed: whole, within its width, and short."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from reports.console.overview import ROWS, show


def printed(folder: Path, width: int) -> str:
    stream = io.StringIO()
    show(folder, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_every_line_fits_and_no_number_is_cut(one_seed: Path, width: int) -> None:
    text = printed(one_seed, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "entropy<0.4814" in text


def test_selected_points_are_marked_and_costs_have_units(one_seed: Path) -> None:
    text = printed(one_seed, 100)
    row = next(line for line in text.splitlines() if "p1_r0.5 " in line)
    assert "●" in row
    assert "14.18" in row
    assert "34.8%" in row
    assert "MMACs" in text
    assert "MFLOPs" in text


def test_several_seeds_say_which_one_is_shown(three_seeds: Path) -> None:
    text = printed(three_seeds, 100)
    assert "seed 0, one of 3" in text
    assert "half the range over seeds" in text
    assert "p50" not in text


def test_many_points_are_thinned_and_counted(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path / "run", timed=False)
    points = pd.read_csv(folder / "points.csv")
    many = pd.concat([points[points["point"] == "p5_r0.5"]] * 30).assign(selected=False)
    many = many.assign(point=[f"extra{place}" for place in range(30)])
    pd.concat([points, many]).to_csv(folder / "points.csv", index=False)
    text = printed(folder, 100)
    block = text[text.index("sdpoint") : text.index("earlyexit")]
    assert len([line for line in block.splitlines() if "%" in line]) - 1 == ROWS
    assert f"{19 + 30 - ROWS} more points in points.csv" in block
    assert all(name in block for name in points.query("selected and method == 'sdpoint'")["point"])


def test_markup_in_warnings_is_printed_as_it_is(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path / "run")
    text = (folder / "run.json").read_text().replace("earlyexit exit3 costs", "[red]exit3[/nope] costs")
    (folder / "run.json").write_text(text)
    assert "[red]exit3[/nope] costs" in printed(folder, 100)


def test_realised_speed_up_is_a_line_a_method_and_decision_with_its_cause(one_seed: Path) -> None:
    block = printed(one_seed, 80).partition("Speed-up in time over speed-up in MACs")[2]
    lines = [line.split() for line in block.splitlines()]
    own = [line for line in lines if line[1:2] in (["static"], ["per-sample"])]
    assert [line[:2] for line in own] == [["sdpoint", "static"], ["earlyexit", "static"], ["earlyexit", "per-sample"]]
    assert all(line[-3:-1] == ["not", "known"] for line in own[2:])
    assert "batch 1, 1 thread, cpu, eager float32, quick-1" in block


def test_without_timings_nothing_is_said_of_them(three_seeds: Path) -> None:
    assert "Speed-up" not in printed(three_seeds, 100)
