"""Cross-fitting: routers are learned on some test images and tried on others, fold by fold, and pooled.

Which points there are, their trade-offs and which of them are shown, calibration images say, which are in no fold. Of
every fold the routers are learned again, at the same trade-offs, on the images of the other folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.errors import UsageError
from methods.base import AdjustableModel
from methods.policies import refitted
from methods.routers import Argmax, Constant, Learned, OperatingPoint, Threshold
from methods.routing import Routing, simulate
from methods.table import PathTable

Fitted = Constant | Threshold | Learned | Argmax


@dataclass(frozen=True, eq=False)
class CrossFit:
    """The fold of every test image, int64 [n] from 0, and by the names of points the router of every fold.

    The router of a fold was learned on the images of all other folds.
    """

    fold: NDArray[np.int64]
    routers: Mapping[str, tuple[Fitted, ...]]

    def __post_init__(self) -> None:
        count = int(self.fold.max()) + 1
        if any(len(routers) != count for routers in self.routers.values()):
            raise ValueError(f"a point has not one router for each of {count} folds")

    def routing(self, test: PathTable, point: str) -> Routing:
        """Where every test image goes by the router of its fold, pooled; UsageError where `test` has other images."""
        if len(test.labels) != len(self.fold):
            raise UsageError(f"{len(self.fold)} test images are in folds, the path table has {len(test.labels)}")
        answer, router_macs = np.zeros((2, len(self.fold)), dtype=np.int64)
        visited = np.zeros((len(self.fold), len(test.costs.uses)), dtype=bool)
        for number, router in enumerate(self.routers[point]):
            rows = np.flatnonzero(self.fold == number)
            part = simulate(test.part(rows), router)
            answer[rows], visited[rows], router_macs[rows] = part.answer, part.visited, part.router_macs
        return Routing(answer, visited, router_macs)

    def points(self) -> list[OperatingPoint]:
        """The router of every fold as a point of its own, where folds differ: `lambda=2.0, fold 1`."""
        return [
            OperatingPoint.model_validate({"name": named(name, number), "router": router})
            for name, routers in self.routers.items()
            if len(set(routers)) > 1
            for number, router in enumerate(routers)
        ]

    def agreed(self, points: frozenset[str]) -> frozenset[str]:
        """Those of `points` of which the router of every fold is among them, too."""
        apart = {point.name for point in self.points()}
        return frozenset(
            name
            for name, routers in self.routers.items()
            if name in points and all(named(name, k) in points for k in range(len(routers)) if named(name, k) in apart)
        )


def named(point: str, fold: int) -> str:
    """What the router of a fold is called; folds are counted from 1."""
    return f"{point}, fold {fold + 1}"


def fitted(
    model: AdjustableModel, points: Sequence[OperatingPoint], test: PathTable, fold: NDArray[np.int64]
) -> tuple[tuple[OperatingPoint, ...], CrossFit]:
    """The points learned again on all folds, which is what a model is stored with, and the routers of every fold.

    `points` say the family of each router and its trade-off; what has nothing to learn stays as it is.
    """
    others = [test.part(np.flatnonzero(fold != number)) for number in range(int(fold.max()) + 1)]
    routers = {point.name: tuple(refitted(point, table, model.settings).router for table in others) for point in points}
    return tuple(refitted(point, test, model.settings) for point in points), CrossFit(fold, routers)
