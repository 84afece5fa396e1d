"""Intervals of the figures a run reports. Pure functions over counts and samples."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri

Floats = NDArray[np.float64]


def wilson(correct: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson score interval `(low, high)` of a proportion, in [0, 1]; no continuity correction.

    `correct` and `n` broadcast against each other; scalars give scalars. `n` images are independent draws, so
    the interval speaks of other test images of the same kind, not of other trainings (Wilson, 1927).
    """
    hits, count = np.asarray(correct, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if np.any(count < 1) or np.any(hits < 0) or np.any(hits > count):
        raise ValueError("an accuracy needs at least one sample and between 0 and n right answers")
    z = ndtri(0.5 + level / 2)
    share = hits / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # Rounding would otherwise leave an accuracy of exactly 0 or 1 a hair outside of its own interval.
    low = np.where(hits == 0, 0.0, np.clip(centre - half, 0.0, 1.0))
    high = np.where(hits == count, 1.0, np.clip(centre + half, 0.0, 1.0))
    return low[()], high[()]


def median_interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Distribution-free interval `(low, high)` of the median of `samples [n]`, in their unit.

    The narrowest symmetric pair of order statistics that holds the median with probability `level` or more,
    whatever the distribution. Up to 5 samples cannot reach 95%: then it is the smallest and the largest.

    It assumes independent samples. Rounds timed in one process are not: they share its memory layout, clock
    and neighbours, and follow one another. There the interval says how well the median of this process is
    known, if anything too narrowly, and not what another process would measure.
    """
    ordered = np.sort(np.asarray(samples, dtype=np.float64), axis=None)
    n = ordered.size
    if n == 0:
        raise ValueError("the interval of a median needs at least one sample")
    # P(k-th smallest > median) = P(Binomial(n, 1/2) < k): the largest k that keeps it within the tail.
    tails = bdtr(np.arange((n + 1) // 2), n, 0.5)
    k = max(int(np.searchsorted(tails, (1 - level) / 2, side="right")), 1)
    return float(ordered[k - 1]), float(ordered[n - k])
