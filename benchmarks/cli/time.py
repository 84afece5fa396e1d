"""`time`: a finished run's models timed on this machine, or two such measurements compared."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.cli.run import NO_FILES, Needed, TrustRun, Wait
from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.stored import StoredRun
    from benchmarks.timing.again import Asked
    from benchmarks.timing.conditions import Condition

HELP = "Time a run's stored models under any conditions, or --compare two full measurements."

Folders = Annotated[list[Path], typer.Argument(metavar="RUN", help="A finished run; with --compare two outputs.")]
Name = Annotated[str, typer.Option(help="quick: one process; full: fresh processes, each one sample.")]
Batches = Annotated[str | None, typer.Option(help="Comma-separated; 1 and 64 by default, 8 of large images.")]
Threads = Annotated[str, typer.Option(help="Comma-separated numbers, or all.")]
Backends = Annotated[str, typer.Option(help="Comma-separated of eager, compile, onnx.")]
Precisions = Annotated[str, typer.Option(help="Comma-separated of float32, bfloat16.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Methods = Annotated[str, typer.Option(help="Comma-separated, to time some; plain is always timed.")]
Points = Annotated[int | None, typer.Option(min=2, help="Points a method at most, spread over cost.")]
Compose = Annotated[int, typer.Option(min=0, help="Further thresholds a per-sample method, composed at batch 1.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if the run had one.")]
Output = Annotated[Path | None, typer.Option(help="Folder for the files; the run's own by default.")]
Compare = Annotated[bool, typer.Option("--compare", help="Compare two outputs of full; 1 if they disagree.")]


def time(
    folders: Folders, protocol: Name = "quick", batch_sizes: Batches = None, threads: Threads = "1",
    backends: Backends = "eager", precisions: Precisions = "float32", device: Device = "cpu", methods: Methods = "",
    points: Points = None, compose: Compose = 0, data_root: DataRoot = None, output: Output = None,
    compare: Compare = False, plugin: Needed = NO_FILES, trust: TrustRun = False, wait: Wait = False,
) -> int:  # fmt: skip
    """Every combination is a condition, timed on its own; a stopped command goes on where it was."""
    from benchmarks.cli.run import tell

    if len(folders) != (2 if compare else 1):
        raise UsageError("time takes one RUN, and with --compare two outputs")
    if compare:
        return _compare(*folders)
    from benchmarks import stored
    from benchmarks.core.lock import held
    from benchmarks.core.trust import Trust
    from benchmarks.models import add_methods
    from benchmarks.store import Store
    from benchmarks.timing.again import Asked

    run = stored.read(folders[0])
    methods_of = add_methods(plugin, [run])
    options = (protocol, batch_sizes, threads, backends, precisions, device)
    wanted = _conditions(run, *options)
    if compose and all(condition.batch_size > 1 for condition in wanted):
        raise UsageError("--compose: latencies are composed at batch 1 only: add 1 to --batch-sizes")
    asked = Asked(tuple(_parts(methods)), points, compose, methods_of, Trust.of(plugin, trust))
    Store(output or folders[0]).check_writable()
    with held(output or folders[0], wait, tell):  # read again: what was there may have grown meanwhile
        return _time(stored.read(folders[0]), data_root, asked, wanted, output or folders[0])


def _time(
    run: "StoredRun", root: Path | None, asked: "Asked", wanted: "list[Condition]", output: Path
) -> int:  # fmt: skip
    from rich.console import Console

    from benchmarks.cli.display import Display
    from benchmarks.timing.again import time_again
    from reports.console import latency
    from reports.data import records
    from reports.html import render

    with Display() as display:
        with display.show("images"):
            data = run.data(root)
        said = time_again(run, data, asked, wanted, output, display.show, display.note)
        with display.show("report"):
            render.write(output)
    console = Console()
    if (output / "latency.csv").exists():
        console.print(*latency.conditions(records.read(output)), "", sep="\n", highlight=False)
    for note in said.notes:
        print(note)
    for path in (output / "report.html", output / "latency.csv", output / "latency-samples.csv"):
        if path.exists():
            print(path)
    for failure in said.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if said.failures else 0


def _conditions(
    run: "StoredRun", protocol: str, batch_sizes: str | None, threads: str, backends: str, precisions: str, device: str
) -> "list[Condition]":
    """Every combination of what was asked; UsageError for what there is not."""
    import os

    import torch

    from benchmarks.backends import BACKENDS, PRECISIONS
    from benchmarks.timing.conditions import PROTOCOLS, conditions, usual_batches

    for option, given, known in (
        ("protocol", protocol, PROTOCOLS), ("backends", backends, BACKENDS), ("precisions", precisions, PRECISIONS),
        ("device", device, ("cpu", "cuda")),
    ):  # fmt: skip
        for part in _parts(given) or [""]:
            if part not in known:
                raise UsageError(f"--{option} takes {', '.join(known)}; not '{part}'")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no CUDA device is available here; use --device cpu")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = _numbers("--threads", threads.replace("all", str(cores)))
    side = run.record["data"]["image_shape"][-1]
    batches = _numbers("--batch-sizes", batch_sizes) if batch_sizes else usual_batches(side)
    return conditions(PROTOCOLS[protocol], batches, counts, device, _parts(backends), _parts(precisions))


def _numbers(option: str, text: str) -> list[int]:
    found = [int(part) if part.isdecimal() else 0 for part in _parts(text)]
    if not found or min(found) < 1:
        raise UsageError(f"{option} takes comma-separated numbers from 1, not '{text}'")
    return found


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _compare(first: Path, second: Path) -> int:
    """0 where enough points agree."""
    from rich.console import Console

    from benchmarks.timing.compare import AGREE, differences
    from reports.console import latency

    found = differences(first, second)
    compared = latency.compared([{**one.key, **vars(one)} for one in found])
    Console().print(*compared, "", sep="\n", highlight=False)
    share = sum(one.contains_zero for one in found) / len(found)
    print(f"no difference lies in the 95% interval of {share:.1%} of {len(found)} points (asked: {AGREE:.0%})")
    return 0 if share >= AGREE else 1
