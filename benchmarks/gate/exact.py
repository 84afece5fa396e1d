"""Costs and answers of two versions compared without a clock. Pure functions over what each version said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.errors import UsageError
from benchmarks.gate.shift import Verdict
from benchmarks.gate.verdicts import Check
from benchmarks.stats.inference import holm, mcnemar

MEAN_MACS = 0.005
"""Mean MACs of a per-sample point may rise by this share: another rounding sends some images elsewhere."""
DROP = 0.001
"""A drop of accuracy that is not worth a word, in [0, 1]."""
LEVEL = 0.01


class ModelKey(NamedTuple):
    """Which trained model: the key of points.csv without the point."""

    method: str
    variant: str
    backbone: str
    dataset: str
    seed: int


@dataclass(frozen=True)
class PointSeen:
    """What an operating point did on the test images: MACs int64 [n] and whether it was right bool [n]."""

    per_sample: bool
    macs: NDArray[np.int64]
    correct: NDArray[np.bool_]


@dataclass(frozen=True)
class ModelSeen:
    """One trained model in one version of the code: exact sizes, and every point on the same test images.

    `outputs`: MACs of every answer and probe alone; `images`: which test images these are; `weights`: their hash.
    `astray`: how many images execution sent or answered otherwise than the table says, by point. `said`: mean MACs and
    accuracy of every point as the version that made the run wrote them down; none where this code executed it.
    """

    parameters: int
    outputs: Mapping[str, int]
    points: Mapping[str, PointSeen]
    images: str
    weights: str
    astray: Mapping[str, int] = field(default_factory=dict)
    said: Mapping[str, tuple[float, float]] = field(default_factory=dict)


Seen = Mapping[ModelKey, ModelSeen]


def compare(base: Seen, head: Seen) -> list[Check]:
    """Every cost and accuracy of `base` against `head`.

    UsageError where they do not fit: models, points or images that only one of them has.
    """
    _check_fit(base, head)
    found = []
    for key in base:
        names = comparable(base[key], head[key])
        found += [*_costs(key, base[key], head[key], names), *_routing(key, base[key], head[key], names)]
        found += _accuracies(key, base[key], head[key], names)
    return found


def comparable(base: ModelSeen, head: ModelSeen) -> list[str]:
    """The points that can be compared: of the same weights all, of others the static ones that both have.

    A threshold is fitted to its own weights, so that a per-sample point of other weights is another point.
    """
    if base.weights == head.weights:
        return list(base.points)
    both = [name for name in base.points if name in head.points]
    return [name for name in both if not (base.points[name].per_sample or head.points[name].per_sample)]


def _check_fit(base: Seen, head: Seen) -> None:
    if not base:
        raise UsageError("the baseline has no models: there is nothing to compare with")
    _same("models", {"-".join(map(str, key)) for key in base}, {"-".join(map(str, key)) for key in head})
    for key in base:
        one, other, where = base[key], head[key], f"{key.method}-{key.variant}"
        if one.weights == other.weights:
            _same(f"points of {where}", set(one.points), set(other.points))
        _same(f"answers of {where}", set(one.outputs), set(other.outputs))
        if one.images != other.images:
            raise UsageError("base and head were not tested on the same images: make the baseline again")


def _same(what: str, base: set[str], head: set[str]) -> None:
    for missing, where in ((head - base, "baseline"), (base - head, "head")):
        if missing:
            some = ", ".join(sorted(missing)[:3]) + (", ..." if len(missing) > 3 else "")
            raise UsageError(f"the {where} lacks {what}: {some}; make it again with the same configuration")


def _costs(key: ModelKey, base: ModelSeen, head: ModelSeen, names: Sequence[str]) -> Iterator[Check]:
    yield _exact(key, "all", "parameters", base.parameters, head.parameters)
    for name, macs in base.outputs.items():
        yield _exact(key, name, "MACs", macs, head.outputs[name])
    for name in names:
        one, other = base.points[name], head.points[name]
        if one.per_sample != other.per_sample:
            raise UsageError(f"point {name} of {key.method} is static on one side only: make the baseline again")
        yield _mean(key, name, float(one.macs.mean()), float(other.macs.mean()), MEAN_MACS if one.per_sample else 0.0)


def _routing(key: ModelKey, base: ModelSeen, head: ModelSeen, names: Sequence[str]) -> Iterator[Check]:
    """Whether this code reads the tables of both as the versions that made them, and execution follows the tables."""
    for name in names:
        for side in (base, head):
            if name in side.said:
                macs, accuracy = side.said[name]
                point = side.points[name]
                same = np.isclose([macs, accuracy], [point.macs.mean(), point.correct.mean()], rtol=1e-9).all()
                note = "as the version that made the run" if same else "this code routes the run's own table otherwise"
                yield Check(*key, name, "routing", macs, point.macs.mean(), "pass" if same else "regression", note)
        before, now = base.astray.get(name, 0), head.astray.get(name, 0)
        note = "images executed otherwise than the table says"
        yield Check(*key, name, "execution", before, now, "regression" if now > before else "pass", note)


def _exact(key: ModelKey, point: str, metric: str, base: int, head: int) -> Check:
    verdict: Verdict = "pass" if head == base else "regression" if head > base else "improvement"
    return Check(*key, point, metric, base, head, verdict, "exact")


def _mean(key: ModelKey, point: str, base: float, head: float, allowed: float) -> Check:
    change = head / base - 1
    verdict: Verdict = "pass" if abs(change) <= allowed else "regression" if change > 0 else "improvement"
    return Check(
        *key, point, "mean MACs", base, head, verdict, f"{allowed:.1%} may be rounding" if allowed else "exact"
    )


def _accuracies(key: ModelKey, base: ModelSeen, head: ModelSeen, names: Sequence[str]) -> list[Check]:
    """McNemar's exact test on the same images, Holm over the points of the model."""
    found = [_accuracy(key, name, base.points[name].correct, head.points[name].correct) for name in names]
    adjusted = holm([p for _, p in found])
    return [_decided(check, float(p)) for (check, _), p in zip(found, adjusted, strict=True)]


def _accuracy(key: ModelKey, point: str, base: NDArray[np.bool_], head: NDArray[np.bool_]) -> tuple[Check, float]:
    lost, won = int((base & ~head).sum()), int((head & ~base).sum())
    note = f"{lost} images lost, {won} won"
    check = Check(*key, point, "accuracy", float(base.mean()), float(head.mean()), "pass", note)
    return check, mcnemar(lost, won)


def _decided(check: Check, p: float) -> Check:
    """A change of more than DROP is real where p is below LEVEL, and an open question else; gains need no proof."""
    change = check.head - check.base
    if abs(change) <= DROP + 1e-9:
        return check
    verdict: Verdict = "inconclusive" if change < 0 else "pass"
    if p < LEVEL:
        verdict = "regression" if change < 0 else "improvement"
    return replace(check, verdict=verdict, note=f"{check.note}, McNemar p = {p:.2g} after Holm")
