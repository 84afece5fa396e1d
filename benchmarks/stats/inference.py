"""Intervals and tests of the figures a run reports. Pure functions over counts and samples."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, betaincinv, ndtri, stdtr, stdtrit


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


class Interval(NamedTuple):
    """A mean and its interval `low..high`; NaN bounds where the samples support none."""

    mean: float
    low: float
    high: float


def paired_t(differences: ArrayLike, level: float = 0.95) -> tuple[Interval, float]:
    """Mean of paired `differences [k]` with Student's t interval, and the two-sided p-value of a mean of zero.

    One pair supports neither: bounds and p-value are NaN.
    """
    values = np.asarray(differences, dtype=np.float64)
    k = values.size
    if k == 0:
        raise ValueError("paired differences need at least one pair")
    mean = float(values.mean())
    if k == 1:
        return Interval(mean, math.nan, math.nan), math.nan
    error = float(values.std(ddof=1)) / math.sqrt(k)
    if error == 0:
        return Interval(mean, mean, mean), 1.0 if mean == 0 else 0.0
    half = float(stdtrit(k - 1, 0.5 + level / 2)) * error
    return Interval(mean, mean - half, mean + half), 2 * float(stdtr(k - 1, -abs(mean) / error))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values [m] adjusted for being tested together (Holm, 1979), in the order given.

    NaN, a test that could not be made, stays NaN and does not count among the m.
    """
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(given.shape, np.nan)
    order = np.argsort(given, kind="stable")[: int(np.isfinite(given).sum())]  # NaN sort last
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test, from the images that only one of two classifiers gets right.

    Under no difference each such image is a fair coin (McNemar, 1947); the images are taken as independent.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError("counts of images are not negative")
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def bootstrap(values: ArrayLike, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean of `values [n]` with its percentile bootstrap interval over the n, drawn with replacement.

    The same n, resamples and seed draw the same samples, so that intervals of different values on the same
    images belong together.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or given.size == 0:
        raise ValueError("a bootstrap needs at least one value, in one dimension")
    draws = np.random.default_rng(seed)
    means = [given[draws.integers(0, given.size, given.size)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(given.mean()), float(low), float(high))


def midranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks [n] from 1, equal values sharing the mean of their ranks."""
    _, group, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[group.reshape(-1)]
    return ranks


def spearman(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Interval:
    """Spearman's rank correlation of `x [n]` and `y [n]`, and its interval; all NaN where one never varies.

    The interval is Fisher's on atanh(rho), with the variance (1 + rho^2 / 2) / (n - 3) of Bonett and Wright
    (2000), which holds its level for rank correlations up to about 0.95; below 4 samples there is none.
    """
    first, second = (ranks - ranks.mean() for ranks in (midranks(x), midranks(y)))
    if first.size != second.size:
        raise ValueError("a correlation needs pairs")
    scale = math.sqrt(float(first @ first) * float(second @ second))
    if scale == 0:
        return Interval(math.nan, math.nan, math.nan)
    rho = float(np.clip(first @ second / scale, -1, 1))
    if first.size < 4:
        return Interval(rho, math.nan, math.nan)
    if abs(rho) == 1:
        return Interval(rho, rho, rho)
    half = float(ndtri(0.5 + level / 2)) * math.sqrt((1 + rho**2 / 2) / (first.size - 3))
    return Interval(rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))


def auroc(score: ArrayLike, positive: ArrayLike) -> float:
    """Probability that a positive sample scores above a negative one, ties half; NaN without one of each.

    `score [n]` and `positive [n]`, bool: the area under the ROC curve (Mann and Whitney's U).
    """
    is_positive = np.asarray(positive, dtype=bool)
    wins, count = int(is_positive.sum()), is_positive.size
    if wins in (0, count):
        return math.nan
    total = float(midranks(score)[is_positive].sum())
    return (total - wins * (wins + 1) / 2) / (wins * (count - wins))


def rate_bound(events: int, trials: int, level: float = 0.95) -> float:
    """Exact one-sided upper bound of a rate seen `events` times in `trials` (Clopper and Pearson, 1934).

    None in 100 bound it by 3.0%.
    """
    if not 0 <= events <= trials or trials < 1:
        raise ValueError("a rate needs at least one trial and between 0 and all events")
    return 1.0 if events == trials else float(betaincinv(events + 1, trials - events, level))
