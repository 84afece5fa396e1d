"""A claim's finding: differences seed by seed, and what they add up to.

Two kinds of doubt are kept apart. Other trainings: seeds are pairs, and Student's t interval is over their
differences. Other test images: one seed's difference is paired image by image, and its interval is bootstrapped
over the images. A verdict is about other trainings, so one seed decides nothing; and as all seeds answer the same
images, it has to hold over both at once.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.inference import Interval, bootstrap, paired_t

LEVEL = 0.05
ENOUGH_SEEDS = 5

HOLDS, DOES_NOT, MISSING = "holds", "does not", "not comparable"
"""The verdicts. MISSING: there is nothing to compare, and the finding says why."""
LEANS = {HOLDS: "leans to it", DOES_NOT: "leans against"}
"""What is said instead of a verdict where the test passes and there are too few seeds for a claim."""
UNDECIDED = "not separated"
"""No verdict: the test leaves both open."""
SIMILAR = 1.3
"""Up to this ratio two trainings cost about the same."""


def widened(over_seeds: Interval, over_images: Sequence[Interval]) -> Interval:
    """An interval over seeds with the doubt of others added as squares, of which half-widths are the mean."""
    mean, low, high = over_seeds
    below = float(np.mean([one.mean - one.low for one in over_images]))
    above = float(np.mean([one.high - one.mean for one in over_images]))
    return Interval(mean, mean - math.hypot(mean - low, below), mean + math.hypot(high - mean, above))


@dataclass(frozen=True)
class AtPoint:
    """One seed's difference at one operating point; `p`: McNemar's, `p_holm`: over that seed's points."""

    name: str
    value: float
    p: float = math.nan
    p_holm: float = math.nan


@dataclass(frozen=True)
class OfSeed:
    """One seed's difference, with its interval over `images` test images, and what it is made of.

    `macs`: mean costs of the two operating points that are compared, where there are two; `training`: MACs of
    the subject's training over those of the other's, where there is one. A time's interval is over its repetitions.
    `differences [images]`: what `interval` is the mean of, where it is known, in one order of images for all seeds.
    """

    seed: int
    interval: Interval
    points: tuple[AtPoint, ...]
    macs: tuple[float, float] | None = None
    training: float | None = None
    images: int = 0
    differences: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)

    @property
    def above(self) -> int:
        """How many of the points are positive."""
        return sum(point.value > 0 for point in self.points)


@dataclass(frozen=True)
class Finding:
    """One claim about one method: `subject` is higher than `against`, `where` it is; `among`: what is looked at.

    `unit`: differences of accuracies, rank correlations, shares (of cost or time saved) or similarities. `margin`: by
    how much the subject may be lower all the same; the test is on the difference with it. `lacking`: seeds that have
    nothing to compare; leaving them out would flatter the others; `whose`: who lacks it. `forfeits`: no seed can be
    compared, and only the subject lacks what it takes: a claim about all of the lines cannot hold. `untimed`: of times,
    the seeds without one; each runs the same network, and leaving them out flatters nobody. `decides`: the title of the
    paper's claim that it decides, alone or together with others. `p_holm` is over those, else over the other findings
    of the same claim.
    """

    claim: str
    subject: str
    against: str
    among: str
    seeds: tuple[OfSeed, ...]
    missing: str = ""  # why there is nothing to compare
    unit: str = "accuracy"
    where: str = ""
    lacking: int = 0
    margin: float = 0.0
    untimed: int | None = None
    decides: str = ""
    whose: str = ""
    forfeits: bool = False
    p_holm: float = math.nan

    @property
    def line(self) -> str:
        """What is compared with what, and where."""
        return " ".join(filter(None, (self.subject, self.against and f"vs {self.against}", self.where)))

    @property
    def over_seeds(self) -> tuple[Interval, float]:
        """Mean over seeds, its interval, and the p-value of a mean of -`margin`; NaN where there is nothing to say."""
        if not self.seeds:
            return Interval(math.nan, math.nan, math.nan), math.nan
        shifted, p = paired_t([one.interval.mean + self.margin for one in self.seeds])
        return Interval(*(figure - self.margin for figure in shifted)), p

    @cached_property
    def over_both(self) -> Interval:
        """Mean over seeds, and its interval over seeds and test images; NaN bounds where there is nothing to say.

        The two sources are taken as independent, and the half-widths added as squares: Student's t over seeds, and the
        bootstrap over images of each image's mean over the seeds. What seed and image do together is in both, so that
        it is rather too wide. Where the differences of images are not known, the mean half-width of the seeds' own
        intervals bounds that of their mean. Not adjusted for how many findings there are. Of times there is none:
        their doubt is over repetitions.
        """
        over_seeds, _ = self.over_seeds
        if len(self.seeds) < 2 or self.untimed is not None:
            return Interval(over_seeds.mean, math.nan, math.nan)
        known = [one.differences for one in self.seeds if one.differences is not None]
        if len(known) == len(self.seeds):
            return widened(over_seeds, [bootstrap(np.mean(known, axis=0))])
        return widened(over_seeds, [one.interval for one in self.seeds])

    @property
    def _passes(self) -> bool:
        """Whether the test over seeds does."""
        return not self.lacking and self.p_holm < LEVEL

    @property
    def _too_few_images(self) -> bool:
        """Whether other test images could have turned what passes the test over seeds.

        Of a loss that may be small they could where images of a kind that none of the n is of, up to
        -log(LEVEL / 2) / n of all, would be lost: a bootstrap over the n knows nothing of them.
        """
        if self.untimed is not None:
            return False
        mean, low, high = self.over_both
        unseen = -math.log(LEVEL / 2) / max(1, min(one.images for one in self.seeds)) if self.margin else 0.0
        return min(low, mean - unseen) <= -self.margin <= max(high, mean + unseen)

    @property
    def verdict(self) -> str:
        """By the sign of the mean difference, where Holm's p-value over the claim's findings is below LEVEL and the
        interval over seeds and images leaves a loss of `margin` out.

        Fewer than ENOUGH_SEEDS lean to an answer at most. One seed does not, unless it is about time, whose interval
        is over repetitions.
        """
        if not self.seeds:
            return MISSING
        if self.untimed is not None and len(self.seeds) == 1 and not self.lacking:
            _, low, high = self.seeds[0].interval
            return LEANS[HOLDS] if low > 0 else LEANS[DOES_NOT] if high < 0 else UNDECIDED
        if not self._passes or self._too_few_images:
            return UNDECIDED
        sign = HOLDS if self.over_seeds[0].mean + self.margin > 0 else DOES_NOT
        return sign if len(self.seeds) >= ENOUGH_SEEDS else LEANS[sign]

    @property
    def note(self) -> str:
        """What has to be said beside the verdict."""
        if not self.seeds:
            return self.missing
        count = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        notes = [f"{count}: shown, but no claim of significance"] if len(self.seeds) < ENOUGH_SEEDS else []
        if self.lacking:
            whose = f" ({self.whose})" if self.whose else ""
            notes.append(f"{self.lacking} of {len(self.seeds) + self.lacking} seeds have nothing to compare{whose}")
        if self._passes and self._too_few_images:
            notes.append("separated over seeds, but by too few images")
        if self.untimed:
            notes.append(f"{self.untimed} of {len(self.seeds) + self.untimed} seeds were not timed")
        unequal = [one.training for one in self.seeds if one.training and not 1 / SIMILAR <= one.training <= SIMILAR]
        if unequal:
            notes.append(f"its training cost {sum(unequal) / len(unequal):.2f} times the other's MACs")
        return "; ".join(notes)


def entry(finding: Finding) -> dict[str, Any]:
    """A finding as plain data, one entry of claims.json."""
    seeds = [
        {
            "seed": one.seed, "value": one.interval.mean, "low": one.interval.low, "high": one.interval.high,
            "above": one.above, "macs": one.macs and one.macs[0], "against_macs": one.macs and one.macs[1],
            "training": one.training, "images": one.images, "points": [asdict(point) for point in one.points],
        }
        for one in finding.seeds
    ]  # fmt: skip
    names = (
        "claim", "decides", "line", "among", "subject", "against", "where", "unit", "margin", "untimed", "forfeits",
        "p_holm", "verdict", "note",
    )  # fmt: skip
    interval, p = finding.over_seeds
    both = {"both_low": finding.over_both.low, "both_high": finding.over_both.high}
    figures = {**interval._asdict(), **both, "p": p}
    return {name: getattr(finding, name) for name in names} | figures | {"seeds": seeds}
