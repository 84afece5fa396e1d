"""`analyse`: what the papers look at beside the frontier, from stored tables."""

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.run import Wait
from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.data.base import DataSet
    from benchmarks.stored import StoredRun, Trained
    from methods.table import PathTable

HELP = "Cost needed, agreement, calibration error and accuracy against difficulty, from a run's stored tables."
SHEET_ROWS, SHEET_COLUMNS = 8, 12

Runs = Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if the run had one.")]
Sheet = Annotated[bool, typer.Option("--sheet", help="Also draw example images by the cost they need.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the files; RUN/analysis by default.")]


def analyse(
    runs: Runs, data_root: DataRoot = None, sheet: Sheet = False, output: Output = None, wait: Wait = False
) -> None:
    """One run after the other; several into one --output get a folder each."""
    from rich.console import Console

    from benchmarks import stored
    from benchmarks.cli.run import tell
    from benchmarks.core.lock import held_run

    found = [stored.read(folder) for folder in runs]
    if output and len({run.name for run in found}) < len(found):
        raise UsageError("two of these runs have the same name: give them one --output each")
    for run in found:
        folder = run.folder / "analysis" if output is None else output / (run.name if len(found) > 1 else "")
        with held_run(run.folder, wait, tell) if output is None else nullcontext():
            _analyse(stored.read(run.folder), data_root, sheet, folder, Console())


def _analyse(run: "StoredRun", root: Path | None, sheet: bool, folder: Path, console: "Console") -> None:
    """Analyse every model, write the tables and the sheets, and print what is in them."""
    import pandas as pd

    from benchmarks.core.written import write_text
    from reports.console import analyses
    from reports.html import render

    data = run.data(root) if sheet or root is not None or not run.needs_root else None
    rows: dict[str, list[dict[str, Any]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for model in run.models:
        paths = model.test()
        for name, more in _tables(run, model, paths, data).items():
            about = {"method": model.method, "variant": model.variant, "seed": model.seed}
            rows.setdefault(name, []).extend(about | row for row in more)
        if sheet and data is not None and (picture := _sheet(run, model, paths, data)):
            written.append(render.replace(folder / f"sheet-{model.job}.png", picture))
    tables = {name: pd.DataFrame(lines) for name, lines in rows.items() if lines}
    for name, table in tables.items():
        written.append(folder / f"{name}.csv")
        write_text(written[-1], table.to_csv(index=False))
    for table_of in analyses.analyses(tables):
        console.print(table_of, "")
    if "difficulty" not in tables:
        console.print(_without_difficulty(run, data), "", style="dim")
    for path in sorted(written):
        print(path)


def _without_difficulty(run: "StoredRun", data: "DataSet | None") -> str:
    known = "give --data-root to look" if data is None else "the difficulty of its images is not known"
    return f"accuracy against difficulty: {known} ({run.record['data']['name']})"


def _tables(
    run: "StoredRun", model: "Trained", table: "PathTable", data: "DataSet | None"
) -> dict[str, Iterable[dict[str, Any]]]:
    """The rows of every analysis of one model, by the name of the file they go to."""
    from benchmarks import analysis
    from benchmarks.stored import places

    found: dict[str, Iterable[dict[str, Any]]] = {
        "cost-needed": analysis.cost_rows(table, run.plain_macs),
        "agreement": analysis.agreement_rows(table),
        "calibration": analysis.calibration_rows(table),
    }
    if data is not None and data.test.difficulty is not None:
        difficulty = data.test.difficulty[places(data.test.ids, table.sample_id)]
        model.check_one_router()
        found["difficulty"] = analysis.difficulty_rows(table, model.points, difficulty)
        found["effort"] = analysis.effort_rows(table, model.points, difficulty)
    return found


def _sheet(run: "StoredRun", model: "Trained", table: "PathTable", data: "DataSet") -> bytes | None:
    """Example images of a model by the cost they need, as PNG; None where all its answers cost the same."""
    import numpy as np

    from benchmarks.analysis import cost_groups, cost_needed
    from benchmarks.stored import places
    from reports.figures import contact_sheet

    if len(set(table.macs.tolist())) < 2:
        return None
    where = places(data.test.ids, table.sample_id)
    rows = []
    for group in cost_groups(cost_needed(table), SHEET_ROWS):
        share = len(group.images) / len(where)
        spread = np.unique(np.linspace(0, len(group.images) - 1, SHEET_COLUMNS).round().astype(int))
        examples = data.test.take(where[group.images[spread]])
        label = contact_sheet.cost_label(group.low, group.high, run.plain_macs)
        rows.append(contact_sheet.Row(label, f"{100 * share:.1f}% of images", share, list(examples)))
    title = f"The cheapest cost that is right: {model.label}"
    seed = f", seed {model.seed}" if len(run.seeds) > 1 else ""
    what = f"{len(where):,} test images of {run.record['data']['name']}{seed}"
    return contact_sheet.png(title, f"{what}; each answer alone; examples evenly spread over each row's images", rows)
