"""`time`: a finished run's stored models timed again, condition by condition, each a job that is done once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import runrecord
from benchmarks.core import received
from benchmarks.core.environment import describe
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import drive
from benchmarks.core.trust import NOTHING, Trust
from benchmarks.core.written import write_text
from benchmarks.data.base import DataSet
from benchmarks.data.batches import Images
from benchmarks.evaluation.execution import Agreement, agreed
from benchmarks.models import built, checked
from benchmarks.outputs import write_record
from benchmarks.runner import Show
from benchmarks.store import Store
from benchmarks.stored import StoredRun, Trained
from benchmarks.timing import history
from benchmarks.timing.bench import KIND, Bench, machine
from benchmarks.timing.composing import further_points
from benchmarks.timing.conditions import Condition
from benchmarks.timing.subjects import Subject, some
from benchmarks.timing.workers import WorkerError
from methods.registry import nearest
from methods.routers import OperatingPoint


@dataclass
class Said:
    """What there is to say after timing: `notes`, one line on everything that a condition does not have, and
    `failures`, one on every condition that could not be measured."""

    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Which models and points of a run are timed: `methods` as a user writes them (none: all; plain always), at most
    `points` of each, and `compose` further ones of the per-sample methods."""

    methods: tuple[str, ...] = ()
    points: int | None = None
    compose: int = 0
    plugins: tuple[Path, ...] = ()
    trust: Trust = NOTHING


def time_again(
    run: StoredRun,
    data: DataSet,
    asked: Asked,
    wanted: Sequence[Condition],
    output: Path,
    show: Show,
    say: Callable[[str], None] = lambda line: None,
) -> Said:
    """Time what was asked under all conditions that were not timed before, and write what is known then to `output`.

    Where `output` is not the run's folder, its points.csv and run.json are written there as well.
    """
    device = torch.device(wanted[0].device)
    environment, models = describe(device), _models(run, asked.methods)
    subjects = tuple(_subject(run, model, asked) for model in models)
    further = {m.job: _further(run, m, asked) for m in models if asked.compose}
    images = Images.of(data.test, data.mean, data.std, torch.device("cpu"))
    about = (images, data.test.labels, data.test.fingerprint, machine(environment), asked.plugins)
    bench = Bench(subjects, *about, {job: points for job, points in further.items() if points})
    store = Store(output, say)
    (output / "jobs").mkdir(parents=True, exist_ok=True)
    said = Said()
    for condition in wanted:
        inputs, label = bench.inputs(condition), condition.label
        record = store.finished(KIND, label, inputs, [])
        try:
            if record is None or not record.result["rows"]:  # a backend that was not there may be there now
                with show(label) as progress:
                    record = drive(store.do(KIND, label, inputs, partial(bench.work, condition)), progress)
        except WorkerError as error:
            said.failures.append(f"{label}: {error}")
            continue
        said.notes += [f"{label}: {line}" for line in remarks(record.result)]
        _write(run, output, environment, store.say)
    return said


def remarks(result: dict[str, Any]) -> list[str]:
    """What a condition does not have, and how composition compared with execution."""
    reasons: dict[str, list[str]] = {}
    for one in result["unsupported"]:
        reasons.setdefault(one["reason"], []).append(f"{one['method']}:{one['variant']} {one['point']}")
    lines = [
        f"left out: {len(points)} points ({points[0]}{', ...' * (len(points) > 1)}): {reason}"
        for reason, points in reasons.items()
    ]
    for made in result["compositions"]:
        checks = ", ".join(f"{one['point']} {100 * one['deviation']:+.1f}%" for one in made["executed"])
        verdict = "composed as executed" if made["holds"] else "NOT composed as executed, flagged"
        lines.append(
            f"{made['method']}:{made['variant']} {verdict}, mean latency: {checks or 'nothing to compare with'}"
        )
    return lines


def _models(run: StoredRun, methods: Sequence[str]) -> list[Trained]:
    """Those of the lowest seed that were asked for, the plain network first."""
    first = [model for model in run.models if model.seed == run.seeds[0]]
    known = dict.fromkeys(model.label for model in first)
    for name in methods:
        if name not in known:
            raise UsageError(f"--methods: the run has no '{name}'; {nearest(name, known)}")
    wanted = [m for m in first if not methods or m.label in (*methods, "plain")]
    return sorted(wanted, key=lambda model: model.label != "plain")


def _further(run: StoredRun, model: Trained, asked: Asked) -> tuple[OperatingPoint, ...]:
    """Points of a model to compose beside those it has."""
    return further_points(built(run, model, asked.trust), model.calibration()[0], asked.compose)


def _subject(run: StoredRun, model: Trained, asked: Asked) -> Subject:
    """A model with the points whose execution was checked and agreed."""
    (entry,) = (entry for entry in run.record["models"] if entry["job"] == model.job)
    executed = agreed(Agreement.model_validate(row) for row in entry["executed_against_simulated"])
    points = tuple(point for point in model.points if point.name in executed)
    identity = {name: getattr(model, name) for name in ("method", "variant", "backbone", "dataset", "seed")}
    subject = Subject(model.job, identity, checked(run, model, asked.trust), points, model.test())
    return subject if asked.points is None else replace(subject, points=some(subject, asked.points))


def _write(run: StoredRun, output: Path, environment: dict[str, Any], say: Callable[[str], None]) -> None:
    hashes = {model["job"]: model["weights_sha256"] for model in run.record["models"]}
    found = history.history(output, hashes, machine(environment), say)
    history.write(output, found)
    if output.resolve() != run.folder.resolve():
        expected = runrecord.hash_of(run.record, "points.csv")
        write_text(output / "points.csv", received.text(run.folder / "points.csv", received.TABLE, expected))
    write_record(output, run.record | {"timing": found.conditions, "timing_environment": environment})
