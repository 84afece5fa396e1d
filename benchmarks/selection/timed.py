"""What latency.csv says of a run's points under one condition."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import vouched
from benchmarks.backends import BACKENDS
from benchmarks.core.errors import UsageError
from benchmarks.timing.conditions import COLUMNS, Condition

Row = dict[str, str]
Key = tuple[str, int, str]
"""Series, seed and point."""


@dataclass(frozen=True)
class Wanted:
    """The condition that latencies are looked up under; None: CPU before GPU, and the fewest threads timed."""

    batch_size: int = 1
    threads: int | None = None
    backend: str = "eager"
    device: str | None = None

    @property
    def label(self) -> str:
        parts = [f"batch {self.batch_size}", self.backend]
        parts += [f"{self.threads} thread{'s' * (self.threads > 1)}"] if self.threads else []
        return ", ".join([*parts, *([self.device] if self.device else [])])


@dataclass(frozen=True)
class Timings:
    """Milliseconds per batch of every point timed without a flag, in float32; `flagged`: how many were left out."""

    condition: Condition
    milliseconds: dict[Key, float]
    flagged: int


def timings(folder: Path, wanted: Wanted, worst_case: bool) -> Timings:
    """The medians of executed points, or with `worst_case` their 99th percentiles.

    UsageError, one line with what to do, where nothing was timed so, or nothing without a flag.
    """
    for option, given, known in (("backend", wanted.backend, BACKENDS), ("device", wanted.device, ("cpu", "cuda"))):
        if given is not None and given not in known:
            raise UsageError(f"--{option} takes {', '.join(known)}; not '{given}'")
    again = f"run `python -m benchmarks time {folder} {_options(wanted)}`"
    path = folder / "latency.csv"
    if not path.is_file():
        raise UsageError(f"{folder} has no latency: {again} first")
    rows = [row for row in vouched.rows(folder, path.name) if row.get("execution", "executed") == "executed"]
    fitting = [row for row in rows if _fits(row, wanted)]
    if not fitting:
        raise UsageError(f"{folder} has no latency at {wanted.label}: {again}")
    chosen = min({_condition(row) for row in fitting}, key=_preference)
    same = [row for row in fitting if _condition(row) == chosen]
    clean = [row for row in same if not row["flags"]]
    column = "p99_ms" if worst_case else "p50_ms"
    found = {_key(row): float(row[column]) for row in clean if row[column]}
    if not clean:
        flags = ", ".join(sorted({flag for row in same for flag in row["flags"].split("+")}))
        raise UsageError(f"all timings at {chosen.label} are flagged ({flags}): {again} when the machine is quiet")
    if not found:
        raise UsageError(f"too few calls for a 99th percentile at {chosen.label}: {again} --protocol full")
    return Timings(chosen, found, len(same) - len(clean))


def label(row: Row) -> str:
    """The series of a row of points.csv or latency.csv, as a user writes it."""
    return row["method"] if row["variant"] == "default" else f"{row['method']}:{row['variant']}"


def _key(row: Row) -> Key:
    return label(row), int(row["seed"]), row["point"]


def _fits(row: Row, wanted: Wanted) -> bool:
    asked = {"batch_size": str(wanted.batch_size), "backend": wanted.backend, "precision": "float32"}
    asked |= {"threads": str(wanted.threads)} if wanted.threads else {}
    asked |= {"device": wanted.device} if wanted.device else {}
    return all(row[column] == value for column, value in asked.items())


def _condition(row: Row) -> Condition:
    texts = {name: row[name] for name in COLUMNS if name != "scenario"}
    return Condition(**texts | {name: int(texts[name]) for name in ("threads", "batch_size")})  # type: ignore[arg-type]


def _preference(condition: Condition) -> tuple[bool, int, bool]:
    """The CPU first, the fewest threads, fresh processes before one."""
    return condition.device != "cpu", condition.threads, not condition.protocol.startswith("full")


def _options(wanted: Wanted) -> str:
    parts: Iterable[str] = (
        f"--batch-sizes {wanted.batch_size}", f"--backends {wanted.backend}" * (wanted.backend != "eager"),
        f"--threads {wanted.threads}" * bool(wanted.threads), f"--device {wanted.device}" * bool(wanted.device),
    )  # fmt: skip
    return " ".join(part for part in parts if part)
