"""One condition measured: fresh processes one after the other, each on the quietest cores, each timing all points."""

import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.progress import Progress
from benchmarks.models import Checked
from benchmarks.timing.causes import NodeTimes
from benchmarks.timing.conditions import VERSIONS, Condition, Protocol
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Timed
from benchmarks.timing.workers import HERE, Worker, quiet_cores, started

T = TypeVar("T")
Pixels = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Test images as standardised inputs [n, c, h, w]."""


@dataclass(frozen=True)
class Task:
    """Points of the stored `models`, on test images `batches` [m, batch_size] of a split.

    `plugins`: Python files of the user's that know the methods.
    """

    timed: tuple[Timed, ...]
    models: tuple[Checked, ...]
    pixels: Pixels
    batches: NDArray[np.int64]
    plugins: tuple[Path, ...] = ()

    def dearest(self, timed: Timed) -> int:
        """The batch whose images cost most at this point."""
        return int(timed.macs[self.batches].sum(axis=1).argmax())


@dataclass(frozen=True)
class Measured:
    """What was found of the points `timed` that the backend has: a session a process, `peaks` bytes a point.

    `nodes`: the times of every model's nodes, where the models are executed as they are (eager, float32), else none.
    `unsupported`: the points that the backend does not have, with the reason.
    """

    timed: tuple[Timed, ...]
    sessions: tuple[Session, ...]
    peaks: tuple[int | None, ...]
    nodes: tuple[NodeTimes, ...]
    unsupported: tuple[tuple[Timed, str], ...]


def measure(task: Task, condition: Condition) -> Generator[Progress, None, Measured]:
    """Time `task` under `condition`, by the protocol that it names.

    What a backend cannot do the first process says; the later ones are not asked again. Seeds are numbers of
    processes: repeated, a measurement takes the same images in the same order.
    """
    protocol = VERSIONS[condition.protocol]
    asked, unsupported = task.timed, dict[int, str]()
    sessions: list[Session] = []
    peaks: list[int | None] = []
    nodes: list[NodeTimes] = []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, task.pixels(task.batches.ravel()))
        for process in range(protocol.processes):
            with started([HERE]) as (worker,):
                _load(worker, task, condition, images)
                lacking = yield from _prepare(worker, asked, protocol, process)
                if process == 0:
                    unsupported = lacking
                    asked = tuple(t for place, t in enumerate(task.timed) if place not in lacking)
                if not asked:
                    break
                sessions.append((yield from _session(worker, asked, protocol, process)))
                if process == 0:  # all timing of this process is over
                    dearest = [task.dearest(timed) for timed in asked]
                    peaks = worker.ask("peaks", points=_requests(asked), batches=dearest)["bytes"]
                    if (condition.backend, condition.precision) == ("eager", "float32"):
                        nodes = [NodeTimes.of_json(told) for told in worker.ask("nodes")["models"]]
    left_out = tuple((task.timed[place], reason) for place, reason in unsupported.items())
    return Measured(asked, tuple(sessions), tuple(peaks), tuple(nodes), left_out)


def _load(worker: Worker, task: Task, condition: Condition, images: Path) -> None:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    worker.ask(
        "load", models=[model.request() for model in task.models], images=str(images), batch=condition.batch_size,
        threads=condition.threads, cores=quiet_cores(min(condition.threads, available)), device=condition.device,
        backend=condition.backend, precision=condition.precision, plugins=[str(p.absolute()) for p in task.plugins],
    )  # fmt: skip


def _prepare(
    worker: Worker, asked: Sequence[Timed], protocol: Protocol, process: int
) -> Generator[Progress, None, dict[int, str]]:
    """Makes the calls ready; the positions of points that the backend does not have, and why."""
    told = yield from _part(worker.follow("prepare", points=_requests(asked)), protocol, process, (0.0, 0.2))
    return {int(place): reason for place, reason in told["unsupported"].items()}


def _session(
    worker: Worker, asked: Sequence[Timed], protocol: Protocol, process: int
) -> Generator[Progress, None, Session]:
    work = worker.follow(
        "session", points=_requests(asked), budget_s=protocol.budget_s, rounds=protocol.rounds, seed=process,
        ours=[os.getpid()],
    )  # fmt: skip
    return Session.of((yield from _part(work, protocol, process, (0.2, 1.0))))


def _requests(timed: Sequence[Timed]) -> list[tuple[int, dict[str, object]]]:
    return [point.request() for point in timed]


def _part(
    work: Generator[Progress, None, T], protocol: Protocol, process: int, span: tuple[float, float]
) -> Generator[Progress, None, T]:
    """`work` as the part `span` of one of the processes."""
    while True:
        try:
            done, total = next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
        share = process + span[0] + (span[1] - span[0]) * done / total
        yield Progress(round(1000 * share / protocol.processes), 1000)
