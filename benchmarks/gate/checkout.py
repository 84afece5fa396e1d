"""Another version of this suite beside the working tree, and a run made by it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.core.errors import UsageError
from benchmarks.timing.workers import HERE


@contextmanager
def checkout(ref: str) -> Iterator[Path]:
    """The tree of a commit, branch or tag in a folder of its own, gone on leaving; UsageError if there is none."""
    commit = resolved(ref)
    with TemporaryDirectory(prefix="gate-") as folder:
        tree = Path(folder) / "base"
        try:
            _git("worktree", "add", "--detach", str(tree), commit)
            yield tree
        finally:
            subprocess.run(["git", "-C", str(HERE), "worktree", "remove", "--force", str(tree)], capture_output=True)


def resolved(ref: str) -> str:
    """The full name of the commit that `ref` means; UsageError if there is none."""
    try:
        return _git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    except UsageError:
        raise UsageError(
            f"--base-ref {ref}: no such commit, branch or tag here; fetch it first, for example by git fetch origin"
        ) from None


def run_by(code: Path, arguments: Sequence[str]) -> None:
    """`python -m benchmarks run` by the code in a folder; UsageError, with its last line, where that fails."""
    environment = os.environ | {"PYTHONPATH": str(code)}
    command = [sys.executable, "-m", "benchmarks", "run", *arguments]
    done = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise UsageError(f"the baseline could not be made: {said[-1].removeprefix('error: ')}")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsageError(f"git cannot be run ({error.strerror}): --base-ref needs it") from None
    if done.returncode:
        raise UsageError(f"git {arguments[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout.strip()
