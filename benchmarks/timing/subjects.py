"""What is timed: executed operating points of stored models, on a fixed order of test images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.models import Checked
from methods.routers import OperatingPoint
from methods.routing import simulate, trail_macs
from methods.table import PathTable
from methods.thresholds import spread

PLAIN = 3
"""Times a round that the plain network is timed."""
IMAGE_BYTES = 2**28
"""Images of one condition take this much memory at most."""


@dataclass(frozen=True)
class Subject:
    """One trained model: `identity` is the key of its rows but the point, `points` those that were executed and did
    what the table `test` says; others have no latency."""

    job: str
    identity: dict[str, Any]
    weights: Checked
    points: tuple[OperatingPoint, ...]
    test: PathTable

    @property
    def plain(self) -> bool:
        """Whether this is the network that ratios are to."""
        return (self.identity["method"], self.identity["variant"]) == ("plain", "default")

    def macs(self, point: OperatingPoint) -> NDArray[np.int64]:
        """What each test image costs, [n]."""
        return trail_macs(self.test, simulate(self.test, point.router))

    def describe(self) -> dict[str, Any]:
        """What a measurement of it depends on."""
        points = [point.model_dump(mode="json") for point in self.points]
        return {"job": self.job, "identity": self.identity, "sha256": self.weights.sha256, "points": points}


@dataclass(frozen=True)
class Timed:
    """One point to time. `macs` [n] is what each test image costs here, by which the mix of paths in the timed
    images is compared with that of the whole split. `model`: the position of its file among those loaded. `extra`:
    timed beside the points, and no row of its own.
    """

    key: dict[str, Any]
    model: int
    point: OperatingPoint
    macs: NDArray[np.int64]
    plain: bool = False
    extra: bool = False

    def request(self) -> tuple[int, dict[str, Any]]:
        """As a worker is told of it."""
        return self.model, self.point.model_dump(mode="json")


def timed_points(subjects: Sequence[Subject]) -> list[Timed]:
    """All points of all models."""
    return [
        Timed({**subject.identity, "point": point.name}, place, point, subject.macs(point), subject.plain)
        for place, subject in enumerate(subjects)
        for point in subject.points
    ]


def plain_again(timed: Sequence[Timed]) -> list[Timed]:
    """The plain network PLAIN - 1 more times, at random places of every round.

    All ratios have it below the line: timed once, half of the noise of a ratio would be its own, and common to all
    points of a process.
    """
    plain = [point for point in timed if point.plain]
    return [
        replace(point, key={**point.key, "point": f"{point.key['point']} again {turn}"}, extra=True)
        for point in plain
        for turn in range(1, PLAIN)
    ]


def some(subject: Subject, count: int) -> tuple[OperatingPoint, ...]:
    """At most `count` of a model's points, spread over cost, the cheapest and the dearest included."""
    if len(subject.points) <= count:
        return subject.points
    costs = np.array([subject.macs(point).mean() for point in subject.points])
    return tuple(subject.points[place] for place in spread(costs, count))


def timing_images(labels: NDArray[np.int64], seed: int, limit: int = 1024) -> NDArray[np.int64]:
    """A fixed stratified order of test images: every class in turn, within a class at random."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    ordered = labels[shuffled]
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        where = np.flatnonzero(ordered == label)
        turn[where] = np.arange(len(where))
    return shuffled[np.lexsort((ordered, turn))][:limit]


def in_batches(samples: NDArray[np.int64], size: int, image_bytes: int) -> NDArray[np.int64]:
    """`samples` [n] in order as whole batches [m, size], as many as IMAGE_BYTES hold; if too few, again and again."""
    count = max(1, min(len(samples), IMAGE_BYTES // image_bytes) // size)
    return np.resize(samples, (count, size))
