"""Costs and answers of two versions compared without a clock. Pure functions over what each version said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import UsageError
from benchmarks.gate.shift import Verdict
from benchmarks.gate.verdicts import Check
from benchmarks.statistics import holm, mcnemar

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

    `outputs`: MACs of every answer and probe alone; `images`: which test images these are.
    """

    parameters: int
    outputs: Mapping[str, int]
    points: Mapping[str, PointSeen]
    images: str


Seen = Mapping[ModelKey, ModelSeen]


def compare(base: Seen, head: Seen) -> list[Check]:
    """Every cost and accuracy of `base` against `head`.

    UsageError where they do not fit: models, points or images that only one of them has.
    """
    _check_fit(base, head)
    found = [check for key in base for check in _costs(key, base[key], head[key])]
    return found + _accuracies(base, head)


def _check_fit(base: Seen, head: Seen) -> None:
    if not base:
        raise UsageError("the baseline has no models: there is nothing to compare with")
    _same("models", {"-".join(map(str, key)) for key in base}, {"-".join(map(str, key)) for key in head})
    for key in base:
        where = f"points of {key.method}-{key.variant}"
        _same(where, set(base[key].points), set(head[key].points))
        _same(f"answers of {key.method}-{key.variant}", set(base[key].outputs), set(head[key].outputs))
        if base[key].images != head[key].images:
            raise UsageError("base and head were not tested on the same images: make the baseline again")


def _same(what: str, base: set[str], head: set[str]) -> None:
    for missing, where in ((head - base, "baseline"), (base - head, "head")):
        if missing:
            some = ", ".join(sorted(missing)[:3]) + (", ..." if len(missing) > 3 else "")
            raise UsageError(f"the {where} lacks {what}: {some}; make it again with the same configuration")


def _costs(key: ModelKey, base: ModelSeen, head: ModelSeen) -> Iterator[Check]:
    yield _exact(key, "all", "parameters", base.parameters, head.parameters)
    for name, macs in base.outputs.items():
        yield _exact(key, name, "MACs", macs, head.outputs[name])
    for name, point in base.points.items():
        if point.per_sample:
            yield _mean(key, name, float(point.macs.mean()), float(head.points[name].macs.mean()))


def _exact(key: ModelKey, point: str, metric: str, base: int, head: int) -> Check:
    verdict: Verdict = "pass" if head == base else "regression" if head > base else "improvement"
    return Check(*key, point, metric, base, head, verdict, "exact")


def _mean(key: ModelKey, point: str, base: float, head: float) -> Check:
    change = head / base - 1
    verdict: Verdict = "pass" if abs(change) <= MEAN_MACS else "regression" if change > 0 else "improvement"
    return Check(*key, point, "mean MACs", base, head, verdict, f"{MEAN_MACS:.1%} more may be chance")


def _accuracies(base: Seen, head: Seen) -> list[Check]:
    """McNemar's exact test on the same images, Holm over all points of the gate."""
    found = [
        _accuracy(key, name, point.correct, head[key].points[name].correct)
        for key, model in base.items()
        for name, point in model.points.items()
    ]
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
