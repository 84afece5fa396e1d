"""Several runs in the terminal: a table a place, and only differences that are real are called so."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from rich.console import Console

from reports.console.overview import compare
from reports.data.records import read

MakeRun = Callable[..., Path]


def printed(*folders: Path, width: int = 100) -> str:
    stream = io.StringIO()
    compare([read(folder) for folder in folders], Console(file=stream, width=width))
    return stream.getvalue()


def spoiled(folder: Path, old: str, new: str) -> Path:
    file = folder / "points.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return folder


def test_a_method_has_one_line_with_its_seeds_over_all_runs(three_seeds: Path, one_seed: Path) -> None:
    text = printed(three_seeds, one_seed)
    (row,) = [line for line in text.splitlines() if line.startswith(" sdpoint")]
    assert row.split()[-1] == "3"
    assert "±" in row


def test_methods_that_five_seeds_tell_apart_are_named_with_figures(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "five", seeds=5)
    points = pd.read_csv(folder / "points.csv")
    worse = points["method"] == "earlyexit"
    points.loc[worse, "accuracy"] -= 0.3
    points.to_csv(folder / "points.csv", index=False)
    text = " ".join(printed(folder).split())
    assert "at 50% sdpoint beats earlyexit (+" in text
    assert "earlyexit beats" not in text
    assert "Holm over" in text


def test_fewer_than_five_seeds_are_no_verdict(three_seeds: Path) -> None:
    text = printed(three_seeds)
    assert "beats" not in text
    assert "fewer than 5 seeds: no verdict" in text


def test_lines_fit_and_markup_in_names_is_printed_as_it_stands(make_run: MakeRun, tmp_path: Path) -> None:
    folder = spoiled(make_run(tmp_path / "odd"), "earlyexit", "[red]early[/red]")
    text = printed(folder, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "[red]early[/red]" in text
