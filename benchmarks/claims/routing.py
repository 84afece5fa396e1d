"""What every per-sample method says of itself: its router looks at the image, and hard images get more compute."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.claims.pairing import Known, Models, labels, mean_over, of
from benchmarks.evaluation.per_image import Observed, Seen, between
from benchmarks.finding import AtPoint, Finding, OfSeed
from benchmarks.stats.inference import Interval, spearman

INNER = "10-90% of images go on"
NO_POINT = "no point where 10 to 90% of the images go on"


def beats_random(models: Models, known: Known) -> Iterator[Finding]:
    """A router against the same shares of its answers, drawn without looking at the image."""
    yield from _routers(models, "routing beats a random draw of the same answers", "random")


def beats_mixture(models: Models, known: Known) -> Iterator[Finding]:
    """A router against the best random mixture of two static answers at its cost."""
    yield from _routers(models, "routing beats the best mixture of static answers", "mixture")


def _routers(models: Models, claim: str, control: str) -> Iterator[Finding]:
    """A router against a control that does not look at the image, where 10 to 90% of the images go on."""
    routed = labels(models, lambda model: bool(model.per_sample))
    if not routed:
        yield Finding(claim, "", control, INNER, (), "needs a per-sample method")
    for label in routed:
        seeds = [
            found
            for model in of(models, label)
            if (found := mean_over(model.seed, [(p.name, p.right - _control(p, control)) for p in _inner(model)]))
        ]
        yield _finding(claim, label, control, seeds, models)


def _finding(
    claim: str, label: str, against: str, seeds: list[OfSeed], models: Models, unit: str = "accuracy"
) -> Finding:
    lacking = len(of(models, label)) - len(seeds) if seeds else 0
    return Finding(claim, label, against, INNER, tuple(seeds), "" if seeds else NO_POINT, unit, lacking=lacking)


def _inner(model: Observed) -> list[Seen]:
    return between(model.per_sample)


def _control(point: Seen, control: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = getattr(point, control)
    return found


def effort(models: Models, known: Known) -> Iterator[Finding]:
    """Rank correlation of the MACs spent on an image with its known difficulty, where 10 to 90% go on."""
    claim = "more compute is spent on harder images"
    routed = labels(models, lambda model: bool(model.per_sample))
    if known.difficulty is None or not routed:
        why = "needs images of known difficulty" if routed else "needs a per-sample method"
        yield Finding(claim, "", "difficulty", INNER, (), why, "rho")
        return
    for label in routed:
        seeds = [found for model in of(models, label) if (found := _correlation(model, known.difficulty))]
        yield _finding(claim, label, "difficulty", seeds, models, "rho")


def _correlation(model: Observed, difficulty: NDArray[np.floating]) -> OfSeed | None:
    """Mean over points, on Fisher's scale. Means of the points' bounds are bounds of the mean, if wide ones: the
    standard error of a mean is at most the mean of the standard errors."""
    found = [(point.name, spearman(point.macs, difficulty)) for point in _inner(model)]
    found = [(name, one) for name, one in found if math.isfinite(one.low) and abs(one.mean) < 1]
    if not found:
        return None
    mean, low, high = np.tanh(np.mean(np.arctanh([one for _, one in found]), axis=0)).tolist()
    points = tuple(AtPoint(name, one.mean) for name, one in found)
    return OfSeed(model.seed, Interval(mean, low, high), points, images=len(difficulty))
