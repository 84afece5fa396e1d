"""Every figure of an entry, recomputed from its answers. Pure functions without torch.

Shapes as in `entry`: n test images, m of the *select* half, a answers, p points, t trails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.entry import BudgetFigures, Entry, Figures, PointFigures, Seed, SummaryFigures
from benchmarks.leaderboard.packing import unpack
from benchmarks.leaderboard.trails import decisions, is_static
from benchmarks.stats.frontier import TOLERANCE, accuracy_at, counted_cost, on_frontier, summary
from benchmarks.stats.inference import paired_t, wilson

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of the plain network's MACs: the budgets that are shown."""

Whole = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """What one seed's points do: right [n, p], among the best five [n, p] and MACs [n, p] on test images, right and
    MACs [m, p] on the *select* half."""

    right: Bits
    top5: Bits
    macs: Whole
    select_right: Bits
    select_macs: Whole


def seen(entry: Entry, seed: Seed) -> Seen:
    """Look up what every point answers and pays, image by image."""
    right = unpack(seed.test_prediction) == unpack(entry.labels)[:, None]
    ends = np.array([trail[-1] for trail in seed.trails])
    paid = _trail_macs(entry, seed)
    test, select = unpack(seed.test_trail), unpack(seed.select_trail)
    return Seen(
        np.take_along_axis(right, ends[test], axis=1),
        np.take_along_axis(unpack(seed.test_top5) > 0, ends[test], axis=1),
        np.take_along_axis(paid, test, axis=0),
        np.take_along_axis(unpack(seed.select_right) > 0, ends[select], axis=1),
        np.take_along_axis(paid, select, axis=0),
    )


def _trail_macs(entry: Entry, seed: Seed) -> Whole:
    """MACs of each trail under each point [t, p]: the union of its work, and the point's decisions on the way."""
    uses = unpack(entry.costs.uses) > 0
    work = np.array([uses[list(trail)].any(axis=0) for trail in seed.trails])
    union = work.astype(np.int64) @ np.array(entry.costs.macs, dtype=np.int64)
    own = [[_decisions(point.router, trail) for point in seed.points] for trail in seed.trails]
    return np.asarray(union[:, None] + np.array(own, dtype=np.int64), dtype=np.int64)


def _decisions(router: dict[str, Any], trail: Sequence[int]) -> int:
    """A trail of another point costs this one nothing: it is never looked up."""
    asked = router.get("cascade", ())
    return decisions(router, trail) if set(trail) <= set(asked) else 0


def figures(entry: Entry) -> Figures:
    """All figures that an entry states."""
    points = tuple(row for seed in entry.seeds for row in point_figures(entry, seed))
    return Figures(points=points, budgets=budgets(entry, points), summary=summarised(entry, points))


def point_figures(entry: Entry, seed: Seed) -> list[PointFigures]:
    """The figures of one seed's points; `selected` is decided on the *select* half alone."""
    found = seen(entry, seed)
    costs, accuracies = found.macs.mean(axis=0), found.right.mean(axis=0)
    select_costs, select_accuracies = found.select_macs.mean(axis=0), found.select_right.mean(axis=0)
    selected, best = on_frontier(select_costs, select_accuracies), on_frontier(costs, accuracies)
    n = len(found.right)
    rows = []
    for place, point in enumerate(seed.points):
        macs, mean = found.macs[:, place], float(costs[place])
        half = 1.96 * float(macs.std(ddof=1)) / n**0.5 if n > 1 else 0.0
        low, high = wilson(int(found.right[:, place].sum()), n)
        rows.append(
            PointFigures(
                seed=seed.seed, point=point.name, decision="static" if is_static(point.router) else "per-sample",
                execution=point.execution, macs=mean, macs_low=mean - half, macs_high=mean + half,
                macs_max=float(macs.max()), flops=2 * mean, accuracy=float(accuracies[place]), accuracy_low=low,
                accuracy_high=high, accuracy_top5=float(found.top5[:, place].mean()), samples=n,
                selected=bool(selected[place]), on_frontier=bool(best[place]),
                calibration_macs=float(select_costs[place]), calibration_accuracy=float(select_accuracies[place]),
            )
        )  # fmt: skip
    return rows


def at_budget(points: Sequence[PointFigures], budget: float) -> PointFigures | None:
    """One seed's point for a budget in MACs per image, chosen on *select*; None where it buys none.

    A point counts whose mean cost is at most 1% above the budget, on *select* and on test images.
    """
    chosen = [point for point in points if point.selected]
    index = accuracy_at(TOLERANCE * budget, _costs(chosen), [point.calibration_accuracy for point in chosen])
    return None if index is None else chosen[index]


def _costs(points: Sequence[PointFigures]) -> NDArray[np.float64]:
    """What points count with, in MACs an image: a *select* half that understates a cost gains nothing by it."""
    return counted_cost([point.calibration_macs for point in points], [point.macs for point in points])


def accuracies_at(entry: Entry, share: float) -> list[float | None]:
    """Test accuracy at a share of the plain MACs, seed by seed; None where it buys no point."""
    found = [at_budget(points, share * entry.costs.plain_macs) for points in by_seed(entry, entry.figures.points)]
    return [None if point is None else point.accuracy for point in found]


def summaries(entry: Entry) -> list[float]:
    """The summary of the frontier, seed by seed."""
    return [_summary(entry, points) for points in by_seed(entry, entry.figures.points)]


def by_seed(entry: Entry, points: Sequence[PointFigures]) -> list[list[PointFigures]]:
    """The points of every seed, in the order of the entry's seeds."""
    return [[point for point in points if point.seed == seed.seed] for seed in entry.seeds]


def budgets(entry: Entry, points: Sequence[PointFigures]) -> tuple[BudgetFigures, ...]:
    """Accuracy at shares of the plain MACs."""
    rows = []
    for share in SHARES:
        found = [at_budget(own, share * entry.costs.plain_macs) for own in by_seed(entry, points)]
        bought = [point for point in found if point is not None]
        if len(bought) < len(found):
            rows.append(BudgetFigures(share=share, accuracy=None, low=None, high=None, macs=None))
            continue
        accuracies = [point.accuracy for point in bought]
        mean, macs = float(np.mean(accuracies)), float(np.mean([point.macs for point in bought]))
        rows.append(BudgetFigures(share=share, accuracy=mean, low=min(accuracies), high=max(accuracies), macs=macs))
    return tuple(rows)


def summarised(entry: Entry, points: Sequence[PointFigures]) -> SummaryFigures:
    """The frontier in one number, over the seeds."""
    mean, low, high = paired_t([_summary(entry, own) for own in by_seed(entry, points)])[0]
    if len(entry.seeds) < 2:
        return SummaryFigures(mean=mean, low=None, high=None)
    return SummaryFigures(mean=mean, low=low, high=high)


def chance_of(entry: Entry) -> float:
    """What counts below the cheapest point of an entry, under this protocol: one in the number of classes.

    Of the registered data sets, which have equal classes, within a point of the commonest class's share; runs report
    that.
    """
    return 1 / entry.dataset.classes


def _summary(entry: Entry, points: Sequence[PointFigures]) -> float:
    chosen = [point for point in points if point.selected]
    accuracies, reported = [point.calibration_accuracy for point in chosen], [point.accuracy for point in chosen]
    return summary(_costs(chosen), accuracies, reported, entry.costs.plain_macs, chance_of(entry))
