"""How two models, or two points, are compared on the same test images, seed by seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation.per_image import Observed, Seen
from benchmarks.finding import AtPoint, OfSeed
from benchmarks.scales import Alike
from benchmarks.stats.inference import bootstrap, mcnemar

Models = Sequence[Observed]
NO_SEED = "no seed in common"


@dataclass(frozen=True)
class Timed:
    """What executing an operating point took in units of the plain network's time, under one condition, with the
    interval of the ratio; `doubt`: why it is not to be relied on."""

    ratio: float
    low: float
    high: float
    doubt: str = ""


@dataclass(frozen=True)
class Known:
    """What is known of a run beside its models: MACs of the plain network on one image, `difficulty [n]` of the test
    images, `times` by label, seed and point, and what `scales` found."""

    plain_macs: float
    difficulty: NDArray[np.floating] | None = None
    times: Mapping[tuple[str, int, str], Timed] | None = None
    alike: Sequence[Alike] = ()


def labels(models: Models, wanted: Callable[[Observed], bool]) -> list[str]:
    """The methods with their variants that have a wanted model, in the order of the run."""
    return list(dict.fromkeys(model.label for model in models if wanted(model)))


def of_method(models: Models, *methods: str) -> list[str]:
    """The labels of these methods."""
    return labels(models, lambda model: model.method in methods)


def of(models: Models, label: str) -> list[Observed]:
    """The models of one label, one a seed."""
    return [model for model in models if model.label == label]


def partners(own: Models, others: Models) -> list[tuple[Observed, Observed]]:
    """The models of the same seeds, two by two."""
    by_seed = {model.seed: model for model in others}
    return [(model, by_seed[model.seed]) for model in own if model.seed in by_seed]


def mean_over(seed: int, differences: Sequence[tuple[str, NDArray[np.float64]]]) -> OfSeed | None:
    """Mean over points of paired differences [n], and its interval over the images they share."""
    if not differences:
        return None
    points = tuple(AtPoint(name, float(values.mean())) for name, values in differences)
    mean = np.mean([values for _, values in differences], axis=0)
    return OfSeed(seed, bootstrap(mean), points, images=len(mean), differences=mean)


def pair(model: Observed, ours: Seen, other: Observed, theirs: Seen) -> OfSeed:
    """Two operating points of models of one seed on the same images, with McNemar's test."""
    difference = ours.right.astype(np.float64) - theirs.right
    p = mcnemar(int((ours.right & ~theirs.right).sum()), int((theirs.right & ~ours.right).sum()))
    point = AtPoint(f"{ours.name} | {theirs.name}", float(difference.mean()), p)
    macs = (float(ours.macs.mean()), float(theirs.macs.mean()))
    training = model.train_macs / other.train_macs
    return OfSeed(model.seed, bootstrap(difference), (point,), macs, training, len(difference), difference)


def lacks(what: str, *sides: tuple[str, Sequence[bool]]) -> str:
    """Who has no `what`, and in how many seeds: names, each with whether it has one in each seed."""
    return ", ".join(
        f"{name}: no {what} in {has.count(False)} of {len(has)} seed{'s' if len(has) > 1 else ''}"
        for name, has in ((name, list(has)) for name, has in sides)
        if not all(has)
    )
