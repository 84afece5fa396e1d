"""`run`: train methods, measure them, draw their frontier."""

from pathlib import Path
from typing import Annotated, Any

import typer

HELP = "Train methods, measure accuracy, cost and latency, and draw the frontier."


def run(
    context: typer.Context,
    methods: Annotated[str, typer.Option(help="Comma-separated, e.g. sdpoint,earlyexit:rule=margin.")] = "sdpoint,earlyexit",
    dataset: Annotated[str, typer.Option(help="One of `list datasets`.")] = "shapes",
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data, for data sets that have one.")] = None,
    dataset_name: Annotated[str | None, typer.Option(help="Name of the data set in results.")] = None,
    backbone: Annotated[str, typer.Option(help="One of `list backbones`, e.g. resnet14 or wrn-16-4.")] = "resnet8",
    recipe: Annotated[str, typer.Option(help="One of `list recipes`.")] = "smoke",
    epochs: Annotated[int | None, typer.Option(help="Epochs over all stages; the recipe's by default.")] = None,
    seeds: Annotated[str, typer.Option(help="Comma-separated, one training each.")] = "0",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads on the CPU; torch's choice by default.")] = None,
    points: Annotated[int, typer.Option(help="Operating points per method, at most.")] = 20,
    latency: Annotated[str, typer.Option(help="quick or off.")] = "quick",
    set: Annotated[list[str] | None, typer.Option(help="A setting, e.g. sdpoint.ratios=0.5,0.75; repeatable.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run; runs/<name> by default.")] = None,
    reference: Annotated[bool, typer.Option(help="Whether the plain network is part of the run.")] = True,
    config: Annotated[Path | None, typer.Option(help="A TOML file with the same names; options win.")] = None,
) -> int:  # fmt: skip
    """Only what was written on the command line is passed on, so that it wins over the file."""
    from benchmarks.config import configure, settings_from

    given: dict[str, Any] = {
        name: value
        for name, value in context.params.items()
        if name != "config" and context.get_parameter_source(name).name == "COMMANDLINE"  # type: ignore[union-attr]
    }
    if set:
        given["set"] = settings_from(set)
    return execute(configure(given, config))


def execute(config: Any) -> int:
    """Check, run, report; the exit status."""
    from rich.console import Console

    from benchmarks.cli.display import Display
    from benchmarks.plan import prepare
    from benchmarks.runner import Runner
    from benchmarks.store import Store
    from reports import render, terminal

    Store(config.folder()).check_writable()
    with Display() as display:
        with display.show("data and methods checked"):
            plan = prepare(config)
        outcome = Runner(plan, display.show).run()
        with display.show("report"):
            render.write(plan.folder)
    terminal.show(plan.folder, Console())
    for name in ("report.html", "pareto.svg", "points.csv"):
        print(plan.folder / name)
    return 1 if outcome.failures else 0
