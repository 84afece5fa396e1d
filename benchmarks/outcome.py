"""What a run produced: results, records of jobs, failures, measurements."""

import errno
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.core.errors import TrainingError, disk_is_full, out_of_memory
from benchmarks.core.patience import Hung
from benchmarks.data.errors import DataError
from benchmarks.evaluation.cross_fit import CrossFit
from benchmarks.evaluation.execution import Agreement, agreed
from benchmarks.evaluation.points import Identity, Tables
from benchmarks.evaluation.second_opinion import Opinion
from benchmarks.plan import Candidate
from benchmarks.store import Record
from methods.errors import MethodError
from methods.routers import OperatingPoint


@dataclass
class Result:
    """One trained and tabled method of one seed. `hashes`: SHA-256 of its `model` and of its `calibration` and `test`
    tables."""

    candidate: Candidate
    seed: int
    job: str
    model: Path
    hashes: dict[str, str]
    tables: Tables
    points: tuple[OperatingPoint, ...]
    agreements: list[Agreement]
    opinions: list[Opinion]
    identity: Identity
    remarks: tuple[str, ...] = ()
    cross_fit: CrossFit | None = None

    @property
    def executed(self) -> frozenset[str]:
        """The points that were executed on test images and gave what the table says, in batches of every size."""
        found = agreed(self.agreements)
        return found if self.cross_fit is None else self.cross_fit.agreed(found)


@dataclass
class Outcome:
    """What a run produced, and what failed on the way."""

    results: list[Result] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    counters: dict[str, Any] = field(default_factory=dict)


def of_the_machine(error: BaseException) -> bool:
    """Whether an error would meet every other job as well: a full or failing disk, no memory."""
    numbers = (errno.EIO, errno.EROFS, None)  # None: a library could not write
    failing = isinstance(error, OSError) and error.errno in numbers
    return failing or disk_is_full(error) or out_of_memory(error)


def failure(label: str, error: BaseException) -> dict[str, str]:
    """What is reported of a failed method; a trace only where the error is not one we explain."""
    if isinstance(error, MethodError | TrainingError | DataError | Hung):
        return {"name": label, "message": str(error)}
    message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return {"name": label, "message": message, "trace": "".join(traceback.format_exception(error))}
