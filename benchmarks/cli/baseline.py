"""`baseline`: whether any built-in method costs something else than what is committed."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.baseline.committed import Figures, Settled
    from benchmarks.baseline.counting import Counted

HELP = "Check the exact costs of all built-in methods against the committed ones, or update those."


class Action(StrEnum):
    """What is done with the committed figures."""

    check = "check"
    update = "update"


Do = Annotated[Action, typer.Argument(help="check: exit status 1 if any figure differs. update: write them anew.")]


def baseline(do: Do) -> int:
    """Count everything anew and print what differs from the committed figures."""
    from benchmarks.baseline.committed import FOLDER, UPDATE, differences, foreign, lines, settled, write

    of = settled()
    files = [FOLDER / subject.file for subject in of.subjects]
    left = foreign(FOLDER, of.subjects)
    committed = [_committed(file, do) for file in files]  # before counting: a file that is missing is said at once
    if left and do is Action.check:
        raise UsageError(f"{left[0]} is of no backbone of benchmarks/baseline/baselines.toml: `{UPDATE}` deletes it")
    counted = _counted(of)
    differing = 0
    for subject, before, now in zip(of.subjects, committed, counted, strict=True):
        found = differences(before, now.figures)
        differing += len(found)
        if found:
            print(subject.backbone, *lines(found, now.refused), "", sep="\n")
    if do is Action.update:
        for file, now in zip(files, counted, strict=True):
            write(now.figures, file)
        for file in left:
            file.unlink()
    return _verdict(do, differing, sum(len(now.figures) for now in counted), [file.name for file in left])


def _verdict(do: Action, differing: int, figures: int, deleted: list[str]) -> int:
    """The last line and the exit status."""
    from benchmarks.baseline.committed import FOLDER, UPDATE

    if do is Action.update:
        print(f"{FOLDER}: {figures} figures written, {differing} of them changed", *deleted)
        return 0
    if differing:
        print(f"figures that differ from {FOLDER}: {differing}; if that is intended, commit what `{UPDATE}` writes too")
        return 1
    print(f"{figures} figures, all as committed")
    return 0


def _committed(file: Path, do: Action) -> "Figures":
    """What the file says; where it is to be written anyway, it need not be readable."""
    from benchmarks.baseline.committed import read

    try:
        return read(file)
    except UsageError:
        if do is Action.check:
            raise
        return {}


def _counted(of: "Settled") -> "list[Counted]":
    from benchmarks.baseline.counting import counted
    from benchmarks.cli.display import Display
    from benchmarks.core.progress import drive

    found = []
    with Display() as display:
        for subject in of.subjects:
            with display.show(f"costs on {subject.backbone}") as progress:
                found.append(drive(counted(subject, of.methods), progress))
    return found
