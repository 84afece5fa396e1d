"""What a run left on disk, as typed tables."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from pandas.errors import EmptyDataError

from benchmarks.core.received import record as recorded
from benchmarks.core.received import table as tabled
from benchmarks.runrecord import check, hash_of

SCHEMA_VERSION = 1
_PANDAS = tuple(int(number) for number in pd.__version__.split(".")[:2])
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if _PANDAS < (3, 1) else {}
"""Options by which pandas reads every digit of a number: from 3.1 on it does so without any, and warns of them."""
KEY = ["method", "variant", "backbone", "dataset", "seed", "point"]
POINT_COLUMNS = [
    *KEY, "kind", "decision", "execution", "macs", "flops", "parameters", "accuracy", "accuracy_low",
    "accuracy_high", "samples", "selected", "on_frontier", "calibration_macs", "calibration_accuracy",
]  # fmt: skip
LATENCY_COLUMNS = [
    *KEY, "scenario", "backend", "precision", "device", "threads", "batch_size", "protocol", "p50_ms",
    "p90_ms", "p99_ms", "low_ms", "high_ms", "images_per_s", "flags",
]  # fmt: skip
RATIOS = ["ratio_to_plain", "ratio_low", "ratio_high"]  # of latencies; a run without plain has none
EXTRAS = ["session", "macs", "peak_bytes", "nodes_ms", "fixed_ms"]  # of latencies, where they were measured
STALE = "stale"  # a column of series: where true, an entry of a method that has changed since
_TEXT = {
    "method", "variant", "backbone", "dataset", "point", "kind", "decision", "execution", "split", "scenario",
    "backend", "precision", "device", "protocol", "flags", "session",
}  # fmt: skip


class RecordError(ValueError):
    """A folder that is not a run, or one this version cannot read."""


@dataclass(frozen=True)
class Run:
    """One run: `record` is run.json, `points` and `latency` are the tables of the same names.

    MACs are means per image, accuracies lie in [0, 1], latencies are milliseconds per batch. `latency` has no
    rows where nothing was timed; RATIOS and EXTRAS are missing where the run has none.
    """

    folder: Path
    record: dict[str, Any]
    points: pd.DataFrame
    latency: pd.DataFrame

    def section(self, name: str) -> dict[str, Any]:
        """A part of run.json such as `configuration`; empty where the run did not write it."""
        return dict(self.record.get(name) or {})

    def entries(self, name: str) -> list[Any]:
        """A list of run.json such as `warnings`; empty where the run did not write it."""
        return list(self.record.get(name) or [])

    @property
    def name(self) -> str:
        return str(self.record.get("name") or self.folder.name)

    @property
    def seeds(self) -> list[int]:
        """The seeds that have results, in order."""
        return sorted(int(seed) for seed in self.points["seed"].unique())

    @property
    def chance(self) -> float | None:
        """The accuracy of always guessing the commonest class of the test images; None where the record does not
        say."""
        chance = self.section("data").get("chance")
        return None if chance is None else float(chance)


def read(folder: Path) -> Run:
    """The run in `folder`. Raises RecordError where it is none or was written by a newer version."""
    path = folder / "run.json"
    if not path.is_file():
        raise RecordError(f"{folder} is no run folder: it has no run.json; name a folder under runs/")
    try:
        record = recorded(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot read {path}: {error}") from None
    version = record.get("schema_version") if isinstance(record, dict) else None
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise RecordError(f"{path} has schema version {version}; this version reads up to {SCHEMA_VERSION}")
    try:
        check(record)
    except ValueError as error:
        raise RecordError(f"{path} was written by another version ({error}): run it again") from None
    points = _table(folder / "points.csv", POINT_COLUMNS, hash_of(record, "points.csv"))
    if points is None:
        raise RecordError(f"{folder} has no points in points.csv: the run did not finish; run it again")
    latency = _table(folder / "latency.csv", LATENCY_COLUMNS, hash_of(record, "latency.csv"))
    if latency is None:
        latency = pd.DataFrame(columns=LATENCY_COLUMNS)
    latency = latency.reindex(columns=latency.columns.union([*RATIOS, *EXTRAS], sort=False))
    if "execution" not in latency:
        latency = latency.assign(execution="executed")
    return Run(folder, record, points, latency)


def _table(path: Path, columns: list[str], sha256: str | None) -> pd.DataFrame | None:
    """The rows of a CSV file, None where there are none. A variant called `nan` stays text.

    RecordError where it is damaged: not the file with this SHA-256, or gone though there was one.
    """
    if not path.is_file():
        if sha256 is not None:
            raise RecordError(f"{path} is gone: repeat the command that made it")
        return None
    try:
        content = tabled(path, sha256)
        header = pd.read_csv(StringIO(content), nrows=0).columns
        text: dict[Any, Any] = {name: str for name in header if name in _TEXT}
        empty = {name: ["", "nan"] for name in header if name not in _TEXT}
        table = pd.read_csv(StringIO(content), dtype=text, keep_default_na=False, na_values=empty, **EXACT)
    except EmptyDataError:
        return None
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot read {path}: {error}") from None
    if missing := [name for name in columns if name not in table.columns]:
        raise RecordError(f"{path} lacks the columns {', '.join(missing)}: repeat the run")
    figures = [name for name in columns if name not in _TEXT and len(table)]
    if other := [name for name in figures if not is_numeric_dtype(table[name]) and not is_bool_dtype(table[name])]:
        raise RecordError(f"{path}: {other[0]} holds something that is no number: repeat the run")
    return table if len(table) else None
