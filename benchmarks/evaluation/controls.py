"""Controls for per-sample methods: what a router must beat, and what none can.

Pure functions over path tables. `random` sends the same shares of images along the same trails
without looking at them; `mixture` is the best random mixture of the method's own static answers at
the same cost; `oracle` gives each image its cheapest right answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from methods.routers import Router
from methods.routing import Routing, trail_macs
from methods.table import PathTable

Floats = NDArray[np.float64]


class Control(NamedTuple):
    """Mean MACs per image and expected accuracy."""

    macs: float
    accuracy: float


def random(table: PathTable, routing: Routing) -> Control:
    """The shares of final answers of `routing`, drawn independently of the image; the same cost.

    Where what an answer does depends on the image, `table` is that of a sweep in which every decision was made on
    another image's scores, and so is its cost.
    """
    shares = np.bincount(routing.answer, minlength=len(table.answers)) / len(routing.answer)
    macs = float(trail_macs(table, routing).mean())
    return Control(macs, float(shares @ table.correct.mean(axis=1)))


def mixture(calibration: Sequence[PathTable], test: PathTable, macs: float) -> Control | None:
    """The best random mixture of two static answers that costs `macs` on average; None where no answer is static.

    Which answers are worth mixing is decided on all `calibration` images (their upper hull); the accuracy
    is that on test. Below the cheapest or above the best answer it is that answer alone.
    """
    costs = test.macs.astype(np.float64)
    hull = static_hull(calibration)
    if not hull:
        return None
    hull_costs, accuracy = costs[hull], test.correct.mean(axis=1)[hull]
    reached = float(np.clip(macs, hull_costs[0], hull_costs[-1]))
    return Control(reached, float(np.interp(reached, hull_costs, accuracy)))


def static_hull(calibration: Sequence[PathTable]) -> list[int]:
    """The static answers worth mixing, by rising cost: both halves decide, a smaller choice would flatter routers.

    Answers whose work depends on the image are not static.
    """
    costs = calibration[0].costs
    static = [answer for answer in range(len(calibration[0].answers)) if not costs.vary(answer)]
    accuracy = np.concatenate([table.correct for table in calibration], axis=1).mean(axis=1)
    return [static[i] for i in upper_hull(costs.outputs()[static].astype(np.float64), accuracy[static])]


def oracle(table: PathTable, router: Router) -> Control:
    """Each image takes the cheapest trail that `router` could take to a right answer; the cheapest of all if
    none is right.

    Everything on the way is paid, the router included. An upper bound for these answers, not achievable.
    """
    trails = router.shortest
    own = np.array([sum(router.macs(at) for at in trail) for trail in trails])
    right = table.correct[[trail[-1] for trail in trails]]
    macs = np.broadcast_to(table.macs_along(trails) + own[:, None], right.shape)
    solved = right.any(axis=0)
    paid = np.where(right | ~solved, macs, macs.max()).min(axis=0)
    return Control(float(paid.mean()), float(solved.mean()))


def upper_hull(costs: Floats, values: Floats) -> list[int]:
    """Positions on the upper concave hull from the cheapest to the most valuable point, by rising cost."""
    hull: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -values[i])):
        if hull and values[i] <= values[hull[-1]]:
            continue
        while len(hull) > 1 and _left_turn(costs, values, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    return hull


def _left_turn(x: Floats, y: Floats, a: int, b: int, c: int) -> bool:
    """Whether b lies on or below the line from a to c."""
    return bool((y[b] - y[a]) * (x[c] - x[a]) <= (y[c] - y[a]) * (x[b] - x[a]))
