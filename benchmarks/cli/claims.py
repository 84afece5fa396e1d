"""`claims`: which of the papers' claims finished runs bear out."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.run import Wait
from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.claims.pairing import Timed
    from benchmarks.stored import StoredRun
    from reports.data.records import Run

HELP = "Check the papers' claims on runs of several seeds: paired differences, intervals, verdicts."

Runs = Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if a run had one.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the files; RUN/analysis by default.")]
Page = Annotated[Path | None, typer.Option(help="Also write one Markdown page about all of the runs to this file.")]


def claims(
    runs: Runs, data_root: DataRoot = None, output: Output = None, page: Page = None, wait: Wait = False
) -> None:
    """Look at every model of every run, write the findings, print them as one table a run, and write the page."""
    from rich.console import Console

    from benchmarks import stored
    from benchmarks.claims import papers
    from benchmarks.cli.run import tell
    from benchmarks.core.lock import held_run
    from benchmarks.core.written import write_text
    from reports.data.records import read
    from reports.paper import claims_page

    found = [stored.read(folder) for folder in runs]
    if output and len({run.name for run in found}) < len(found):
        raise UsageError("two of these runs have the same name: give them one --output each")
    checked = []
    for run in found:
        folder = run.folder / "analysis" if output is None else output / (run.name if len(found) > 1 else "")
        with held_run(run.folder, wait, tell) if output is None else nullcontext():
            run, record = stored.read(run.folder), read(run.folder)
            checked.append(claims_page.Checked(record, _check(run, record, data_root, folder, Console())))
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_text(page, claims_page.page(checked, papers()["claim"], papers()["papers"], page.as_posix()))
        print(page)


def _check(run: "StoredRun", record: "Run", root: Path | None, folder: Path, console: Any) -> list[dict[str, Any]]:
    """The findings of one run, written and printed."""
    from benchmarks import scales
    from benchmarks.claims import findings
    from benchmarks.claims.pairing import Known
    from benchmarks.cli.display import Display
    from benchmarks.core.written import write_text
    from benchmarks.finding import entry
    from reports.console import claims
    from reports.data.claims import rows

    with Display() as display, display.show(f"claims, {run.name}"):
        alike = scales.stored(run.folder / "analysis")
        known = Known(run.plain_macs, _difficulty(run, root), _times(record), alike)
        entries = [entry(one) for one in findings([model.observed() for model in run.models], known)]
    folder.mkdir(parents=True, exist_ok=True)
    console.print(*claims.verdicts(entries, console.width), "", *claims.closing(entries), "", sep="\n")
    write_text(folder / "claims.json", json.dumps(_json(entries), indent=1) + "\n")
    write_text(folder / "claims.csv", rows(entries).to_csv(index=False))
    for name in ("claims.csv", "claims.json"):
        print(folder / name)
    return entries


def _difficulty(run: "StoredRun", root: Path | None) -> "np.ndarray[Any, Any] | None":
    """The known difficulty of the test images in the order of the tables, where there is one to be had."""
    from benchmarks.stored import places

    if run.needs_root and root is None:
        return None
    test = run.data(root if run.needs_root else None).test
    return None if test.difficulty is None else test.difficulty[places(test.ids, run.models[0].test().sample_id)]


def _times(record: "Run") -> "dict[tuple[str, int, str], Timed]":
    """What executing the points took under the headline's condition, by label, seed and point."""
    from benchmarks.claims.pairing import Timed
    from reports.data import tables, time_saved

    found = {}
    for row in time_saved.headline(time_saved.realised(tables.timed(record))).to_dict("records"):
        label = row["method"] if row["variant"] == "default" else f"{row['method']}:{row['variant']}"
        doubts = [f"its timing is flagged {row['flags']}"] if row["flags"] else []
        doubts += [] if row["execution"] == "executed" else ["its time is composed, not executed"]
        doubt = f"{label} {row['point']}: {', '.join(doubts)}" if doubts else ""
        ratio, low, high = (float(row[name]) for name in ("ratio_to_plain", "ratio_low", "ratio_high"))
        found[label, int(row["seed"]), str(row["point"])] = Timed(ratio, low, high, doubt)
    return found


def _json(value: Any) -> Any:
    """The same without NaN, which JSON does not have: null."""
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
