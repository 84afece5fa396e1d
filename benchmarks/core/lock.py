"""One process at a time writes into a run's folder; the others are told, or wait. Readers need no lock: files are
written whole."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.core.errors import UsageError
from benchmarks.core.written import sweep

LOCK, HOLDER = ".lock", ".holder"
"""Files in the folder: the system's lock lies on the first, which stays; the second names who holds it."""
POLL_S = 0.2


@contextmanager
def held(folder: Path, wait: bool = False, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Hold a folder, which is made where there is none; what killed processes left half-written in it goes.

    UsageError, one line, where another process holds it, unless `wait`: then `say` is told, and its end is waited for.
    The system frees the lock of a process that ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise UsageError(f"{_who(folder)}: let that command end first, or add --wait") from None
        say(f"{_who(folder)}: waiting")
        lock.acquire(poll_interval=POLL_S)
    except NotImplementedError:
        raise UsageError(f"{folder} lies on a file system without locks: choose another --output") from None
    holder = folder / HOLDER
    try:
        holder.write_text(str(os.getpid()), encoding="utf-8")
        sweep(folder)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def held_run(
    folder: Path, wait: bool = False, say: Callable[[str], None] = lambda line: None
) -> AbstractContextManager[None]:
    """Hold the folder of a finished run; of one that is none, whoever reads it says so, and nothing is made."""
    return held(folder, wait, say) if (folder / "run.json").is_file() else nullcontext()


def _who(folder: Path) -> str:
    """Which folder is in use, and by whom, where that is known."""
    with suppress(OSError, ValueError):
        return f"{folder} is in use by process {int((folder / HOLDER).read_text(encoding='utf-8'))}"
    return f"{folder} is in use by another process"
