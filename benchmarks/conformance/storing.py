"""Storage: a stored model is the trained one, and its operating points are plain data."""

import math
from collections.abc import Iterator
from typing import Any

from benchmarks.conformance.learning import lesson
from benchmarks.conformance.subject import BATCH, Finding, Subject, answered, counted, named, same
from benchmarks.core.progress import drive
from benchmarks.evaluation.collecting import collect_statistics
from benchmarks.jobs import loaded
from methods.errors import MethodError
from methods.routers import OperatingPoint
from methods.storage import save

UNKNOWN = "a point nobody offers"


def storing_keeps_everything(subject: Subject) -> Finding:
    """A model that was just trained answers bit for bit the same, at the same points, after saving and loading."""
    plan, candidate = subject.world.plan, subject.world.result.candidate
    model = lesson(subject).model
    drive(collect_statistics(model, plan.train_images, plan.statistics_samples))
    model.points = subject.points
    path, images = subject.folder / "stored.safetensors", subject.images[:BATCH]
    before = [answered(model, point, images) for point in subject.points]
    save(model, path, candidate.name, candidate.backbone)
    again = loaded(plan, candidate, plan.config.seeds[0], path)
    if again.points != model.points:
        return Finding(False, "other operating points after loading")
    if again.settings != model.settings:
        return Finding(False, "other settings after loading")
    pairs = zip(subject.points, before, strict=True)
    wrong = [point.name for point, said in pairs if not same(said, answered(again, point, images))]
    if wrong:
        return Finding(False, f"{named(wrong)}: another output after loading")
    return Finding(True, f"{path.stat().st_size / 1024:.0f} KiB, {counted(len(before), 'point')}: every bit the same")


def points_are_data(subject: Subject) -> Finding:
    """Points are finite numbers under distinct names, survive JSON, and an unknown name is refused."""
    wrong = list(_wrong_points(subject))
    model = subject.model()
    try:
        model.point = UNKNOWN
        wrong.append("an unknown point is accepted")
    except MethodError:
        pass
    if wrong:
        return Finding(False, named(wrong))
    return Finding(
        True,
        f"{counted(len(subject.points), 'point')}, {counted(sum(map(_numbers, subject.points)), 'number')}, all finite",
    )


def _wrong_points(subject: Subject) -> Iterator[str]:
    points, limit = subject.points, subject.config.points
    names = [point.name for point in points]
    if not 1 <= len(points) <= limit:
        yield f"{len(points)} points, asked for 1 to {limit}"
    if len(set(names)) < len(names):
        yield "two points have the same name"
    for point in points:
        if not all(math.isfinite(value) for value in _values(point.model_dump())):
            yield f"{point.name} holds a number that is not finite"
        elif OperatingPoint.model_validate_json(point.model_dump_json()) != point:
            yield f"{point.name} comes back from JSON another"


def _numbers(point: OperatingPoint) -> int:
    return sum(1 for _ in _values(point.model_dump()))


def _values(found: Any) -> Iterator[float]:
    """All numbers in nested data."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list | tuple):
        for inner in found:
            yield from _values(inner)
    elif isinstance(found, float | int):
        yield found
