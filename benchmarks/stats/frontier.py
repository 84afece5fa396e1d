"""Frontiers of cost and accuracy, and what can be read from them. Pure functions over arrays.

Points are *chosen* by what they cost and answer on the select half of the calibration split, and *reported*
by what they do on the test split. Costs are mean MACs per image, accuracies lie in [0, 1].
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A summary covers log2(cost / plain) from -3 to 0: from an eighth of the plain cost up to all of it.
SUMMARY_OCTAVES = 3
# Mean costs are rounded sums: a point that costs its budget to the last digit but one is within the budget.
_SLACK = 1 + 1e-9
TOLERANCE = 1.01
"""How far above a budget the mean cost of a point may be that is shown at it, on calibration and on test images."""


def on_frontier(cost: ArrayLike, accuracy: ArrayLike) -> NDArray[np.bool_]:
    """Mask [n] of the points that no other point beats, in O(n log n).

    A point is beaten by one at most as dear and at least as accurate that is better in one of the two. Exact
    duplicates do not beat each other: all of them are kept. The order of the points does not matter.
    """
    costs, accuracies = _pair(cost, accuracy)
    levels, group = np.unique(costs, return_inverse=True)
    best = np.full(levels.size, -np.inf)
    np.maximum.at(best, group, accuracies)
    best_cheaper = np.concatenate(([-np.inf], np.maximum.accumulate(best)))[:-1]
    return np.asarray((accuracies == best[group]) & (accuracies > best_cheaper[group]), dtype=np.bool_)


def counted_cost(calibration: ArrayLike, test: ArrayLike) -> NDArray[np.float64]:
    """Cost [n] by which points count for a budget: the higher of their mean cost on calibration and on test images.

    A point is shown at a budget B where this is at most TOLERANCE * B: what a user is promised has to hold on images
    that nothing was chosen on. Raises ValueError where a cost is missing or not finite.
    """
    return np.maximum(*_pair(calibration, test))


def accuracy_at(budget: float, cost: ArrayLike, accuracy: ArrayLike) -> int | None:
    """Index of the point to use at a budget (MACs per image), or None where the budget buys no point.

    Of the points whose `cost [n]` is at most `budget` it is the one of highest `accuracy [n]`; of equals the
    cheapest, then the first. Both are the select half's: what the point does on test is then reported.
    """
    costs, accuracies = _pair(cost, accuracy)
    affordable = np.flatnonzero(costs <= budget * _SLACK)
    if affordable.size == 0:
        return None
    return int(min(affordable, key=lambda i: (-accuracies[i], costs[i])))


def summary(cost: ArrayLike, accuracy: ArrayLike, reported: ArrayLike, plain_cost: float, chance: float) -> float:
    """A frontier in one number: the mean accuracy at a budget over log2(budget / plain) from -3 to 0.

    `cost [n]` and `accuracy [n]` choose (select half), `reported [n]` is what counts (test). Below the
    cheapest point the accuracy is `chance`. The step function is integrated exactly, piece by piece.
    """
    costs, accuracies = _pair(cost, accuracy)
    answers = np.asarray(reported, dtype=np.float64)
    order = np.lexsort((-accuracies, costs))
    places = np.clip(np.log2(costs[order] / plain_cost), -SUMMARY_OCTAVES, 0.0)
    widths = np.diff(np.concatenate((places, [0.0])))  # the step that begins at each point, in octaves
    best, total = -np.inf, chance * (float(places[0]) + SUMMARY_OCTAVES if places.size else SUMMARY_OCTAVES)
    height = chance
    for index, width in zip(order, widths, strict=True):
        if accuracies[index] > best:
            best, height = accuracies[index], float(answers[index])
        total += height * float(width)
    return total / SUMMARY_OCTAVES


def _pair(cost: ArrayLike, accuracy: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    costs, accuracies = np.asarray(cost, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if costs.shape != accuracies.shape or costs.ndim != 1:
        raise ValueError(f"one cost and one accuracy a point, not {costs.shape} and {accuracies.shape}")
    if not (np.all(np.isfinite(costs)) and np.all(np.isfinite(accuracies))):
        raise ValueError("a cost or an accuracy is missing or not finite")
    return costs, accuracies
