"""`check-method`: whether a method keeps what the suite promises of it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.conformance.suite import Verdict

HELP = "Train a method for a moment and check that it keeps the rules: costs, skipped work, test images, state."

Method = Annotated[str, typer.Argument(help="A method or variant, e.g. sdpoint:bn=uniform, or a file: FILE.py.")]
Set = Annotated[list[str] | None, typer.Option(help="A setting of the method, e.g. ratios=0.5; repeatable.")]
Backbone = Annotated[str, typer.Option(help="One of `list backbones`; images are of 8 x 8 pixels.")]


def check_method(method: Method, set: Set = None, backbone: Backbone = "resnet8:width=4") -> int:
    """Check one method, or every method of a file; 0 if all holds, else 1."""
    from rich.console import Console

    from benchmarks.conformance.suite import checked

    console, settings = Console(), _settings(set or [])
    file = Path(method) if method.endswith(".py") else None
    good = True
    for name in [method] if file is None else _methods(file):
        verdicts = checked(name, backbone, settings, file)
        _show(console, f"{name} on {backbone}", verdicts)
        good &= all(verdict.finding.held is not False for verdict in verdicts)
    return 0 if good else 1


def _methods(file: Path) -> list[str]:
    from methods import plugins

    return [entry.name for entry in plugins.add(file)]


def _settings(pairs: list[str]) -> dict[str, str]:
    """`["ratios=0.5", ...]` as a dictionary; UsageError for anything else."""
    for pair in pairs:
        if not re.match(r"\s*\w+\s*=\s*\S", pair):
            raise UsageError(f"--set takes key=value, a setting of the method, not '{pair}'")
    return {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in pairs)}


def _show(console: "Console", title: str, verdicts: "list[Verdict]") -> None:
    """One line a check, and what the checks that do not hold mean."""
    from rich.markup import escape
    from rich.table import Table

    words = {True: "held", False: "[bold red]not held[/]", None: "[dim]does not apply[/]"}
    table = Table(title=f"[bold]{escape(title)}[/]", title_justify="left", box=None, padding=(0, 1))
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("evidence", overflow="fold")
    for verdict in verdicts:
        table.add_row(verdict.name, words[verdict.finding.held], escape(verdict.finding.evidence))
    console.print(table, "")
    broken = [verdict for verdict in verdicts if verdict.finding.held is False]
    for verdict in broken:
        console.print(f"[bold]{verdict.name}[/]: {escape(verdict.meaning)}")
    held = sum(verdict.finding.held is True for verdict in verdicts)
    console.print(f"{held} held, {len(broken)} not, {len(verdicts) - held - len(broken)} do not apply")
