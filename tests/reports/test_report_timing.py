"""Latency in the terminal: conditions apart, one of them where there is room for one."""

import io
from pathlib import Path

import pandas as pd
from rich.console import Console

from reports.console import latency
from reports.data.conditions import usual
from reports.data.records import read


def several(folder: Path) -> pd.DataFrame:
    """The rows of a run under four conditions: two threads, another backend, another protocol."""
    own = read(folder).latency.assign(execution="executed", peak_bytes=1024, protocol="quick-2")
    return pd.concat(
        [
            own.assign(threads=2, p50_ms=1.0),
            own.assign(backend="onnx", p50_ms=2.0),
            own.assign(p50_ms=3.0),
            own.assign(protocol="full-1", p50_ms=4.0),
            own.assign(batch_size=64, precision="bfloat16", p50_ms=5.0),
            own.assign(batch_size=64, p50_ms=6.0),
        ]
    )


def test_of_several_conditions_the_usual_one_a_batch_size_is_shown(one_seed: Path) -> None:
    chosen = usual(several(one_seed))
    assert chosen.groupby("batch_size")["p50_ms"].unique().map(list).to_dict() == {1: [4.0], 64: [6.0]}
    assert len(chosen) == 2 * len(read(one_seed).latency)


def test_what_was_timed_in_one_backend_only_is_shown_nevertheless(one_seed: Path) -> None:
    onnx = read(one_seed).latency.assign(backend="onnx")
    assert len(usual(onnx)) == len(onnx)
    assert usual(onnx[:0]).empty


def test_every_condition_is_a_table_with_every_point_its_flags_and_whether_it_was_composed(one_seed: Path) -> None:
    run = read(one_seed)
    rows = several(one_seed)
    rows.iloc[0, rows.columns.get_loc("execution")] = "composed"
    console = Console(width=100, record=True, file=io.StringIO())
    tables = list(latency.conditions(type(run)(run.folder, run.record, run.points, rows)))
    assert len(tables) == 2 * 6
    for table in tables:
        console.print(table)
    printed = console.export_text()
    assert printed.count("composed") == 1
    assert printed.count("high spread") == 6
    assert all(point in printed for point in run.latency["point"])


def test_a_change_beyond_its_interval_stands_out(one_seed: Path) -> None:
    keys = read(one_seed).latency.assign(backend="eager").to_dict("records")[:2]
    rows = [{**keys[0], "shift": 0.0, "low": -0.01, "high": 0.01}, {**keys[1], "shift": 0.1, "low": 0.05, "high": 0.15}]
    _, table = latency.compared(rows)
    assert [row.style for row in table.rows if row.style] == ["yellow"]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    assert "+10.52%" in console.export_text()
