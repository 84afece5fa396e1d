"""A claim's finding: differences seed by seed, and what they add up to.

Two kinds of doubt are kept apart. Other trainings: seeds are pairs, and Student's t interval is over their
differences. Other test images: one seed's difference is paired image by image, and its interval is bootstrapped
over the images. A verdict is about other trainings, so one seed decides nothing.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.statistics import Interval, paired_t

LEVEL = 0.05
ENOUGH_SEEDS = 5

HOLDS, DOES_NOT, UNDECIDED, MISSING = "holds", "does not", "not decided", "not in this run"
LEANS = {HOLDS: "leans to yes", DOES_NOT: "leans to no"}
"""What is said instead where there are too few seeds for a claim."""
SIMILAR = 1.3
"""Up to this ratio two trainings cost about the same."""


@dataclass(frozen=True)
class AtPoint:
    """One seed's difference at one operating point; `p`: McNemar's, `p_holm`: over that seed's points."""

    name: str
    value: float
    p: float = math.nan
    p_holm: float = math.nan


@dataclass(frozen=True)
class OfSeed:
    """One seed's difference, with its interval over images, and what it is made of.

    `macs`: mean costs of the two operating points that are compared, where there are two; `training`: MACs of
    the subject's training over those of the other's, where there is one.
    """

    seed: int
    interval: Interval
    points: tuple[AtPoint, ...]
    macs: tuple[float, float] | None = None
    training: float | None = None

    @property
    def above(self) -> int:
        """How many of the points are positive."""
        return sum(point.value > 0 for point in self.points)


@dataclass(frozen=True)
class Finding:
    """One claim about one method: `subject` is higher than `against`, `where` it is; `among`: what is looked at.

    `unit`: differences of accuracies, or rank correlations. `p_holm` is over the findings of the same claim.
    `lacking`: seeds that have nothing to compare; leaving them out would flatter the others.
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
    p_holm: float = math.nan

    @property
    def over_seeds(self) -> tuple[Interval, float]:
        """Mean over seeds, its interval, and the p-value of a mean of zero; NaN where there is nothing to say."""
        nothing = Interval(math.nan, math.nan, math.nan), math.nan
        return paired_t([one.interval.mean for one in self.seeds]) if self.seeds else nothing

    @property
    def verdict(self) -> str:
        """By the sign of the mean difference, where Holm's p-value over the claim's findings is below LEVEL.

        Fewer than ENOUGH_SEEDS lean to an answer at most.
        """
        if not self.seeds:
            return MISSING if self.missing.startswith("needs") else "not comparable"
        if self.lacking or not self.p_holm < LEVEL:
            return UNDECIDED
        sign = HOLDS if self.over_seeds[0].mean > 0 else DOES_NOT
        return sign if len(self.seeds) >= ENOUGH_SEEDS else LEANS[sign]

    @property
    def note(self) -> str:
        """What has to be said beside the verdict."""
        if not self.seeds:
            return self.missing
        count = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        notes = [f"{count}: shown, but no claim of significance"] if len(self.seeds) < ENOUGH_SEEDS else []
        if self.lacking:
            notes.append(f"{self.lacking} of {len(self.seeds) + self.lacking} seeds have nothing to compare")
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
            "training": one.training, "points": [asdict(point) for point in one.points],
        }
        for one in finding.seeds
    ]  # fmt: skip
    names = ("claim", "among", "subject", "against", "where", "unit", "p_holm", "verdict", "note")
    interval, p = finding.over_seeds
    figures = {**interval._asdict(), "p": p}
    return {name: getattr(finding, name) for name in names} | figures | {"seeds": seeds}
