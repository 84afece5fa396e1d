"""What one trained model did on the test images, point by point and image by image: what claims are checked on.

Pure functions over path tables. Everything keeps the images apart, so that differences are paired. Shapes: a
answers, n images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation.controls import static_hull
from benchmarks.stats.frontier import accuracy_at
from methods.routers import OperatingPoint, Router
from methods.routing import Routing, simulate, trail_macs
from methods.table import PathTable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """One operating point: which test images it gets right [n], the MACs it spends on them [n], the share of
    them that `goes_on` beyond the first answer, and its figures on *select*.

    The share is that on *select*: test images do not choose what is looked at. `random` and `mixture` [n] are the
    controls' chances of being right on each image; static points have none. `learned`: a learned policy decides.
    `commonest`: the share of *select* images that end at the answer where most do.
    """

    name: str
    right: NDArray[np.bool_]
    macs: NDArray[np.int64]
    goes_on: float
    calibration_macs: float
    calibration_accuracy: float
    random: Floats | None = None
    mixture: Floats | None = None
    learned: bool = False
    commonest: float = 1.0


@dataclass(frozen=True)
class Observed:
    """One trained model: its `settings`, its answers alone (`macs` [a], `correct` [a, n], and their accuracies on
    *select*, `calibrated` [a]), its points, and the MACs of its training."""

    method: str
    label: str
    seed: int
    settings: dict[str, object]
    answers: tuple[str, ...]
    macs: NDArray[np.int64] | Floats
    correct: NDArray[np.bool_]
    calibrated: Floats
    points: tuple[Seen, ...]
    train_macs: float

    @property
    def per_sample(self) -> list[Seen]:
        """The points whose trails differ from image to image."""
        return [point for point in self.points if point.random is not None]

    def fixed(self, wanted: Callable[[str], bool] = lambda name: True) -> "Observed":
        """The same model with only those of its static points whose names are wanted."""
        static = [point for point in self.points if point.random is None and wanted(point.name)]
        return replace(self, points=tuple(static))

    def best(self) -> Seen:
        """The most accurate point on *select*, of equals the cheapest."""
        return max(self.points, key=lambda point: (point.calibration_accuracy, -point.calibration_macs))

    def at(self, budget: float) -> Seen | None:
        """The point for a budget in MACs per image, chosen on *select*; None where it buys none."""
        costs = [point.calibration_macs for point in self.points]
        index = accuracy_at(budget, costs, [point.calibration_accuracy for point in self.points])
        return None if index is None else self.points[index]

    def over(self, low: float, high: float) -> Floats:
        """Chance [n] of being right at a budget in MACs that is drawn between `low` and `high`, evenly in octaves.

        `low` must buy a point. The points are those of `at`: the step function is integrated exactly.
        """
        costs = sorted({point.calibration_macs for point in self.points if low < point.calibration_macs < high})
        octaves = np.diff(np.log2([low, *costs, high]))
        right = np.array([point.right for budget in (low, *costs) if (point := self.at(budget))])
        chances: Floats = octaves @ right / octaves.sum()
        return chances


def cheapest(points: Sequence[Seen], accuracy: float) -> Seen | None:
    """The cheapest point that reaches an accuracy on *select*, of equals the most accurate; None where none does."""
    enough = [point for point in points if point.calibration_accuracy >= accuracy - 1e-9]
    return min(enough, key=lambda point: (point.calibration_macs, -point.calibration_accuracy), default=None)


def seen(
    point: OperatingPoint, fit: PathTable, select: PathTable, test: PathTable, random: PathTable | None = None
) -> Seen:
    """What `point` does on the test images; `random`: their table where answers decided on other images' scores."""
    routing, chosen = simulate(test, point.router), simulate(select, point.router)
    macs = trail_macs(test, routing)
    per_sample = test.decision(point) == "per-sample"
    return Seen(
        point.name,
        _right(test, routing),
        macs,
        goes_on(select, point.router, chosen),
        float(trail_macs(select, chosen).mean()),
        float(_right(select, chosen).mean()),
        random_chances(random or test, routing) if per_sample else None,
        mixture_chances((fit, select), test, float(macs.mean())) if per_sample else None,
        point.router.kind == "learned",
        float(np.bincount(chosen.answer).max() / len(chosen.answer)),
    )


def goes_on(table: PathTable, router: Router, routing: Routing) -> float:
    """Share of images that end elsewhere than at the first answer; behind a probe, at the cheapest one."""
    answers = [output for output in router.outputs if output < len(table.answers)]
    first = router.start if router.start in answers else min(answers, key=lambda answer: int(table.macs[answer]))
    return float((routing.answer != first).mean())


def random_chances(table: PathTable, routing: Routing) -> Floats:
    """Chance [n] that each image is right where its final answer is drawn in the shares of `routing`.

    Its mean is `controls.random`'s accuracy.
    """
    shares = np.bincount(routing.answer, minlength=len(table.answers)) / len(routing.answer)
    chances: Floats = shares @ table.correct
    return chances


def mixture_chances(calibration: Sequence[PathTable], test: PathTable, macs: float) -> Floats | None:
    """Chance [n] that each image is right in the best random mixture of two static answers that costs `macs`; None
    where no answer is static.

    Chosen as `controls.mixture` does, whose accuracy is its mean.
    """
    costs = test.macs.astype(np.float64)
    hull = static_hull(calibration)
    if not hull:
        return None
    weights = np.array([np.interp(macs, costs[hull], one) for one in np.eye(len(hull))])
    chances: Floats = weights @ test.correct[hull]
    return chances


def between(points: Sequence[Seen], low: float = 0.1, high: float = 0.9) -> list[Seen]:
    """The points at which `low` to `high` of the images go on: elsewhere a router hardly decides anything."""
    return [point for point in points if low <= point.goes_on <= high]


def selective(points: Sequence[Seen], most: float = 0.9) -> list[Seen]:
    """The points at which no answer is given to more than `most` of the images: elsewhere a policy is nearly that
    answer, used statically."""
    return [point for point in points if point.commonest <= most]


def _right(table: PathTable, routing: Routing) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = table.correct[routing.answer, np.arange(len(routing.answer))]
    return right
