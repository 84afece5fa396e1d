"""Rows of points.csv: every operating point and its controls, from path tables alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation import controls
from benchmarks.evaluation.cross_fit import CrossFit
from benchmarks.stats.frontier import on_frontier
from benchmarks.stats.inference import wilson
from methods.routers import OperatingPoint
from methods.routing import Routing, simulate, trail_macs
from methods.table import PathTable

COLUMNS = (
    "method", "variant", "backbone", "dataset", "seed", "point", "kind", "decision", "execution", "split",
    "macs", "macs_low", "macs_high", "macs_max", "flops", "parameters", "storage_bytes", "train_macs",
    "accuracy", "accuracy_low", "accuracy_high", "accuracy_top5", "balanced_accuracy", "samples", "selected",
    "on_frontier", "calibration_macs", "calibration_accuracy",
)  # fmt: skip
"""`macs` is the mean per image, `macs_low` and `macs_high` its 95% interval over images, `macs_max` the
dearest trail taken; `calibration_*` are the same point's figures on the *select* half; `balanced_accuracy` is the mean
over the classes that have test images of the share of them that is right."""
BEST = 5
"""Of so many classes or fewer every label is among the best five, which then says nothing."""


@dataclass(frozen=True)
class Tables:
    """One trained model's path tables: the two calibration halves and the test split.

    `random`: the test split where every decision inside of an answer was made on another image's scores; None where
    no answer decides anything.
    """

    fit: PathTable
    select: PathTable
    test: PathTable
    random: PathTable | None = None


@dataclass(frozen=True)
class Identity:
    """What a row is about, and the sizes that hold for all points of one trained model."""

    method: str
    variant: str
    backbone: str
    dataset: str
    seed: int
    parameters: int
    storage_bytes: int
    train_macs: float


def rows(
    identity: Identity,
    tables: Tables,
    points: Sequence[OperatingPoint],
    executed: frozenset[str],
    classes: int,
    cross_fit: CrossFit | None = None,
) -> list[dict[str, Any]]:
    """One row per point, then the controls of the per-sample ones.

    `selected` is decided on the *select* half alone; `on_frontier` describes the test split.
    `executed` names the points whose routing was really run and agreed with the table; `classes` is their number.
    With `cross_fit` every test image goes through the router of its fold, and figures on *select* are the mean over
    the routers of all folds.
    """
    routed = {point.name: _routing(tables.test, point, cross_fit) for point in points}
    found = [_point(tables, point, routed[point.name], classes, cross_fit) for point in points]
    selected = on_frontier(_column(found, "calibration_macs"), _column(found, "calibration_accuracy"))
    descriptive = on_frontier(_column(found, "macs"), _column(found, "accuracy"))
    for row, point, chosen, best in zip(found, points, selected, descriptive, strict=True):
        row |= {"selected": bool(chosen), "on_frontier": bool(best)}
        row |= {"execution": "executed" if point.name in executed else "simulated"}
    all_rows = [*found, *_controls(tables, points, routed)]
    return [{**vars(identity), **row, "split": "test"} for row in all_rows]


def _routing(test: PathTable, point: OperatingPoint, cross_fit: CrossFit | None) -> Routing:
    return simulate(test, point.router) if cross_fit is None else cross_fit.routing(test, point.name)


def _point(
    tables: Tables, point: OperatingPoint, routing: Routing, classes: int, cross_fit: CrossFit | None
) -> dict[str, Any]:
    table, select = tables.test, tables.select
    macs = trail_macs(table, routing)
    samples = np.arange(len(routing.answer))
    right = table.correct[routing.answer, samples]
    routers = (point.router,) if cross_fit is None else cross_fit.routers[point.name]
    chosen = [simulate(select, router) for router in routers]
    select_right = [select.correct[one.answer, np.arange(len(one.answer))] for one in chosen]
    return {
        "point": point.name,
        "kind": "point",
        "decision": table.decision(point),
        **_cost(macs),
        **_accuracy(float(right.mean()), len(right)),
        "accuracy_top5": float((table.label_rank[routing.answer, samples] < BEST).mean()) if classes > BEST else np.nan,
        "balanced_accuracy": balanced(table.labels, right),
        "calibration_macs": float(np.mean([trail_macs(select, one) for one in chosen])),
        "calibration_accuracy": float(np.mean(select_right)),
    }


def balanced(labels: NDArray[np.int64], right: NDArray[np.bool_]) -> float:
    """Mean over the classes that occur in `labels` [n] of the share of their images that is `right` [n]."""
    counts = np.bincount(labels)
    return float((np.bincount(labels, weights=right)[counts > 0] / counts[counts > 0]).mean())


def _controls(tables: Tables, points: Sequence[OperatingPoint], routed: Mapping[str, Routing]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    bounds: dict[tuple[tuple[int, ...], ...], controls.Control] = {}
    for point in points:
        if tables.test.decision(point) == "per-sample":
            routing = routed[point.name]
            macs = float(trail_macs(tables.test, routing).mean())
            found += [_control(point.name, "random", controls.random(tables.random or tables.test, routing), tables)]
            mixed = controls.mixture((tables.fit, tables.select), tables.test, macs)
            found += [] if mixed is None else [_control(point.name, "mixture", mixed, tables)]
            trails = point.router.shortest
            if len(trails) > 1 and trails not in bounds:
                bounds[trails] = controls.oracle(tables.test, point.router)
    numbered = {f"oracle of {len(trails)} answers": bound for trails, bound in bounds.items()}
    return found + [_control(name, "oracle", bound, tables) for name, bound in numbered.items()]


def _control(point: str, kind: str, control: controls.Control, tables: Tables) -> dict[str, Any]:
    """A control is an expectation over draws, so it has a mean cost and no interval of it."""
    return {
        "point": point,
        "kind": kind,
        "decision": "per-sample",
        "execution": "simulated",
        "macs": control.macs,
        "flops": 2 * control.macs,
        **_accuracy(control.accuracy, len(tables.test.labels)),
        "selected": False,
        "on_frontier": False,
    }


def _cost(macs: NDArray[np.int64]) -> dict[str, float]:
    mean = float(macs.mean())
    half = 1.96 * float(macs.std(ddof=1)) / len(macs) ** 0.5 if len(macs) > 1 else 0.0
    return {
        "macs": mean,
        "macs_low": mean - half,
        "macs_high": mean + half,
        "macs_max": float(macs.max()),
        "flops": 2 * mean,
    }


def _accuracy(accuracy: float, samples: int) -> dict[str, float]:
    low, high = wilson(round(accuracy * samples), samples)
    return {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high, "samples": samples}


def _column(found: Sequence[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([row[name] for row in found], dtype=np.float64)
