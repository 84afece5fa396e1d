"""Commands of the suite, called in forks of one process that has imported everything: a call takes a second less."""

import contextlib
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

STUCK_S = 300
"""Seconds after which a fork is stuck."""

Said = dict[str, Any]
"""What a command said: `status`, `out`, `err`, and `trace` where it ended in one."""


def called(arguments: Sequence[str]) -> Said:
    """A command line of the suite, in this process."""
    from benchmarks import cli

    out, err, trace, status = io.StringIO(), io.StringIO(), "", 0
    sys.argv = ["benchmarks", *map(str, arguments)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            status, trace = 1, traceback.format_exc()
    return {"status": status, "out": out.getvalue(), "err": err.getvalue(), "trace": trace}


class Fork:
    """A process of its own that does some work and leaves its result, as JSON, in a file."""

    def __init__(self, work: Callable[[], Any], result: Path) -> None:
        self.result = result
        result.unlink(missing_ok=True)
        self.pid = os.fork()
        if not self.pid:
            self._work(work)

    def _work(self, work: Callable[[], Any]) -> None:
        os.setpgid(0, 0)
        try:
            aside = self.result.with_suffix(".aside")
            aside.write_text(json.dumps(work()), encoding="utf-8")
            aside.replace(self.result)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def kill(self) -> None:
        """End it, and what it started, at once; it cannot do anything about it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def wait(self, seconds: float = STUCK_S) -> Any | None:
        """Its result; None where it does not end in time, or has none."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return json.loads(self.result.read_text(encoding="utf-8")) if self.result.exists() else None
            time.sleep(0.005)
        self.kill()
        return None
