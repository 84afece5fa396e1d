"""The harness: trains, measures and compares. In Python, `benchmarks.load(run).at(point)` is a model ready to use."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.loading import Run

__all__ = ["UsageError", "load"]

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch 2.14's profiler notes every start and stop on standard error


def load(folder: str | Path, plugins: Iterable[str | Path] = ()) -> "Run":
    """The finished run in `folder`, to take models from: `load("runs/study").at("sdpoint/p2_r0.5")`.

    `plugins` are Python files of yours that the run's models need, with methods or networks: they, and no others, are
    executed. UsageError, one line, where the folder is no finished run.
    """
    from benchmarks.loading import opened  # torch is imported here, not with the package

    return opened(Path(folder), tuple(Path(file) for file in plugins))
