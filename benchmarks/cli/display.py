"""Progress on standard error: a bar with the time left per job, one line when it is done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from benchmarks.progress import Progress


class Display:
    """Shows jobs one after the other; bars only on a terminal."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bars = Bars(
            TextColumn("{task.description:<50}"), BarColumn(24), TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=self.console, transient=True,
            disable=not self.console.is_terminal,
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
    def show(self, description: str) -> Iterator[Callable[[Progress], None]]:
        """A bar while the job runs, and a line with its time afterwards."""
        task = self.bars.add_task(description, total=None)
        started = time.perf_counter()

        def update(progress: Progress) -> None:
            self.bars.update(task, completed=progress.done, total=progress.total)

        try:
            yield update
        finally:
            self.bars.remove_task(task)
        seconds = time.perf_counter() - started
        self.console.print(f"{description:<50}{seconds:6.1f} s", highlight=False)

    def note(self, line: str) -> None:
        """One line that belongs to no job."""
        self.console.print(line, highlight=False, soft_wrap=True)
