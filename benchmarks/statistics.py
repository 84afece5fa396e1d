"""Intervals of the figures a run reports. Pure functions over counts and samples."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtri


def wilson(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval `(low, high)` of the accuracy `correct / n`; no continuity correction.

    The images are taken as independent draws: the interval speaks of other test images of the same kind, not
    of other trainings (Wilson, 1927).
    """
    if not 0 <= correct <= n or n < 1:
        raise ValueError("an accuracy needs at least one sample and between 0 and n right answers")
    z = float(ndtri(0.5 + level / 2))
    share = correct / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Exact at the ends, where rounding would leave the accuracy a hair outside of its own interval.
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == n else centre + half)


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
