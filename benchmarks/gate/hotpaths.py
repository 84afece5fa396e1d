"""The suite's own hot paths in two versions of its code: what `tests/perf` times alone, timed against each other."""

import runpy
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core.errors import UsageError
from benchmarks.core.progress import Progress
from benchmarks.gate.duel import Duel, Fresh, Peer, Subject
from benchmarks.gate.exact import ModelKey
from benchmarks.gate.judging import measured, surroundings
from benchmarks.gate.latency import check
from benchmarks.gate.shift import TOLERANCE
from benchmarks.gate.verdicts import record
from benchmarks.timing.workers import HERE, Worker, WorkerError, quiet_cores, started

FILE = HERE / "tests" / "perf" / "hot_paths.py"
"""Both versions execute the work as it stands here, each with its own packages."""
_SUITE = ModelKey("suite", "default", "", "", 0)


@dataclass(frozen=True)
class Code:
    """A version: a name to show, and the folder of its packages."""

    name: str
    folder: Path


@dataclass
class HotPathPeer:
    """A worker's fresh process, in which a hot path is set up when it is first asked for."""

    worker: Worker
    code: Code
    file: Path
    threads: int
    cores: list[int]
    ready: set[str] = field(default_factory=set)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The worker's answer; UsageError, naming the hot path, where this version cannot execute it."""
        name = arguments["point"]
        try:
            if name not in self.ready:
                set_up(self.worker, self.file, [name], self.threads, self.cores)
                self.ready.add(name)
            return self.worker.ask(do, **arguments)
        except WorkerError as error:
            raise UsageError(f"{self.code.name} cannot execute the hot path '{name}': {error}") from None


@dataclass(frozen=True)
class HotPaths:
    """Two versions, and the file with the work that both execute."""

    base: Code
    head: Code
    file: Path = FILE
    threads: int = 1

    def subjects(self) -> list[Subject]:
        """The hot paths by name; UsageError where there is no such file."""
        if not self.file.is_file():
            raise UsageError(f"there is no {self.file}: hot paths are timed from a checkout of the suite")
        return [Subject(name, name, 0, 0) for name in runpy.run_path(str(self.file))["HOT_PATHS"]]

    @contextmanager
    def start(self) -> Iterator[Fresh]:
        """Workers of both versions that have imported everything; a pair shares the cores that are quietest then."""
        codes = (self.base, self.head)
        with started([code.folder for code in codes]) as workers:
            for worker, code in zip(workers, codes, strict=True):
                try:
                    set_up(worker, self.file, [], self.threads, [])
                except WorkerError as error:
                    raise UsageError(f"{code.name} lacks what a hot path needs: {error}") from None

            @contextmanager
            def pair() -> Iterator[Sequence[Peer]]:
                cores = list(quiet_cores(self.threads))
                with ExitStack() as ends:
                    for worker in workers:
                        ends.enter_context(worker.fresh())
                    yield [
                        HotPathPeer(worker, code, self.file, self.threads, cores)
                        for worker, code in zip(workers, codes, strict=True)
                    ]

            yield pair


def set_up(worker: Worker, file: Path, names: list[str], threads: int, cores: list[int]) -> None:
    """Have a worker import the file and set up these hot paths of it; WorkerError where it cannot."""
    worker.ask("functions", file=str(file), names=names, threads=threads, cores=cores)


def judge(hot: HotPaths, asked: float | None) -> Generator[Progress, None, dict[str, Any]]:
    """A gate's record with one check a hot path. `asked`: the tolerance, else this host's."""
    begun = time.perf_counter()
    bound, origin = (TOLERANCE, "default") if asked is None else (asked, "given")
    subjects = hot.subjects()
    duel = Duel(hot.start, np.random.default_rng())
    shifts = yield from duel.run(subjects, bound)
    found = [check(_SUITE, subject, "hot path ms", shifts[subject.name], duel, bound) for subject in subjects]
    about = {"base": hot.base.name, "head": hot.head.name}
    return record(found, about | measured(f"threads {hot.threads}", duel, bound, origin) | surroundings(begun))
