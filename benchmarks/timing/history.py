"""All that was ever timed on a run's models, put together from the records of jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.core.written import write_text
from benchmarks.provenance import TIMING, sources
from benchmarks.store import Record, read_record
from benchmarks.timing.bench import KIND
from benchmarks.timing.conditions import COLUMNS as CONDITION
from methods.errors import MethodError

KEY = ("method", "variant", "backbone", "dataset", "seed", "point")
COLUMNS = (
    *KEY, *CONDITION, "session", "execution", "p50_ms", "p90_ms", "p99_ms", "low_ms", "high_ms", "images_per_s",
    "ratio_to_plain", "ratio_low", "ratio_high", "macs", "nodes_ms", "fixed_ms", "peak_bytes", "processes", "calls",
    "flags",
)  # fmt: skip


@dataclass
class History:
    """Rows of latency.csv and of the samples, and of every condition what else is to be known, oldest first."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)
    conditions: list[dict[str, Any]] = field(default_factory=list)


def history(
    root: Path, models: Mapping[str, str], machine: Mapping[str, Any], say: Callable[[str], None] = lambda line: None
) -> History:
    """What was timed on `machine` of `models`, their hashes by the names of their jobs, by the code as it is now.

    What was timed again under the same condition replaces what was there. `session`: what was timed together, which
    is what may be divided by each other. `say` is told of what is damaged.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    raw: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    conditions = {}
    for record in _records(root, say):
        if record.inputs["machine"] != dict(machine) or not _same_code(record):
            continue
        kept = [m["identity"] for m in record.inputs["models"] if models.get(m["job"]) == m["sha256"]]
        session = {"session": record.key[:8]}
        fresh: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in record.result["raw"]:
            if _identity(row) in kept:
                of_plain = session["session"] if row["method"] == "plain" else ""  # others are divided by it
                fresh.setdefault((*_key(row), of_plain), []).append(row | session)
        rows |= {_key(row): row | session for row in record.result["rows"] if _identity(row) in kept}
        raw |= fresh
        if kept:
            conditions[record.key] = _about(record)
    return History(list(rows.values()), [row for each in raw.values() for row in each], list(conditions.values()))


def write(root: Path, found: History) -> None:
    """latency.csv and latency-samples.csv; where nothing was timed there are none."""
    import pandas as pd

    for name, rows, columns in (
        ("latency.csv", found.rows, list(COLUMNS)),
        ("latency-samples.csv", found.raw, [*KEY, *CONDITION, "session", "process", "round", "calls_ms"]),
    ):
        if rows:
            write_text(root / name, pd.DataFrame(rows, columns=columns).to_csv(index=False))
        else:
            (root / name).unlink(missing_ok=True)


def _records(root: Path, say: Callable[[str], None]) -> list[Record]:
    """Of this kind, as this version writes them, in the order they were finished."""
    found = []
    for path in (root / "jobs").glob(f"*-{KIND}-????????.json"):
        try:
            record = read_record(path)
        except (OSError, ValueError) as error:  # pydantic's and Unicode's errors among them
            say(f"left out: {path} is damaged ({' '.join(str(error).split())}): time it again")
            continue
        if record.kind == KIND and "condition" in record.inputs:
            found.append(record)
    return sorted(found, key=lambda record: str(record.result["finished"]))


def _same_code(record: Record) -> bool:
    try:
        return bool(record.inputs["sources"] == sources(TIMING, tuple(record.inputs["methods"])))
    except MethodError:
        return False


def _about(record: Record) -> dict[str, Any]:
    """A condition as run.json tells of it."""
    told = {name: record.result[name] for name in ("finished", "others", "unsupported", "compositions")}
    return {**record.inputs["condition"], "seconds": record.seconds, **told}


def _identity(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in KEY if name != "point"}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*KEY, *CONDITION))
