"""Progress on standard error: where the work is and the time left for all of it; a line for every job that is done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from benchmarks.core.progress import Job, Progress

HEARTBEAT_S = 30.0
"""Where there are no bars, a job says this often how far it is."""
_WIDTH = 80
_SECONDS = 10


class Display:
    """Shows jobs one after the other: bars on a terminal, elsewhere a line now and then."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.console = console or Console(stderr=True)
        self.clock = clock
        self.left = TimeLeft(clock)
        self.bars = Bars(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            BarColumn(12), TaskProgressColumn(), TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
            console=self.console, transient=True, expand=True, disable=not self.console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> Self:
        if not self.bars.disable:  # else rich 13 would end them with an empty line
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.bars.disable:
            self.bars.stop()

    @contextmanager
    def show(self, job: str) -> Iterator[Callable[[Progress], None]]:
        """A bar or heartbeats while the job runs, and a line with its time afterwards."""
        text = f"[{job.place}/{job.parts}] {job}" if isinstance(job, Job) else job
        task = self.bars.add_task(text, total=None, left="")
        started = said = self.clock()
        self.left.begin(job)

        def update(progress: Progress) -> None:
            nonlocal said
            share = progress.done / progress.total if progress.total else 0.0
            left = self.left.said(job, share)
            self.bars.update(task, completed=progress.done, total=progress.total, left=left)
            if self.bars.disable and self.clock() - said >= HEARTBEAT_S:
                said = self.clock()
                self.note(f"{text}: {share:.0%}{', ' + left if left else ''}")

        try:
            yield update
        finally:
            self.bars.remove_task(task)
        self._done(text, self.clock() - started)

    def _done(self, text: str, seconds: float) -> None:
        """The line fits the width of a terminal; elsewhere nothing is cut off."""
        line = Text(text)
        room = _WIDTH - _SECONDS
        if self.console.is_terminal:
            line.truncate(min(self.console.width, _WIDTH) - _SECONDS, overflow="ellipsis")
        line.append(f"{seconds:{max(room - line.cell_len, 0) + 8}.1f} s")
        self.console.print(line, highlight=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """One line that belongs to no job."""
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)


class TimeLeft:
    """The time left for all jobs, from what those that were really done took: parts found done take none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.since: tuple[float, int] | None = None
        self.done = 0.0

    def begin(self, job: str) -> None:
        """The first job that is done starts the clock."""
        if self.since is None and isinstance(job, Job):
            self.since = self.clock(), job.place - 1

    def said(self, job: str, share: float) -> str:
        """`all 12 min left`; empty before anything is known.

        A part is a training and what is measured of it. The training takes most of the time, so a part is as far as
        the job of it that went farthest.
        """
        if self.since is None or not isinstance(job, Job):
            return ""
        began, before = self.since
        self.done = max(self.done, job.place - 1 - before + share)
        if not self.done:
            return ""
        seconds = (self.clock() - began) / self.done * (job.parts - before - self.done)
        return f"all {_short(seconds)} left"


def _short(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
