"""Worker processes seen from the one that directs them: started fresh, pinned to cores, asked one thing at a time."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.core.progress import Progress, drive
from benchmarks.timing.load import busy_shares

HERE = Path(__file__).resolve().parents[2]
"""The code of this checkout."""
_SCRIPT = Path(__file__).with_name("worker.py")


class WorkerError(RuntimeError):
    """A worker process could not do what it was asked; the message is its own, one line."""


class Worker:
    """A process that serves requests; see `worker.py` for what it can be asked."""

    def __init__(self, code: Path) -> None:
        """`code`: the checkout whose methods it executes. Relative paths mean what they mean to this process."""
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the process
        self.process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), str(code)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, text=True,
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The worker's answer; WorkerError if it has none."""
        return drive(self.follow(do, **arguments))

    def follow(self, do: str, **arguments: Any) -> Generator[Progress, None, dict[str, Any]]:
        """The same, with the progress that it tells of on the way."""
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        while "progress" in (reply := self.hear()):
            yield Progress(*reply["progress"])
        return reply

    def hear(self) -> dict[str, Any]:
        """What it says next."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.stderr.seek(0)
            said = [text for text in self.stderr.read().splitlines() if text.strip()]
            last = said[-1] if said else f"it said nothing (exit status {self.process.returncode})"
            raise WorkerError(f"a timing process ended early: {last}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """A process of its own meanwhile, forked from this one, which has loaded nothing yet.

        A fork spares the seconds of importing torch. It has memory of its own for all it loads; where the libraries
        lie it shares with other forks of this worker.
        """
        self.ask("fork")
        try:
            yield
        except BaseException:  # whatever it is doing is of no use any more, and its answer must not hide the error
            self.process.kill()
            raise
        self.ask("end")

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.stderr.close()


@contextmanager
def started(codes: Sequence[Path]) -> Iterator[list[Worker]]:
    """One fresh worker per checkout, started side by side; ended on leaving."""
    with ExitStack() as ends:
        workers = []
        for code in codes:
            workers.append(Worker(code))
            ends.callback(workers[-1].close)
        for worker in workers:
            worker.hear()
        yield workers


def quiet_cores(count: int, wait_s: float = 0.1) -> tuple[int, ...]:
    """The `count` cores that others use least; none where processes cannot be pinned, or on all cores."""
    if not hasattr(os, "sched_setaffinity"):
        return ()
    allowed = sorted(os.sched_getaffinity(0))
    shares = busy_shares(wait_s)
    ordered = sorted(allowed, key=lambda core: shares.get(core, 0.0))
    return tuple(sorted(ordered[:count]))
