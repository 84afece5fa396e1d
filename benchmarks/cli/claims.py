"""`claims`: which of the papers' claims a finished run bears out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.stored import StoredRun

HELP = "Check the papers' claims on a run of several seeds: paired differences, intervals, verdicts."

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if the run had one.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the files; RUN/analysis by default.")]


def claims(run: Run, data_root: DataRoot = None, output: Output = None) -> None:
    """Look at every model of the run, write the findings and print them as one table."""
    from benchmarks.cli.run import own_datasets

    own_datasets()
    from rich.console import Console

    from benchmarks import stored
    from benchmarks.claims import findings
    from benchmarks.cli.display import Display
    from benchmarks.finding import entry
    from benchmarks.store import write_text
    from reports import verdicts

    found = stored.read(run)
    with Display() as display, display.show("claims"):
        models = [model.observed() for model in found.models]
        entries = [entry(one) for one in findings(models, found.plain_macs, _difficulty(found, data_root))]
    folder = output or found.folder / "analysis"
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    console.print(*verdicts.verdicts(entries, console.width), "", *verdicts.closing(entries), "", sep="\n")
    write_text(folder / "claims.json", json.dumps(_json(entries), indent=1) + "\n")
    write_text(folder / "claims.csv", verdicts.rows(entries).to_csv(index=False))
    for name in ("claims.csv", "claims.json"):
        print(folder / name)


def _difficulty(run: "StoredRun", root: Path | None) -> "np.ndarray[Any, Any] | None":
    """The known difficulty of the test images in the order of the tables, where there is one to be had."""
    from benchmarks.stored import places

    if run.needs_root and root is None:
        return None
    test = run.data(root).test
    return None if test.difficulty is None else test.difficulty[places(test.ids, run.models[0].test().sample_id)]


def _json(value: Any) -> Any:
    """The same without NaN, which JSON does not have: null."""
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
