"""`run`: train methods, measure them, draw their frontier."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.core.patience import MINUTES

if TYPE_CHECKING:
    from benchmarks.cli.display import Display
    from benchmarks.outcome import Outcome
    from benchmarks.plan import Plan

HELP = "Train methods, measure accuracy, cost and latency, and draw the frontier."
NO_FILES: list[Path] = []


Methods = Annotated[str, typer.Option(help="Comma-separated, e.g. sdpoint,earlyexit:rule=margin.")]
Dataset = Annotated[str, typer.Option(help="One of `list datasets`.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, for data sets that have one.")]
DatasetName = Annotated[str | None, typer.Option(help="Name of the data set in results.")]
Backbone = Annotated[str, typer.Option(help="One of `list backbones`, e.g. resnet14 or wrn-16-4.")]
RecipeName = Annotated[str, typer.Option(help="One of `list recipes`.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs over all stages; the recipe's by default.")]
Seeds = Annotated[str, typer.Option(help="Comma-separated or a range, 0-4: one training each.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(help="Threads of training and measuring on the CPU; they change results.")]
Points = Annotated[int, typer.Option(help="Operating points per method, at most.")]
CalibrationImages = Annotated[
    int | None, typer.Option(help="Training images set aside to calibrate; a tenth, or 500 up to a fifth, by default.")
]
Calibration = Annotated[
    Path | None, typer.Option(help="Folder of class folders of pictures to calibrate on, none of them trained on.")
]
CrossFit = Annotated[
    int | None, typer.Option(help="Folds of the test images: routers learn on all but one, figures come from that one.")
]
Latency = Annotated[str, typer.Option(help="quick, full (fresh processes) or off.")]
Patience = Annotated[float, typer.Option(help="Minutes without a sign of life after which a method has failed.")]
Routing = Annotated[str | None, typer.Option(help="learned: learned policies for every method that has a choice.")]
Set = Annotated[list[str] | None, typer.Option(help="A setting, e.g. sdpoint.ratios=0.5,0.75; repeatable.")]
Output = Annotated[Path | None, typer.Option(help="Folder of the run; runs/<name> by default.")]
Reference = Annotated[bool, typer.Option(help="Whether the plain network is part of the run.")]
Plugin = Annotated[list[Path], typer.Option(help="A Python file with a method of yours; repeatable.")]
Config = Annotated[Path | None, typer.Option(help="A TOML file with the same names; options win.")]
Wait = Annotated[bool, typer.Option("--wait", help="Where another command writes into the folder, wait for its end.")]
TrustConfig = Annotated[bool, typer.Option("--trust", help="Execute the Python files that --config names, too.")]
Needed = Annotated[
    list[Path], typer.Option("--plugin", help="A Python file with methods or networks of the run's models; repeatable.")
]
TrustRun = Annotated[bool, typer.Option("--trust", help="Execute every Python file that the run's models name.")]


def run(
    context: typer.Context,
    methods: Methods = "sdpoint,earlyexit",
    dataset: Dataset = "shapes",
    data_root: DataRoot = None,
    dataset_name: DatasetName = None,
    backbone: Backbone = "resnet8",
    recipe: RecipeName = "smoke",
    epochs: Epochs = None,
    seeds: Seeds = "0",
    device: Device = "auto",
    threads: Threads = 1,
    points: Points = 20,
    calibration_images: CalibrationImages = None,
    calibration: Calibration = None,
    cross_fit: CrossFit = None,
    latency: Latency = "quick",
    patience: Patience = MINUTES,
    routing: Routing = None,
    set: Set = None,
    output: Output = None,
    reference: Reference = True,
    plugin: Plugin = NO_FILES,
    config: Config = None,
    trust: TrustConfig = False,
    wait: Wait = False,
) -> int:
    """Only what was written on the command line is passed on, so that it wins over the file."""
    from benchmarks.config import configure, settings_from

    given: dict[str, Any] = {
        name: value
        for name, value in context.params.items()
        if name not in ("config", "trust", "wait") and context.get_parameter_source(name).name == "COMMANDLINE"  # type: ignore[union-attr]
    }
    if set:
        given["set"] = settings_from(set)
    return execute(configure(given, config, trust), wait)


def tell(line: str) -> None:
    """One line on standard error, beside what a verb prints."""
    print(line, file=sys.stderr)


def execute(config: Any, wait: bool = False) -> int:
    """Check, run, report; the exit status. One process at a time does so in a folder."""
    from rich.console import Console

    from benchmarks.cli.display import Display
    from benchmarks.core.lock import held
    from benchmarks.plan import prepare
    from benchmarks.store import Store
    from reports.console import overview

    Store(config.folder()).check_writable()
    with Display() as display:
        with display.show("data and methods checked"):
            plan = prepare(config)
        display.note(plan.about_data)
        for doubt in plan.data.warnings:
            display.note(f"warning: {doubt}")
        with held(plan.folder, wait, display.note):
            outcome = _done(plan, display)
    if outcome.results:
        overview.show(plan.folder, Console())
        for name in ("report.html", "pareto.svg", "points.csv"):
            print(plan.folder / name)
    for failure in outcome.failures:
        print(f"failed: {failure['name']}: {failure['message']}", file=sys.stderr)
    return 1 if outcome.failures else 0


def _done(plan: "Plan", display: "Display") -> "Outcome":
    """Run a plan and write its reports."""
    from benchmarks.runner import Runner
    from reports.html import render

    runner = Runner(plan, display.show, display.note)
    outcome = runner.run()
    if runner.store.reused:
        display.note(f"{len(runner.store.reused)} of {len(outcome.records)} jobs had been done before")
    if outcome.results:
        with display.show("report"):
            render.write(plan.folder)
    return outcome
