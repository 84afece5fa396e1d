"""Which trails a condition times for composed latencies, and what comes of them: rows, and how far they are off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing.composed import TOLERANCE, VALIDATED, Parts, composed, deviation, parts
from benchmarks.timing.conditions import Condition
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Subject, Timed, some
from benchmarks.timing.summary import executed, of_processes, plain_of, row, uneven
from methods.base import AdjustableModel
from methods.routers import OperatingPoint
from methods.routing import simulate, trail_macs
from methods.table import PathTable
from methods.thresholds import spread


@dataclass(frozen=True)
class Composition:
    """What is composed for one model: `further` points, and executed ones that say whether it holds, `validated`."""

    subject: Subject
    further: tuple[tuple[OperatingPoint, Parts], ...]
    validated: tuple[tuple[OperatingPoint, Parts], ...]

    @property
    def routers(self) -> tuple[Any, ...]:
        """All distinct trails, as routers that force them."""
        pairs = (*self.further, *self.validated)
        return tuple(dict.fromkeys(router for _, made in pairs for router in made.routers))

    def timed(self, model: int) -> list[Timed]:
        """Every trail as a point to time; `model`: the position of the model's file."""
        images = np.ones(len(self.subject.test.labels), dtype=np.int64)  # an image costs as much as any other
        key = self.subject.identity
        return [
            Timed({**key, "point": name}, model, OperatingPoint(name=name, router=router), images, extra=True)
            for name, router in zip(self.names, self.routers, strict=True)
        ]

    @property
    def names(self) -> list[str]:
        """Of the trails, in the samples."""
        return [f"trail {place}" for place in range(len(self.routers))]


def composition(subject: Subject, further: Sequence[OperatingPoint]) -> Composition:
    """What has to be timed so that `further` points of a model can be composed."""
    routed = tuple(point for point in subject.points if _composable(subject.test, point))
    checks = some(Subject(subject.job, subject.identity, subject.weights, routed, subject.test), VALIDATED)
    of = [tuple((point, parts(subject.test, point)) for point in points) for points in (further, checks)]
    return Composition(subject, *of)


def further_points(model: AdjustableModel, fit: PathTable, count: int) -> tuple[OperatingPoint, ...]:
    """`count` more per-sample points than a model has, if it offers them, spread over their cost on `fit`."""
    if count < 1 or not any(_composable(fit, point) for point in model.points):
        return ()
    known = {point.router for point in model.points}
    names = {point.name for point in model.points}
    offered = model.operating_points(fit, len(model.points) + 4 * count)
    fresh = [point for point in offered if _composable(fit, point) and point.router not in known]
    if not fresh:
        return ()
    costs = np.array([trail_macs(fit, simulate(fit, point.router)).mean() for point in fresh])
    chosen = [fresh[place] for place in spread(costs, count)]
    return tuple(p.model_copy(update={"name": f"{p.name} (composed)"}) if p.name in names else p for p in chosen)


def _composable(table: PathTable, point: OperatingPoint) -> bool:
    """Whether its latencies are those of its trails: images differ by their trails, and not within them."""
    within = any(table.costs.vary(output) for output in point.router.outputs)
    return table.decision(point) == "per-sample" and not within


def outcome(
    made: Composition, timed: Sequence[Timed], condition: Condition, sessions: Sequence[Session],
    batches: NDArray[np.int64],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:  # fmt: skip
    """Rows of the composed points of one model, and what its validation found; a backend may lack some of them."""
    mine = made.subject.identity
    places = {t.key["point"]: place for place, t in enumerate(timed) if t.key == {**mine, "point": t.key["point"]}}
    trails = {r: places[name] for r, name in zip(made.routers, made.names, strict=True) if name in places}
    found: list[dict[str, Any]] = [
        {"point": point.name, "deviation": _deviation(places[point.name], at, sessions, batches, trails)}
        for point, at in made.validated
        if point.name in places and set(at.routers) <= trails.keys()
    ]
    holds = bool(found) and all(abs(one["deviation"]) <= TOLERANCE for one in found)
    plain, rows = plain_of(timed, sessions), []
    for point, at in made.further:
        if set(at.routers) <= trails.keys():
            used = [[executed(session, trails[router]) for router in at.routers] for session in sessions]
            samples = [composed(each, at.shares) for each in used]
            flags = [*of_processes(sessions), *["spread"] * uneven(samples), *["composition"] * (not holds)]
            key = {**made.subject.identity, "point": point.name}
            rows.append(row(key, made.subject.macs(point), condition, samples, plain, flags, execution="composed"))
    about = {name: made.subject.identity[name] for name in ("method", "variant")}
    return rows, {**about, "holds": holds, "executed": found}


def _deviation(
    point: int, at: Parts, sessions: Sequence[Session], batches: NDArray[np.int64], trails: dict[Any, int]
) -> float:
    """The median over processes."""
    positions = [trails[router] for router in at.routers]
    return float(np.median([deviation(s, point, positions, at.trail[batches[s.batches][..., 0]]) for s in sessions]))
