"""From a finished run to entries: one for each method and variant, with all its seeds."""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmarks import vouched
from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.trust import NOTHING, sha256
from benchmarks.leaderboard.asking import command, configuration
from benchmarks.leaderboard.entry import (
    PROTOCOL,
    SCHEMA_VERSION,
    Check,
    Costs,
    Data,
    Division,
    Entry,
    Environment,
    Figures,
    Fit,
    Point,
    Seed,
    SummaryFigures,
    Training,
    Weights,
    agreed,
)
from benchmarks.leaderboard.figures import figures
from benchmarks.leaderboard.fit_half import what_decides
from benchmarks.leaderboard.judging import INLINE
from benchmarks.leaderboard.packing import pack, pack_texts
from benchmarks.leaderboard.recorded_version import machine
from benchmarks.models import built
from benchmarks.stored import StoredRun, Trained
from methods.errors import MethodError
from methods.registry import entries as known_methods
from methods.routers import OperatingPoint
from methods.routing import simulate
from methods.table import PathTable

INLINED, UNPUBLISHED = "inline", "none"

Whole = NDArray[np.int64]


def bundle(run: StoredRun, labels: Sequence[str], division: Division, tuning: str, weights: str) -> list[Entry]:
    """The entries of a run, the plain network first; `labels`: of these methods only.

    `weights`: INLINED (where they are small enough), UNPUBLISHED, or the address of the folder they are published in.
    UsageError for a method the run does not have, and where points are cross-fitted.
    """
    for model in run.models:
        model.check_one_router()
    found = list(dict.fromkeys(model.label for model in run.models))
    if unknown := [label for label in labels if label not in found]:
        raise UsageError(f"{run.folder} has no {unknown[0]}; it has {', '.join(found)}")
    try:
        return [_entry(run, _of(run, label), division, tuning, weights) for label in labels or found]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{run.folder} makes no entry ({error.title}, {where}: {first['msg']}): run it again"
        ) from None
    except (LookupError, TypeError, StopIteration) as error:
        raise UsageError(f"{run.folder} makes no entry, something of it is missing ({error}): run it again") from None


def _of(run: StoredRun, label: str) -> list[Trained]:
    """The models of a method and variant, by seed."""
    return sorted((model for model in run.models if model.label == label), key=lambda model: model.seed)


def _entry(run: StoredRun, models: Sequence[Trained], division: Division, tuning: str, weights: str) -> Entry:
    first = models[0]
    data, seeds = _data(run), [model.seed for model in models]
    asked = configuration(run.record["configuration"], first.label, first.settings, first.backbone, data, seeds)
    test, select = first.test(), first.calibration()[1]
    inline = weights == INLINED and sum(model.weights.stat().st_size for model in models) <= INLINE
    unstated = Figures(points=(), budgets=(), summary=SummaryFigures(mean=0, low=None, high=None))
    entry = Entry(
        schema_version=SCHEMA_VERSION,
        protocol=PROTOCOL,
        method=first.method,
        variant=first.variant,
        method_version=version_of(first.method),
        settings=first.settings,
        backbone=first.backbone,
        dataset=data,
        division=division,
        tier="self-reported",
        date=_date(run),
        configuration=asked,
        command=command(asked),
        tuning=tuning,
        environment=environment(run.record["environment"]),
        training=_training(run, first),
        costs=_costs(run, models, test),
        figures=unstated,
        labels=pack(test.labels),
        ids=pack_texts([str(one) for one in test.sample_id]),
        select_ids=pack_texts([str(one) for one in select.sample_id]),
        seeds=tuple(_seed(run, model, inline, weights) for model in models),
    )
    return entry.model_copy(update={"figures": figures(entry)})


def version_of(method: str) -> int:
    """The version of a method in the registry; one that is not there has none."""
    known = known_methods()
    return known[method].version if method in known else 0


def machine_of(environment: Mapping[str, Any]) -> str:
    """A short hash of the platform, the processor and the device."""
    return machine({name: environment.get(name) for name in ("platform", "cpu", "device", "gpu")})


def environment(record: Mapping[str, Any]) -> Environment:
    """What of a run's environment an entry carries."""
    own = {name: record.get(name) for name in Environment.model_fields}
    return Environment.model_validate(own | {"machine": machine_of(record)})


def _date(run: StoredRun) -> str:
    """The day on which the run was finished, in UTC."""
    finished = (run.folder / "run.json").stat().st_mtime
    return datetime.datetime.fromtimestamp(finished, datetime.UTC).date().isoformat()


def _data(run: StoredRun) -> Data:
    record, asked = run.record["data"], run.record["configuration"]
    mine = f"{asked['dataset']}."
    own = {key.removeprefix(mine): value for key, value in asked.get("set", {}).items() if key.startswith(mine)}
    source = {"source": asked["dataset"], "settings": own, "rooted": run.needs_root}
    fields = {name: record[name] for name in Data.model_fields if name in record}
    return Data.model_validate(fields | source | {"classes": len(record["classes"])})


def _training(run: StoredRun, model: Trained) -> Training:
    trained = _job(run, f"*-train-{model.job.rpartition('-')[2]}.json")
    measured = _job(run, f"{model.job}-statistics-*.json")
    split = run.record["data"]["split"]
    if split is None:
        raise UsageError(
            f"{run.folder} makes no entry, others calibrate than the images that the suite sets aside: run without "
            "--calibration-images, --calibration and networks that were trained elsewhere"
        )
    return Training(
        recipe={name: value for name, value in run.record["recipe"].items() if name != "title"},
        flip=trained["data"]["flip"],
        crop=trained["data"]["crop"],
        precision="bfloat16" if trained["device"] == "cuda" else "float32",
        partition=trained["data"]["partition"],
        statistics=measured["samples"],
        split=split,
    )


def _job(run: StoredRun, pattern: str) -> dict[str, Any]:
    """What a job of the run depended on; UsageError where its record is gone."""
    for path in (run.folder / "jobs").glob(pattern):
        try:
            inputs: dict[str, Any] = received.record(path)["inputs"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UsageError(f"{path} is no record of a job: {error}") from None
        return inputs
    raise UsageError(f"{run.folder} has no record jobs/{pattern}: run it again, an entry says how it was trained")


def _costs(run: StoredRun, models: Sequence[Trained], test: PathTable) -> Costs:
    """Costs are those of the method and its settings: the same for every seed."""
    costs, model = test.costs, models[0]
    if costs.varying:
        raise UsageError(
            f"{model.label} makes no entry: what it computes depends on the image, and costs of entries are counted "
            "again without weights"
        )
    return Costs(
        plain_macs=run.plain_macs,
        outputs=(*test.answers, *test.probes),
        answers=len(test.answers),
        work=costs.work,
        macs=tuple(costs.macs.tolist()),
        uses=pack(costs.uses),
        parameters=model.parameters,
        storage_bytes=_storage(run, model),
    )


def _storage(run: StoredRun, model: Trained) -> int:
    rows = vouched.rows(run.folder, "points.csv")
    own = (row for row in rows if (row["method"], row["variant"]) == (model.method, model.variant))
    return int(next(own)["storage_bytes"])


def _seed(run: StoredRun, model: Trained, inline: bool, weights: str) -> Seed:
    test, (fit, select) = model.test(), model.calibration()
    known: dict[tuple[int, ...], int] = {}
    on_test, on_select = (
        np.stack([numbered(table, point, known) for point in model.points], axis=1) for table in (test, select)
    )
    digest = sha256(model.weights)
    if digest != model.sha256:
        raise UsageError(f"{model.weights} is not the file that was measured: its hash differs from run.json")
    published = weights not in (INLINED, UNPUBLISHED)
    return Seed(
        seed=model.seed,
        train_macs=None if math.isnan(model.train_macs) else model.train_macs,
        weights=Weights(
            sha256=digest,
            bytes=model.weights.stat().st_size,
            inline=inline,
            address=f"{weights.rstrip('/')}/{digest}.safetensors" if published else None,
        ),
        points=tuple(_point(run, model, point) for point in model.points),
        trails=tuple(known),
        test_prediction=pack(test.prediction.T),
        test_top5=pack(test.label_rank.T < 5),
        test_trail=pack(on_test),
        select_right=pack(select.correct.T),
        select_trail=pack(on_select),
        fit=_fit(run, model, fit),
    )


def _fit(run: StoredRun, model: Trained, fit: PathTable) -> Fit | None:
    """What the points were chosen on; None as well for a model that takes networks from files: no rule lets it in."""
    try:
        return what_decides(built(run, model, NOTHING), fit, run.record["configuration"]["points"])
    except (MethodError, UsageError):
        return None


def numbered(table: PathTable, point: OperatingPoint, known: dict[tuple[int, ...], int]) -> Whole:
    """Which trail every image takes at a point, [n]: positions in `known`, to which new trails are added."""
    visited = simulate(table, point.router).visited
    rows, which = np.unique(visited, axis=0, return_inverse=True)
    order = point.router.outputs  # a trail never goes back in it
    trails = [tuple(output for output in order if row[output]) for row in rows]
    numbers = np.array([known.setdefault(trail, len(known)) for trail in trails])
    found: Whole = numbers[which.reshape(-1)]
    return found


def _point(run: StoredRun, model: Trained, point: OperatingPoint) -> Point:
    (recorded,) = (one for one in run.record["models"] if one["job"] == model.job)
    checks = [
        Check.model_validate({name: row[name] for name in Check.model_fields})
        for row in recorded["executed_against_simulated"]
        if row["point"] == point.name
    ]
    return Point(
        name=point.name,
        router=point.router.model_dump(mode="json"),
        execution="executed" if agreed(checks) else "simulated",
        checks=tuple(checks),
    )
