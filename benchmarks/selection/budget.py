"""Which operating point to use within a budget. Pure functions over what *select* says of every point.

With several seeds a series is judged by the mean over its seeds, each at the point that is best for that seed, and
only where every seed has one: a budget that one lucky training meets is not met.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.core.errors import UsageError
from benchmarks.selection.units import short

_SLACK = 1 + 1e-9
"""Mean costs are rounded sums: a point that costs its budget to the last digit but one is within the budget."""


@dataclass(frozen=True)
class Budget:
    """What all has to hold: at most so many MACs per image, milliseconds per batch and stored bytes, and an
    accuracy in [0, 1] at least. `worst_case`: MACs are those of the dearest image, milliseconds the 99th percentile.
    """

    macs: float | None = None
    latency_ms: float | None = None
    stored_bytes: float | None = None
    accuracy: float | None = None
    worst_case: bool = False

    @property
    def costs(self) -> bool:
        """Whether it bounds what a point costs; if not, the cheapest point is wanted."""
        return any(bound is not None for bound in (self.macs, self.latency_ms, self.stored_bytes))


@dataclass(frozen=True)
class Offer:
    """One operating point of one trained model, as *select* knows it: test figures are no part of it.

    `macs`: the mean per image, or what the dearest image can cost; `latency_ms`: None where it was not asked for.
    """

    series: str
    seed: int
    point: str
    macs: float
    accuracy: float
    stored_bytes: int
    latency_ms: float | None = None

    @property
    def name(self) -> str:
        """As `benchmarks.load(run).at` takes it."""
        return f"{self.series}/{self.point}"

    def within(self, budget: Budget) -> bool:
        """Whether all of the budget holds."""
        bounds = (
            (budget.macs, self.macs), (budget.latency_ms, self.latency_ms), (budget.stored_bytes, self.stored_bytes),
        )  # fmt: skip
        cheap = all(bound is None or (cost is not None and cost <= bound * _SLACK) for bound, cost in bounds)
        return cheap and (budget.accuracy is None or self.accuracy >= budget.accuracy)


@dataclass(frozen=True)
class Choice:
    """A series at the best point of each of its seeds; means are over seeds."""

    series: str
    offers: tuple[Offer, ...]

    @property
    def accuracy(self) -> float:
        return sum(offer.accuracy for offer in self.offers) / len(self.offers)

    @property
    def macs(self) -> float:
        return sum(offer.macs for offer in self.offers) / len(self.offers)

    def best(self, budget: Budget) -> Offer:
        """The seed to use, by the same figures."""
        return _best(self.offers, budget)

    def of(self, seed: int) -> Offer:
        """The point of one seed."""
        (found,) = (offer for offer in self.offers if offer.seed == seed)
        return found


def choose(offers: Sequence[Offer], budget: Budget) -> list[Choice]:
    """Every series that meets the budget with each of the seeds, the best first.

    Best is the most accurate, of equals the cheapest; where only an accuracy is asked for, the cheapest, of equals
    the most accurate. Nothing meets the budget: UsageError, one line, naming what comes nearest.
    """
    seeds = {offer.seed for offer in offers}
    fitting = [offer for offer in offers if offer.within(budget)]
    found = []
    for series in dict.fromkeys(offer.series for offer in fitting):
        own = [[o for o in fitting if (o.series, o.seed) == (series, seed)] for seed in sorted(seeds)]
        if all(own):
            found.append(Choice(series, tuple(_best(each, budget) for each in own)))
    if not found:
        raise UsageError(_nothing(offers, fitting, budget))
    return sorted(found, key=lambda choice: _rank(choice, budget))


def _best(offers: Iterable[Offer], budget: Budget) -> Offer:
    return min(offers, key=lambda offer: _rank(offer, budget))


def _rank(one: Offer | Choice, budget: Budget) -> tuple[float, float]:
    return (-one.accuracy, one.macs) if budget.costs else (one.macs, -one.accuracy)


def _nothing(offers: Sequence[Offer], fitting: Sequence[Offer], budget: Budget) -> str:
    """Why nothing was found: some seeds only, one bound alone, or the bounds together."""
    if fitting:
        best = _best(fitting, budget)
        return f"no series meets this with every seed; {best.name} does with seed {best.seed}: add --seed {best.seed}"
    for figure, best_of, reason in _NEAREST:
        bound = getattr(budget, figure)
        if bound is not None and not any(offer.within(Budget(**{figure: bound})) for offer in offers):
            near = best_of(offers, key=lambda offer: float(getattr(offer, figure)))
            values = {"bound": short(bound), "name": near.name, "figure": short(getattr(near, figure))}
            return reason.format(**values, macs=short(near.macs))
    cheap = [offer for offer in offers if offer.within(replace(budget, accuracy=None))]
    if not cheap:
        least = min(offers, key=lambda offer: offer.macs)
        return f"no point is within all bounds at once; the cheapest is {least.name} with {short(least.macs)} MACs"
    best = max(cheap, key=lambda offer: offer.accuracy)
    return f"no point within the budget is as accurate; the best is {best.name} with {best.accuracy:.1%} on select"


_NEAREST: tuple[tuple[str, Callable[..., Offer], str], ...] = (
    ("macs", min, "no point costs as little as {bound} MACs: the cheapest is {name} with {figure}"),
    ("latency_ms", min, "no point takes as little as {bound} ms: the cheapest is {name} with {figure} ms"),
    ("stored_bytes", min, "no model is stored in {bound}B: the cheapest is that of {name} with {figure}B"),
    ("accuracy", max, "no point reaches {bound} on select: the best is {name} with {figure}, at {macs} MACs"),
)
"""What is said of a bound that no point keeps."""
