"""Latencies of further thresholds at batch 1, composed of the latencies of trails.

At batch 1 a point's latency is that of the trail an image takes, and images take a trail in the shares that the
path table of the test images gives. So every trail is executed for itself, by a router of the same kind that sends
everybody that way: it computes the same signals and makes the same decisions, only that they are foregone, so the
cost of routing is part of it. Trails are timed interleaved with everything else; a point's calls are those of its
trails, weighted by its shares.

Composition is compared with execution at points that were executed in the same rounds: the mean of a round, each
image with the mean latency of its trail in that round, against the mean that was executed. Means, as the median of
two well separated trails jumps from one to the other where their shares are about even, and a mean does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing.sampling import Session
from benchmarks.timing.summary import Floats, Sampled, quantile
from methods.routers import Argmax, Learned, OperatingPoint, Policy, Router, Threshold
from methods.routing import simulate
from methods.table import PathTable

TOLERANCE = 0.05
"""Composed and executed means may differ by this share."""
VALIDATED = 3
NEVER, ALWAYS = -2.0, 1e9
"""Of entropy: it is never below the one and always below the other; of the other signals the negatives."""


@dataclass(frozen=True)
class Parts:
    """Which trails a point is made of: forced `routers`, and which of them each image of a split takes, `trail` [n]."""

    routers: tuple[Any, ...]
    trail: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of each trail, [trails]."""
        shares: NDArray[np.float64] = np.bincount(self.trail, minlength=len(self.routers)) / len(self.trail)
        return shares


def parts(table: PathTable, point: OperatingPoint) -> Parts:
    """The trails that the images of `table` take at `point`."""
    routing = simulate(table, point.router)
    known, trail = np.unique(np.column_stack([routing.visited, routing.answer]), axis=0, return_inverse=True)
    routers = tuple(forced(point.router, np.flatnonzero(row[:-1]).tolist(), int(row[-1])) for row in known)
    return Parts(routers, trail.reshape(-1))


def forced(router: Router, visited: Sequence[int], answer: int) -> Any:
    """A router that sends everybody through `visited` to `answer`, deciding as often and as dearly as `router`."""
    match router:
        case Threshold():
            end = router.cascade.index(answer)
            sign = 1 if router.signal == "entropy" else -1
            asked = [None if known is None else sign * NEVER for known in router.thresholds[:end]]
            last = [sign * ALWAYS] if end < len(router.thresholds) else []
            later = [None] * (len(router.thresholds) - end - 1)
            return router.model_copy(update={"thresholds": (*asked, *last, *later)})
        case Learned():
            places = [place for place, output in enumerate(router.cascade) if output in visited]
            following = dict(zip(places, [*places[1:], None], strict=True))
            policies = (_foregone(policy, place, following) for place, policy in enumerate(router.policies))
            return router.model_copy(update={"policies": tuple(policies)})
        case Argmax():
            return router.model_copy(update={"bias": tuple(ALWAYS * (option == answer) for option in router.options)})
    return router


def _foregone(policy: Policy, place: int, following: Mapping[int, int | None]) -> Policy:
    """A policy of the same shape that says where to go from `place`, whatever it hears."""
    target = following.get(place)
    option = 0 if target is None else target - place
    bias = tuple(1.0 if row < option else -1.0 for row in range(len(policy.bias)))
    return Policy(weights=tuple((0.0,) * len(row) for row in policy.weights), bias=bias)


def composed(trails: Sequence[Sampled], shares: NDArray[np.float64]) -> Sampled:
    """A point in one process, of its trails in that process and their shares."""
    used = [(sampled, float(share)) for sampled, share in zip(trails, shares, strict=True) if share]
    calls = np.concatenate([sampled.calls for sampled, _ in used])
    weights = np.concatenate([share * sampled.weights for sampled, share in used])
    means: Floats = np.sum([share * sampled.means for sampled, share in used], axis=0)
    rounds = [np.array_split(sampled.calls, len(means)) for sampled, _ in used]
    even = np.concatenate([np.full(len(turns[0]), share) for turns, (_, share) in zip(rounds, used, strict=True)])
    medians = [quantile(np.concatenate(turn), even, 0.5) for turn in zip(*rounds, strict=True)]
    return Sampled(calls, weights, np.array(medians), means)


def deviation(session: Session, point: int, trails: Sequence[int], taken: NDArray[np.int64]) -> float:
    """Composed over executed mean, less one: the median over a process' rounds.

    `point` and `trails` are positions in the session; `taken` [rounds, calls] is which of `trails` each timed image
    takes, so that only composition is judged and not whether the timed images are like all.
    """
    means = session.seconds[:, list(trails)].mean(axis=2)
    along = np.take_along_axis(means, taken, axis=1).mean(axis=1)
    return float(np.median(along / session.seconds[:, point].mean(axis=1))) - 1
