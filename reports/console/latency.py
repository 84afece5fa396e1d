"""Latency in the terminal: one table a condition, and two measurements side by side."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from reports.data.conditions import CONDITION
from reports.data.records import KEY, Run
from reports.data.tables import labelled, milliseconds, with_series


def conditions(run: Run) -> Iterator[str | Table]:
    """A title and a table a condition: what every point takes, also of plain, beside its share of plain's MACs."""
    model = KEY[:-1]
    plain = labelled(run)[[*model, "plain_macs"]].drop_duplicates(model)
    timed = with_series(run.latency).merge(plain, on=model, how="left")
    timed = timed.assign(share=timed["macs"] / timed["plain_macs"])
    for names, rows in timed.groupby(CONDITION, sort=False):
        yield _title(names)
        table = _table("p50 ms", "time", "MACs")
        table.add_column("flags")
        for series, points in rows.groupby("series", sort=False):
            table.add_row(f"[bold]{escape(str(series))}[/]")
            for row in points.to_dict("records"):
                table.add_row(f"  {escape(row['point'])}", *_figures(row))
        yield table


def _figures(row: Mapping[Hashable, Any]) -> list[str]:
    shares = ["" if pd.isna(share) else f"{share:.3f}×" for share in (row["ratio_to_plain"], row["share"])]
    made = "[dim]composed[/] " if row["execution"] == "composed" else ""
    return [milliseconds(row["p50_ms"]), *shares, f"{made}[yellow]{escape(row['flags'])}[/]"]


def compared(differences: Sequence[Mapping[str, Any]]) -> Iterator[str | Table]:
    """The change of every point's ratio to plain from one measurement to the other, in percent."""
    for names, rows in with_series(pd.DataFrame(differences)).groupby(CONDITION, sort=False):
        yield _title(names)
        table = _table("ratio to plain", "95% interval")
        for series, points in rows.groupby("series", sort=False):
            table.add_row(f"[bold]{escape(str(series))}[/]")
            for row in points.to_dict("records"):
                shift, low, high = (f"{100 * math.expm1(row[name]):+.2f}%" for name in ("shift", "low", "high"))
                style = None if row["low"] <= 0 <= row["high"] else "yellow"
                table.add_row(f"  {escape(row['point'])}", shift, f"{low} to {high}", style=style)
        yield table


def _title(condition: Any) -> str:
    batch, threads, device, backend, precision, protocol = condition
    return f"[bold]batch {batch}, threads {threads}, {device}, {backend} {precision}[/] [dim]{protocol}[/]"


def _table(*figures: str) -> Table:
    table = Table(box=None, padding=(0, 1))
    table.add_column("point", overflow="fold")
    for column in figures:
        table.add_column(column, justify="right", no_wrap=True)
    return table
