"""`gate`: whether a change made anything cost more, run slower or answer worse."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from benchmarks.cli.run import NO_FILES, Needed, TrustRun
from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.cli.display import Display
    from benchmarks.data.base import DataSet
    from benchmarks.gate.judging import Timing, Version
    from benchmarks.gate.latency import Side
    from benchmarks.stored import StoredRun

HELP = "Compare two runs, or this code with another commit's: costs exactly, accuracy and latency by paired tests."

Base = Annotated[Path | None, typer.Argument(help="The run to compare with; or the run to calibrate on.")]
Head = Annotated[Path | None, typer.Argument(help="The run to judge.")]
BaseRef = Annotated[str | None, typer.Option(help="Judge this code against that of a commit, branch or tag.")]
HotPaths = Annotated[bool, typer.Option("--hot-paths", help="With --base-ref: only time the suite's own hot paths.")]
Methods = Annotated[str, typer.Option(help="With --base-ref: what that code trains and both execute.")]
Dataset = Annotated[str, typer.Option(help="The same.")]
Backbone = Annotated[str, typer.Option(help="The same.")]
Epochs = Annotated[int, typer.Option(help="The same.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if the run had one.")]
Latency = Annotated[bool, typer.Option(help="Whether to time the points.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images per timed call.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads on the CPU while timing.")]
Points = Annotated[int, typer.Option(min=1, help="Points a method that are timed, at most.")]
Tolerance = Annotated[float | None, typer.Option(min=0, help="Slowdown to let pass, a share; 0.05 if not calibrated.")]
Markdown = Annotated[Path | None, typer.Option(help="Also write the result for a pull request.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result for machines.")]
JUnit = Annotated[Path | None, typer.Option("--junit", help="Also write the result for a CI's test report.")]
Calibrate = Annotated[bool, typer.Option("--calibrate", help="Send identical code through the gate, many times.")]
Gates = Annotated[int, typer.Option(min=1, help="With --calibrate: how many gates.")]
Slowdown = Annotated[float, typer.Option(min=0, help="With --calibrate: insert work, as a share of the time.")]
Output = Annotated[Path | None, typer.Option(help="With --calibrate: folder of the raw data.")]


class Files(NamedTuple):
    """The user's Python files that the command line names, or all that runs name."""

    named: tuple[Path, ...]
    everything: bool

    def sides(self, *pairs: "tuple[Path, StoredRun]") -> "list[Side]":
        """Versions, each the folder of its code and its run, whose methods are made known."""
        from benchmarks.core.trust import Trust
        from benchmarks.gate.latency import Side
        from benchmarks.models import add_methods

        methods = add_methods(self.named, [run for _, run in pairs])
        return [Side(code, run, methods, Trust.of(self.named, self.everything)) for code, run in pairs]


def gate(
    base: Base = None,
    head: Head = None,
    base_ref: BaseRef = None,
    hot_paths: HotPaths = False,
    methods: Methods = "sdpoint,earlyexit",
    dataset: Dataset = "digits",
    backbone: Backbone = "resnet8",
    epochs: Epochs = 2,
    data_root: DataRoot = None,
    latency: Latency = True,
    batch_size: BatchSize = 1,
    threads: Threads = 1,
    points: Points = 8,
    tolerance: Tolerance = None,
    markdown: Markdown = None,
    json: Json = None,
    junit: JUnit = None,
    calibrate: Calibrate = False,
    gates: Gates = 20,
    slowdown: Slowdown = 0.0,
    output: Output = None,
    plugin: Needed = NO_FILES,
    trust: TrustRun = False,
) -> int:
    """One of three: two runs, a run by another commit's code, or a calibration; 0 passed, 1 regression, 4 open."""
    asked = sum([calibrate, base_ref is not None, base is not None and head is not None])
    if asked != 1 or (base_ref is not None and base is not None) or (calibrate and base is None):
        raise UsageError("gate takes two runs (BASE HEAD), or --base-ref REF, or --calibrate RUN")
    if hot_paths and base_ref is None:
        raise UsageError("--hot-paths compares this code with another commit's: it takes --base-ref REF")
    for report in (markdown, json, junit):
        if report and not report.parent.is_dir():
            raise UsageError(f"there is no folder {report.parent} to write {report.name} into: make it first")
    from benchmarks.cli.display import Display
    from benchmarks.core.progress import drive
    from benchmarks.gate.judging import Timing, judge

    files = Files(tuple(plugin), trust)
    timing = Timing(batch_size, threads, points)
    if calibrate and base is not None:
        return _calibrate(base, data_root, files, timing, tolerance, gates, slowdown, output)
    if hot_paths and base_ref is not None:
        return _reported(_raced(base_ref, threads, tolerance), markdown, json, junit)
    with TemporaryDirectory(prefix="gate-") as scratch, ExitStack() as stack:
        display = stack.enter_context(Display())
        if base is not None and head is not None:
            versions = _runs(base, head, data_root, files)
        elif base_ref is not None:
            command = ["--methods", methods, "--dataset", dataset, "--backbone", backbone, "--epochs", str(epochs)]
            versions = _codes(base_ref, command, data_root, files, Path(scratch) / "base", display, stack)
        with display.show("base and head compared") as progress:
            record = drive(judge(*versions, timing if latency else None, tolerance), progress)
    return _reported(record, markdown, json, junit)


def _runs(base: Path, head: Path, root: Path | None, files: Files) -> "tuple[Version, Version, DataSet]":
    """Two finished runs, as they were recorded; this code times both."""
    from benchmarks import stored
    from benchmarks.gate.judging import Version
    from benchmarks.gate.seen import recorded
    from benchmarks.timing.workers import HERE

    runs = stored.read(base), stored.read(head)
    sides = files.sides(*((HERE, run) for run in runs))
    first, second = (Version(f"run {side.run.name}", recorded(side.run), side) for side in sides)
    return first, second, runs[0].data(root)


def _codes(
    ref: str,
    command: list[str],
    root: Path | None,
    files: Files,
    folder: Path,
    display: "Display",
    stack: ExitStack,
) -> "tuple[Version, Version, DataSet]":
    """A run by the code of `ref`, as that code recorded it, and the same weights executed by this code."""
    import torch

    from benchmarks import stored
    from benchmarks.core.progress import drive
    from benchmarks.gate.checkout import checkout, resolved, run_by
    from benchmarks.gate.judging import Version
    from benchmarks.gate.seen import executed, recorded
    from benchmarks.models import add_methods
    from benchmarks.timing.workers import HERE

    add_methods(files.named, [])  # what is wrong with them is said before anything is trained
    with display.show(f"a run by the code of {ref}"):
        code = stack.enter_context(checkout(ref))
        where = ["--data-root", str(root.resolve())] if root else []
        where += [part for file in files.named for part in ("--plugin", str(file.resolve()))]
        run_by(
            code, [*command, *where, "--latency", "off", "--threads", "1", "--device", "cpu", "--output", str(folder)]
        )
    run = stored.read(folder)
    data = run.data(root)
    base, head = files.sides((code, run), (HERE, run))
    torch.set_num_threads(1)  # as that code was run with
    with display.show("the same weights executed by this code") as progress:
        seen = drive(executed(run, data, head.trust), progress)
    return Version(f"{ref} ({resolved(ref)[:10]})", recorded(run), base), Version("this checkout", seen, head), data


def _raced(ref: str, threads: int, tolerance: float | None) -> "dict[str, Any]":
    """The suite's own hot paths as the code of `ref` and this code execute them."""
    from benchmarks.cli.display import Display
    from benchmarks.core.progress import drive
    from benchmarks.gate.checkout import checkout, resolved
    from benchmarks.gate.hotpaths import Code, HotPaths, judge
    from benchmarks.timing.workers import HERE

    with checkout(ref) as code, Display() as display, display.show("hot paths of base and head") as progress:
        base = Code(f"{ref} ({resolved(ref)[:10]})", code)
        return drive(judge(HotPaths(base, Code("this checkout", HERE), threads=threads), tolerance), progress)


def _reported(record: "dict[str, Any]", markdown: Path | None, json_file: Path | None, junit: Path | None) -> int:
    """Print and write what was found; the exit status."""
    import json

    from rich.console import Console

    from benchmarks.core.written import write_text
    from benchmarks.gate.verdicts import STATUS
    from reports.console import gate as report

    Console().print(report.terminal(record))
    for path, text in (
        (markdown, report.markdown(record)),
        (json_file, json.dumps(record, indent=1) + "\n"),
        (junit, report.junit(record)),
    ):
        if path:
            write_text(path, text)
    return STATUS[record["verdict"]]


def _calibrate(
    folder: Path,
    root: Path | None,
    files: Files,
    timing: "Timing",
    asked: float | None,
    gates: int,
    slowdown: float,
    output: Path | None,
) -> int:
    """Pairs of identical code, then gates of identical code or of a known slowdown."""
    from rich.console import Console

    from benchmarks import stored
    from benchmarks.cli.display import Display
    from benchmarks.core.progress import drive
    from benchmarks.gate.calibration import Calibration, caught, summary
    from benchmarks.gate.latency import Race, write_images
    from benchmarks.gate.tolerance import remember
    from benchmarks.timing.workers import HERE

    run = stored.read(folder)
    (side,) = files.sides((HERE, run))
    with Display() as display, TemporaryDirectory(prefix="gate-") as scratch:
        images = Path(scratch) / "images.npy"
        write_images(run.data(root), timing.batch, images)
        race = Race(side, side, images, timing.batch, timing.threads, timing.points)
        calibration = Calibration(race, output or folder / "calibration", asked)
        with display.show("pilot: pairs of identical code") as progress:
            pilot = drive(calibration.pilot(), progress)
        with display.show(f"{gates} gates, head {slowdown:.0%} slower") as progress:
            trials = drive(calibration.trials(pilot, gates, slowdown), progress)
    found = caught(trials, pilot.dearest) if slowdown else summary(trials, pilot)
    console = Console()
    for name, value in found.items():
        console.print(f"{name.replace('_', ' '):<22} {value:.4g}", highlight=False)
    if not slowdown and asked is None:  # a tolerance that was given is an experiment
        console.print(f"kept in {remember(timing.batch, timing.threads, found)}", highlight=False, soft_wrap=True)
    return 0
