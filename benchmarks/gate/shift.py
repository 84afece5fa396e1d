"""Has the time of a point shifted? A paired test over fresh pairs of processes. Pure functions over log ratios.

A pair of worker processes, one of each version, takes turns block by block in random order on the same core and
gives one number a point: d, the log of head's seconds over base's.

Where the two versions are the same, the processes of a pair are exchangeable, so d is symmetric about 0 whatever
the machine does. Head being slower by a factor exp(s) moves that to s. So the null hypothesis "head is slower by no
more than the tolerance" is tested exactly by Wilcoxon's signed-rank test of d - tolerance over pairs: at s =
tolerance every sign is a fair coin, below it the statistic is smaller. Assumed: pairs are independent, and the change
multiplies the time by the same factor in each. No normality. Pairs are fresh processes, but forked ones: where the
libraries of a version lie in memory is drawn once for the screening and once for the fresh pairs. The level is that
given the draw; the draw itself moves a ratio (by about 0.5% where this was written), and so blurs the tolerance.

One gate looks at many points, and most have not changed. So a few pairs screen all points: a point passes if every
one of them is within the tolerance. What is left is tried again on fresh pairs, and these alone decide: their level
holds whatever the screening chose, and Holm's procedure keeps it for all suspects together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats.inference import Interval, holm

Verdict = Literal["pass", "regression", "improvement", "inconclusive"]

SCREENING_PAIRS = 4
LEVEL = 0.01
"""Probability of any false regression among all points of a gate, at most, even where all are at the tolerance."""
TOLERANCE = 0.05
"""Slowdown that is not worth a word, as a share, on a host that was not calibrated."""


@dataclass(frozen=True)
class Shift:
    """What was found at one point: log ratios of the screening pairs, of the fresh ones, and what follows.

    `estimate`: Hodges-Lehmann's with its 95% interval, of the fresh pairs where there are any; as ratios head / base.
    `p`: of "slower by more than the tolerance", after Holm; 1 where screening was enough.
    """

    verdict: Verdict
    screening: tuple[float, ...]
    fresh: tuple[float, ...]
    estimate: Interval
    p: float


def within(shifts: Sequence[float], tolerance: float) -> bool:
    """Whether every log ratio is within the tolerance, a share, either way."""
    bound = math.log1p(tolerance)
    return all(abs(shift) <= bound for shift in shifts)


def fresh_pairs(suspects: int) -> int:
    """How many fresh pairs decide about so many suspects.

    The fewest at which the smallest p-value survives Holm's procedure though the three lowest ranks, or any whose
    ranks add up to three, disagree: P(W <= 3) = 5 / 2^k. One suspect takes nine.
    """
    return math.ceil(math.log2(5 * suspects / LEVEL))


def judged(
    screening: Mapping[str, Sequence[float]], fresh: Mapping[str, Sequence[float]], tolerance: float
) -> dict[str, Shift]:
    """A verdict on every point of `screening`, from its fresh pairs where it has some.

    Fresh pairs say "regression" where the shift is significantly above the tolerance, "improvement" where it is
    significantly below its mirror image, "pass" where the 95% interval ends within the tolerance; else nothing.
    """
    bound = math.log1p(tolerance)
    suspects = list(fresh)
    slower = dict(zip(suspects, holm([signed_rank(np.array(fresh[s]) - bound) for s in suspects]), strict=True))
    faster = dict(zip(suspects, holm([signed_rank(-bound - np.array(fresh[s])) for s in suspects]), strict=True))
    found = {}
    for point, first in screening.items():
        last = tuple(fresh.get(point, ()))
        log = hodges_lehmann(last or first)
        verdict: Verdict = "inconclusive"
        if point not in fresh:
            verdict = "pass"
        elif slower[point] < LEVEL:
            verdict = "regression"
        elif faster[point] < LEVEL:
            verdict = "improvement"
        elif log.high <= bound:
            verdict = "pass"
        ratios = Interval(*(math.exp(value) for value in log))
        found[point] = Shift(verdict, tuple(first), last, ratios, float(slower.get(point, 1.0)))
    return found


def signed_rank(values: ArrayLike) -> float:
    """Exact p-value of Wilcoxon's signed-rank test that `values [k]` are symmetric about 0 or less (one-sided).

    Values of exactly 0 count for neither side and are left out; ties are broken against the alternative.
    """
    given = np.asarray(values, dtype=np.float64)
    given = given[given != 0]
    positive = (given > 0)[np.lexsort((given < 0, np.abs(given)))]
    against = int((np.flatnonzero(~positive) + 1).sum())
    return float(_tail(given.size)[against]) if given.size else 1.0


def hodges_lehmann(values: ArrayLike, level: float = 0.95) -> Interval:
    """Median of the pairwise means of `values [k]` with the interval that inverts the signed-rank test.

    Up to 5 values cannot reach 95%: then the interval is from the smallest to the largest (Hodges and Lehmann, 1963).
    """
    given = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(given.size)
    walsh = np.sort((given[first] + given[second]) / 2)
    tail = _tail(given.size)
    k = max(int(np.searchsorted(tail, (1 - level) / 2, side="right")), 1)
    return Interval(float(np.median(walsh)), float(walsh[k - 1]), float(walsh[-k]))


@cache
def _tail(n: int) -> NDArray[np.float64]:
    """P(W <= w) for w = 0 .. n (n + 1) / 2, W the sum of those of the ranks 1 .. n whose fair coin shows heads."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] += counts[:-rank].copy()
    tail: NDArray[np.float64] = np.cumsum(counts) / 2.0**n
    return tail
