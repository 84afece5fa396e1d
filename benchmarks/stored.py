"""A finished run read back from its folder: trained models, their points and path tables, and its images."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

import benchmarks.data
from benchmarks import runrecord
from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.data.base import DataSet
from benchmarks.data.calibrating import halved
from benchmarks.evaluation.cross_fit import CrossFit
from benchmarks.evaluation.per_image import Observed, seen
from benchmarks.held_out import TEST, parts_of
from benchmarks.store import safe
from methods.routers import OperatingPoint
from methods.routing import Routing, simulate
from methods.table import PathTable

SCHEMA_VERSION = 1
_POINTS = TypeAdapter(tuple[OperatingPoint, ...])
_NEEDED = ("name", "train_fingerprint", "test_fingerprint", "classes", "image_shape")
_OF_POINTS = ("macs", "accuracy", "calibration_macs", "calibration_accuracy")
_JOB = re.compile(r"[A-Za-z0-9._=+-]+-[0-9a-f]{8}")


@dataclass(frozen=True)
class Trained:
    """One trained model of a run, with the operating points it was given."""

    folder: Path
    method: str
    variant: str
    backbone: str
    dataset: str
    seed: int
    job: str
    parameters: int
    settings: dict[str, Any]
    points: tuple[OperatingPoint, ...]
    train_macs: float
    said: dict[str, tuple[float, float]]
    """Mean MACs and accuracy of every point, as points.csv has them."""
    decisions: dict[str, str]
    """`static` or `per-sample`, by point, as points.csv has them."""
    sha256: str
    """Hash of the model's file, as run.json has it."""
    files: dict[str, str]
    """Hashes of the Python files that networks come from, by FILE.py:FUNCTION, as run.json has them."""
    tables: dict[str, str]
    """Hashes of its path tables by split, as run.json has them."""
    cross_fit: CrossFit | None = None
    """The routers that figures come from, where points are cross-fitted."""

    @property
    def label(self) -> str:
        """The method as a user writes it: `sdpoint`, `sdpoint:bn=uniform`."""
        return self.method if self.variant == "default" else f"{self.method}:{self.variant}"

    @property
    def weights(self) -> Path:
        """The model's file."""
        return self.folder / "models" / f"{self.job}.safetensors"

    def test(self) -> PathTable:
        """The path table of the test images."""
        return self._table("test")

    def calibration(self) -> tuple[PathTable, PathTable]:
        """The path tables of the *fit* and the *select* half of the calibration images."""
        both = self._table("calibration")
        fit, select = np.split(np.arange(len(both.labels)), [fit_images(len(both.labels))])
        return both.part(fit), both.part(select)

    def _table(self, split: str) -> PathTable:
        return PathTable.load(self.folder / "paths" / f"{self.job}.{split}.npz", self.tables.get(split))

    def routing(self, point: OperatingPoint, test: PathTable) -> Routing:
        """Where every test image goes at a point, by the router that was learned on others if it is cross-fitted."""
        return simulate(test, point.router) if self.cross_fit is None else self.cross_fit.routing(test, point.name)

    def check_one_router(self) -> None:
        """UsageError where points are cross-fitted: what looks at one router a point cannot tell what they do."""
        if self.cross_fit is not None:
            raise UsageError(
                f"{self.folder} is cross-fitted, each of its points has a router for every fold: name a run without "
                "--cross-fit"
            )

    def observed(self) -> Observed:
        """What it did on the test images, point by point; UsageError where points are cross-fitted."""
        self.check_one_router()
        (fit, select), test = self.calibration(), self.test()
        random = self._table("random") if test.costs.varying else None
        points = tuple(seen(point, fit, select, test, random) for point in self.points)
        about = (self.method, self.label, self.seed, self.settings)
        calibrated = select.correct.mean(axis=1)
        return Observed(*about, test.answers, test.macs, test.correct, calibrated, points, self.train_macs)


def fit_images(calibration: int) -> int:
    """How many of the calibration images are the *fit* half: they are stored first, *select* behind them."""
    return (calibration + 1) // 2


@dataclass(frozen=True)
class StoredRun:
    """A run's record and its trained models, seed by seed; `plain_macs`: of the plain network on one image."""

    folder: Path
    record: dict[str, Any]
    plain_macs: int
    models: tuple[Trained, ...]

    @property
    def name(self) -> str:
        return str(self.record.get("name") or self.folder.name)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that have a model, in order."""
        return tuple(sorted({model.seed for model in self.models}))

    @property
    def needs_root(self) -> bool:
        """Whether the run's images came from a folder, which the record does not name."""
        return bool(self.record["configuration"].get("data_root"))

    def data(self, root: Path | None) -> DataSet:
        """The run's data set, read again; UsageError if these are not the images that were tested on."""
        asked = self.record["configuration"]
        if self.needs_root and root is None:
            raise UsageError(f"the images of {self.folder} came from a folder: name it with --data-root")
        mine = f"{asked['dataset']}."
        settings = {k.removeprefix(mine): v for k, v in asked.get("set", {}).items() if k.startswith(mine)}
        data = benchmarks.data.load(asked["dataset"], root, settings)
        if self.record["data"].get("calibration_source") == TEST:
            data, _ = halved(data, parts_of(asked.get("cross_fit")))
        if data.test.fingerprint != self.record["data"]["test_fingerprint"]:
            raise UsageError(f"the test images of {data.name} are not those of {self.folder}: their hashes differ")
        return data


def read(folder: Path) -> StoredRun:
    """The finished run in `folder`; UsageError, one line, where there is none that this version can read."""
    path = folder / "run.json"
    try:
        record = received.record(path)
        rows = received.rows(folder / "points.csv", runrecord.hash_of(record, "points.csv"))
    except FileNotFoundError as error:
        raise UsageError(f"{folder} is no finished run: it has no {Path(error.filename).name}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the run in {folder}: {error}") from None
    version = record.get("schema_version") if isinstance(record, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema version {version}; this version reads {SCHEMA_VERSION}")
    try:
        runrecord.check(record)
        models, plain_macs = _models(folder, record, rows), int(record["plain_macs"]["torch"])
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).splitlines()[:1])
        raise UsageError(f"{folder} was written by another version ({reason}): run it again") from None
    if not models:
        raise UsageError(f"{folder} holds no trained model: run it again")
    if missing := [part for part in _NEEDED if not record["data"].get(part)]:
        raise UsageError(f"{folder} does not say the {missing[0]} of its data: run it again")
    return StoredRun(folder, record, plain_macs, tuple(models))


def _models(folder: Path, record: Mapping[str, Any], rows: Sequence[dict[str, str]]) -> list[Trained]:
    """What run.json knows by the names of jobs, and points.csv by method, variant and seed, brought together."""
    for row in rows:
        _check_row(row)
    known = {_job_of(row): row for row in rows}
    said: dict[str, dict[str, tuple[float, float]]] = {}
    decisions: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["kind"] == "point":
            about = (float(row["macs"]), float(row["accuracy"]))
            said.setdefault(_job_of(row), {})[row["point"]] = about
            decisions.setdefault(_job_of(row), {})[row["point"]] = row["decision"]
    found = []
    for entry in record["models"]:
        if not _JOB.fullmatch(entry["job"]):  # it names files
            raise ValueError(f"'{entry['job']}' is no job's name")
        row = known[entry["job"].rpartition("-")[0]]
        points = _POINTS.validate_python(entry["points"])
        if not points or {point.name for point in points} != said.get(_job_of(row), {}).keys():
            raise ValueError(f"points.csv has other points of {entry['job']} than run.json")
        found.append(
            Trained(
                folder, row["method"], row["variant"], row["backbone"], row["dataset"], int(row["seed"]), entry["job"],
                int(row["parameters"]), entry["settings"], points, float(row["train_macs"] or "nan"),
                said[_job_of(row)], decisions[_job_of(row)], str(entry["weights_sha256"]), dict(entry.get("files", {})),
                dict(entry.get("tables_sha256", {})),
                _cross_fit(entry, points, record["data"].get("fold")),
            )
        )  # fmt: skip
    return found


def _cross_fit(
    entry: Mapping[str, Any], points: Sequence[OperatingPoint], fold: Sequence[int] | None
) -> CrossFit | None:
    """The routers of every fold; ValueError or KeyError where a point lacks some."""
    if not fold:
        return None
    routers = {
        point.name: tuple(
            OperatingPoint.model_validate({"name": point.name, "router": router}).router
            for router in entry["cross_fit"][point.name]
        )
        for point in points
    }
    return CrossFit(np.array(fold, dtype=np.int64), routers)


def _check_row(row: dict[str, str]) -> None:
    """ValueError or KeyError where a figure of points.csv that verbs rely on is none."""
    whole = ("seed", "parameters", "storage_bytes")
    for name in (*whole, *(("macs", "accuracy") if row["kind"] != "point" else _OF_POINTS)):
        if not math.isfinite(float(row[name])) or (name in whole and int(row[name]) < 0):
            raise ValueError(f"{name} is {row[name]}")


def _job_of(row: dict[str, str]) -> str:
    """The name of a row's job, but its hash."""
    return safe("-".join(row[column] for column in ("method", "variant", "backbone", "dataset"))) + f"-s{row['seed']}"


def places(ids: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Where the samples `wanted [n]` stand among `ids [m]`; UsageError if one is not there."""
    order = np.argsort(ids)
    found = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
    if not np.array_equal(ids[found], wanted):
        raise UsageError("the data set does not hold all images of the run's tables")
    return np.asarray(found, dtype=np.int64)
