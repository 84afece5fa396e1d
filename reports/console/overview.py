"""A run on the terminal: a table of operating points a method, what budgets buy, and what to be warned of."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reports.data import tables, time_saved
from reports.data.comparison import Figure, Line, Place, places
from reports.data.conditions import usual
from reports.data.pairs import ENOUGH_SEEDS, FIRST, SECOND, TOO_FEW, versus
from reports.data.records import Run, read

ROWS = 24  # a method: more are in points.csv
_FLOPS_FROM = 95  # columns of terminal from which MFLOPs have room beside MMACs
_DASH = "–"
Times = dict[tuple[str, str], tuple[str, str]]


def show(run_folder: Path, console: Console) -> None:
    """Prints a run; of several seeds the first's points. Raises RecordError where the folder is no run."""
    run = read(run_folder)
    points = tables.labelled(run)
    first = points[(points["kind"] == "point") & (points["seed"] == run.seeds[0])]
    times = _headline_times(run)
    for name in tables.series_of(first):
        wide = console.width >= _FLOPS_FROM
        console.print(_points_table(name, first[first["series"] == name], times, run, wide), "")
    budgets = tables.budgets(run)
    if len(budgets):
        console.print(_budget_table(budgets, run), "")
    against = time_saved.headline(time_saved.realised(tables.timed(run)))
    if summed := time_saved.summaries(against):
        console.print(_realised_table(summed), "")
    for line in _closing_lines(run):
        console.print(line)


def compare(runs: Sequence[Run], console: Console) -> None:
    """Prints several runs beside one another: a table a data set, training set-up and backbone, and who beats whom."""
    for place in places(runs):
        console.print(_comparison_table(place), "")
        for line in _who_beats_whom(versus(place.points)):
            console.print(line)
        console.print("")
    note = "Accuracy and summary %, mean ± standard deviation over seeds; points are chosen on calibration images."
    console.print(Text(note, style="dim"))


def _comparison_table(place: Place) -> Table:
    title = f"[bold]{escape(place.title)}[/bold]: test accuracy at shares of the plain MACs"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("method", overflow="fold")
    for heading in (*(f"{share:.0%}" for share in tables.BUDGETS), "summary", "training", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in place.lines:
        table.add_row(Text(line.series), *_comparison_cells(line))
    return table


def _comparison_cells(line: Line) -> list[str]:
    training = _DASH if np.isnan(line.training) else f"{line.training:.2f}×"
    return [*(_figure(one) for one in (*line.budgets, line.summary)), training, str(line.seeds)]


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return _DASH
    spread = "" if np.isnan(figure.spread) else f" [dim]±{100 * figure.spread:.1f}[/dim]"
    return f"{100 * figure.mean:.1f}{spread}"


def _who_beats_whom(pairs: pd.DataFrame) -> Iterator[Text]:
    """The comparisons at equal cost that tell two methods apart, a line a budget and winner; how many do not."""
    apart = pairs[pairs["verdict"].isin([FIRST, SECOND])].sort_values("share", kind="stable")
    won = apart["verdict"] == FIRST
    apart = apart.assign(
        better=apart["first"].where(won, apart["second"]), worse=apart["second"].where(won, apart["first"])
    )
    for (share, better), rows in apart.groupby(["share", "better"], sort=False):
        beaten = (
            f"{row['worse']} (+{100 * abs(row['difference']):.1f}, p = {row['p_holm']:.2g})"
            for _, row in rows.iterrows()
        )
        yield Text(f"at {share:.0%} {better} beats {', '.join(beaten)}")
    few = int((pairs["verdict"] == TOO_FEW).sum())
    if len(apart):
        yield Text(f"points of accuracy, paired over seeds; p by Holm over {len(pairs)} comparisons", style="dim")
    if undecided := len(pairs) - few - len(apart):
        yield Text(f"{undecided} of {len(pairs)} comparisons at equal cost separate nobody", style="dim")
    if few:
        yield Text(f"{few} of {len(pairs)} have fewer than {ENOUGH_SEEDS} seeds: no verdict", style="dim")


def _headline_times(run: Run) -> Times:
    """`p50_ms` and `time` of the first seed at the smallest batch size, as text, by series and point."""
    timed = usual(tables.timed(run))
    here = timed[(timed["seed"] == run.seeds[0]) & (timed["batch_size"] == timed["batch_size"].min())]
    return {
        (row["series"], row["point"]): (
            tables.milliseconds(row["p50_ms"]) + ("!" if row["flags"] else ""),
            _DASH if pd.isna(row["ratio_to_plain"]) else f"{row['ratio_to_plain']:.2f}×",
        )
        for _, row in here.iterrows()
    }


def _points_table(name: str, points: pd.DataFrame, times: Times, run: Run, wide: bool) -> Table:
    shown = _thinned(points.sort_values("macs"))
    seed = f" (seed {run.seeds[0]}, one of {len(run.seeds)})" if len(run.seeds) > 1 else ""
    left = len(points) - len(shown)
    table = Table(title=f"[bold]{escape(name)}[/bold]{seed}", title_justify="left", box=None, padding=(0, 1))
    table.caption = f"{left} more points in points.csv" if left else None
    table.add_column("", width=1)
    table.add_column("point", overflow="fold")
    uneven = tables.uneven(points)
    balanced = ["balanced %"] if uneven else []
    for heading in ("MMACs", *(["MFLOPs"] if wide else []), "of plain", "accuracy %", "95% interval", *balanced):
        table.add_column(heading, justify="right", no_wrap=True)
    if times:
        table.add_column("p50 ms", justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
    for _, row in shown.iterrows():
        style = "" if row["selected"] else "dim"
        table.add_row(
            *_point_cells(row, wide, uneven),
            *(times.get((name, row["point"]), ("", "")) if times else ()),
            style=style,
        )
    return table


def _thinned(points: pd.DataFrame) -> pd.DataFrame:
    """At most ROWS points: the selected ones first, then others spread evenly over the cost."""
    selected = np.flatnonzero(points["selected"])
    others = np.flatnonzero(~points["selected"])
    selected = _spread(selected, ROWS)
    kept = np.concatenate([selected, _spread(others, ROWS - len(selected))])
    return points.iloc[np.sort(kept)]


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    if len(places) <= count:
        return places
    return places[np.unique(np.linspace(0, len(places) - 1, count).astype(int))] if count else places[:0]


def _point_cells(row: pd.Series, wide: bool, uneven: bool) -> list[Text | str]:
    return [
        Text("●", style="green") if row["selected"] else "",
        Text(row["point"]),
        f"{row['macs'] / 1e6:,.2f}",
        *([f"{row['flops'] / 1e6:,.2f}"] if wide else []),
        _DASH if pd.isna(row["share"]) else f"{100 * row['share']:.1f}%",
        f"{100 * row['accuracy']:.1f}",
        f"{100 * row['accuracy_low']:.1f}{_DASH}{100 * row['accuracy_high']:.1f}",
        *([f"{100 * row['balanced_accuracy']:.1f}"] if uneven else []),
    ]


def _budget_table(budgets: pd.DataFrame, run: Run) -> Table:
    """The frontier as a block: what each method answers at shares of the plain MACs, and its summary."""
    scores = {row["series"]: f"{100 * row['summary']:.1f}" for _, row in tables.summaries(run).iterrows()}
    title = "[bold]Test accuracy % at shares of the plain MACs[/bold]"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("method", overflow="fold")
    for share in tables.BUDGETS:
        table.add_column(f"{share:.0%}", justify="right", no_wrap=True)
    table.add_column("summary", justify="right", no_wrap=True)
    for name, rows in budgets.groupby("series", sort=False):
        cells = [_budget_cell(row) for _, row in rows.iterrows()]
        table.add_row(Text(str(name)), *cells, scores.get(name, _DASH))
    return table


def _budget_cell(row: pd.Series) -> str:
    if not row["point"]:
        return _DASH
    half = (row["high"] - row["low"]) / 2
    return f"{100 * row['accuracy']:.1f} [dim]±{100 * half:.1f}[/dim]"


def _realised_table(summed: list[dict[str, Any]]) -> Table:
    """How much of the saved work becomes saved time, of every method under one condition."""
    title = (
        f"[bold]Speed-up in time over speed-up in MACs[/bold], points that save {time_saved.SAVING:.0%} or more of them"
    )
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, padding=(0, 1))
    table.caption = f"{escape(summed[0]['condition'])}; !: all timings are flagged"
    for heading in ("method", ""):
        table.add_column(heading, overflow="fold")
    for heading in ("points", "median", "least", f"≥ {time_saved.ENOUGH:.2f}"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("mostly lost to", no_wrap=True)
    for one in summed:
        table.add_row(*map(Text, time_saved.cells(one)))
    return table


def _closing_lines(run: Run) -> list[Text]:
    spread = "half the 95% interval" if len(run.seeds) == 1 else "half the range over seeds"
    lines = [
        Text(f"● chosen on calibration images, reported on test; ± is {spread}; FLOPs = 2 × MACs; "
             "time is relative to plain, ! marks a flagged timing.", style="dim")
    ]  # fmt: skip
    if run.chance is not None:
        lines.append(
            Text("summary: mean accuracy at a budget over log2(budget / plain) from -3 to 0; below its cheapest point "
                 f"a method guesses the commonest class ({100 * run.chance:.1f}%), so one point at full cost scores "
                 "chance.", style="dim")
        )  # fmt: skip
    for name, rows in tables.controls(run).groupby("series", sort=False):
        counts = [
            f"{kind} at {rows[f'beats_{kind}'].sum()} (clearly at {rows[f'clear_{kind}'].sum()})"
            for kind in ("random", "mixture")
        ]
        lines.append(Text(f"{name}, {len(rows)} per-sample points: above {', above '.join(counts)}"))
    lines += [Text(f"warning: {text}", style="yellow") for text in run.entries("warnings")]
    failures = run.entries("failures")
    return lines + [Text(f"failed: {one['name']}: {one['message']}", style="bold red") for one in failures]
