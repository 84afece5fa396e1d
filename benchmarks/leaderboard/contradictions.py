"""Whether trails at several points of one training can be of the same images: a signal that an image shows is one
number, whatever it is compared with. No torch.

Shapes: n images, p points.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.trails import ROUNDING

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]
Routers = Sequence[Mapping[str, Any]]


def impossible(routers: Routers, trails: Sequence[tuple[int, ...]], taken: Whole) -> int:
    """How many images took trails [n, p] that no signals explain: above one threshold and below a lower one.

    `taken` are positions in `trails`, one column a router of `routers`.
    """
    bad = np.zeros(len(taken), dtype=bool)
    for one in (*_thresholds(routers, trails, taken), *_scores(routers, trails, taken)):
        bad |= one
    return int(bad.sum())


def _thresholds(routers: Routers, trails: Sequence[tuple[int, ...]], taken: Whole) -> Iterator[Bits]:
    """For which images [n] the signal of an answer is at least one threshold and below one that is no higher."""
    between: dict[tuple[str, int], tuple[Floats, Floats]] = {}
    lengths = np.array([len(trail) for trail in trails])[taken]
    for column, router in enumerate(routers):
        for place, threshold in enumerate(router["thresholds"] if router["kind"] == "threshold" else ()):
            if threshold is None:
                continue
            low, high = between.setdefault((router["signal"], router["cascade"][place]), _anything(len(taken)))
            stops, goes = lengths[:, column] == place + 1, lengths[:, column] > place + 1
            above, below = (goes, stops) if router["signal"] == "entropy" else (stops, goes)
            low[above] = np.maximum(low[above], threshold)
            high[below] = np.minimum(high[below], threshold)
    yield from (low >= high for low, high in between.values())


def _scores(routers: Routers, trails: Sequence[tuple[int, ...]], taken: Whole) -> Iterator[Bits]:
    """For which images [n] the difference of two scores of a probe has to be both above and below a number."""
    between: dict[tuple[int, int, int], tuple[Floats, Floats]] = {}
    ends = np.array([trail[-1] for trail in trails])[taken]
    for column, router in enumerate(routers):
        if router["kind"] != "argmax":
            continue
        biased = sorted(zip(router["options"], router["bias"], strict=True))
        for (one, own), (other, its) in combinations(biased, 2):
            low, high = between.setdefault((router["probe"], one, other), _anything(len(taken)))
            first, second = ends[:, column] == one, ends[:, column] == other
            low[first] = np.maximum(low[first], its - own)  # the score of `one` less that of `other`
            high[second] = np.minimum(high[second], its - own)
    yield from (low > high + ROUNDING for low, high in between.values())


def _anything(images: int) -> tuple[Floats, Floats]:
    """No bound yet on any image."""
    return np.full(images, -np.inf), np.full(images, np.inf)
