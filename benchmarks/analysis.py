"""What the papers look at beside the frontier, from path tables alone. Pure functions over arrays.

Tables have a answers and n images; costs are MACs per image. Rows are dictionaries of plain numbers, one a line
of the CSV files that are made of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stats.inference import auroc, midranks, spearman
from methods.routers import OperatingPoint
from methods.routing import Routing, simulate, trail_macs
from methods.table import PathTable

NONE = -1
BINS = 15
"""Bins of the calibration error: the usual number, and a choice. Another number gives another error."""

Row = dict[str, Any]
Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


class Group(NamedTuple):
    """Images [k] that need a cost between `low` and `high` MACs, ends included; NONE: no answer is right."""

    low: int
    high: int
    images: Positions


def cost_needed(table: PathTable) -> Positions:
    """MACs of the cheapest answer that is right on each image, [n]; NONE where no answer is.

    Each answer is taken alone, as a static point (Kuen et al., CVPR 2018). It is known with the label only, so
    it is no policy.
    """
    order = np.argsort(table.macs, kind="stable")
    right = table.correct[order]
    needed: Positions = np.where(right.any(axis=0), table.macs[order][right.argmax(axis=0)], NONE)
    return needed


def cost_rows(table: PathTable, plain_macs: float) -> list[Row]:
    """One row a distinct cost, cheapest first, and a last one for the images that no answer gets right.

    `share` of the images need exactly this cost, `within` at most this cost.
    """
    needed, rows, within = cost_needed(table), [], 0
    for macs in (*np.unique(table.macs).tolist(), NONE):
        names = [name for name, cost in zip(table.answers, table.macs, strict=True) if cost == macs]
        count = int((needed == macs).sum())
        within += count
        cost = {"macs": macs, "of_plain": macs / plain_macs} if macs != NONE else {"macs": None, "of_plain": None}
        rows.append({
            "needed": " ".join(names) or "none", **cost, "images": count, "share": count / len(needed),
            "within": within / len(needed),
        })  # fmt: skip
    return rows


def cost_groups(needed: Positions, at_most: int) -> list[Group]:
    """The images by the cost they need, in at most `at_most` groups; the cheapest cost and NONE stay alone.

    Where there are more costs, neighbouring ones are put together, so that the groups are of similar size.
    Costs that no image needs are left out.
    """
    costs, counts = np.unique(needed[needed != NONE], return_counts=True)
    parts = np.arange(len(costs))
    if len(costs) > at_most - 1:
        middle = np.cumsum(counts[1:]) - counts[1:] / 2
        parts = np.concatenate([[0], 1 + (middle * (at_most - 2) / counts[1:].sum()).astype(np.int64)])
    spans = [costs[parts == part] for part in np.unique(parts)]
    groups = [
        Group(int(span[0]), int(span[-1]), np.flatnonzero((needed >= span[0]) & (needed <= span[-1]))) for span in spans
    ]
    never = np.flatnonzero(needed == NONE)
    return [*groups, Group(NONE, NONE, never)] if len(never) else groups


def agreement_rows(table: PathTable) -> Iterator[Row]:
    """One row a pair of answers: shares of images with the same prediction, both right, both wrong, one right."""
    correct = table.correct
    for first, name in enumerate(table.answers):
        rest = slice(first + 1, None)
        columns = {
            "same": (table.prediction[rest] == table.prediction[first]).mean(axis=1),
            "both_right": (correct[rest] & correct[first]).mean(axis=1),
            "both_wrong": (~correct[rest] & ~correct[first]).mean(axis=1),
            "first_only": (~correct[rest] & correct[first]).mean(axis=1),
            "second_only": (correct[rest] & ~correct[first]).mean(axis=1),
        }
        for place, other in enumerate(table.answers[rest]):
            yield {"first": name, "second": other} | {key: float(column[place]) for key, column in columns.items()}


def equal_groups(values: ArrayLike, count: int) -> Positions:
    """Numbers [n] of `count` groups of nearly equal size, by rising value; equal values are never parted."""
    ranks = midranks(values)
    groups: Positions = ((ranks - 0.5) / len(ranks) * count).astype(np.int64)
    return groups


def calibration_error(confidence: ArrayLike, correct: ArrayLike, groups: Positions) -> float:
    """Mean gap |accuracy - confidence| over groups of images, weighted by their size (Naeini et al., 2015)."""
    gap = np.asarray(correct, dtype=np.float64) - np.asarray(confidence, dtype=np.float64)
    return float(np.abs(np.bincount(groups, weights=gap)).sum()) / len(gap)


def calibration_rows(table: PathTable) -> list[Row]:
    """One row an answer: is its largest probability the chance of being right, and does it tell right from wrong?

    `ece`: calibration error over BINS bins of equally many images; `ece_width`: over BINS bins of equal width;
    `loss`: mean cross-entropy; `auroc`: probability that a right prediction is surer than a wrong one. Scaling
    the confidences changes the first three and not the last, which is what a threshold lives on.
    """
    rows = []
    for answer, name in enumerate(table.answers):
        sure, right = table.max_prob[answer].astype(np.float64), table.correct[answer]
        widths = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        rows.append({
            "answer": name, "macs": int(table.macs[answer]), "images": len(right), "accuracy": float(right.mean()),
            "confidence": float(sure.mean()), "bins": BINS,
            "ece": calibration_error(sure, right, equal_groups(sure, BINS)),
            "ece_width": calibration_error(sure, right, widths),
            "loss": float(table.loss[answer].mean(dtype=np.float64)), "auroc": auroc(sure, right),
        })  # fmt: skip
    return rows


def difficulty_rows(
    table: PathTable, points: Sequence[OperatingPoint], difficulty: ArrayLike, deciles: int = 10
) -> list[Row]:
    """One row a point and tenth of the images by their known `difficulty [n]`: accuracy and mean cost there."""
    known = np.asarray(difficulty, dtype=np.float64)
    groups = equal_groups(known, deciles)
    rows = []
    for point, routing in _routed(table, points):
        right, macs = _right(table, routing), trail_macs(table, routing)
        for group in np.unique(groups):
            of = groups == group
            rows.append({
                "point": point.name, "decision": table.decision(point), "decile": int(group) + 1,
                "images": int(of.sum()),
                "difficulty": float(known[of].mean()), "accuracy": float(right[of].mean()),
                "macs": float(macs[of].mean()),
            })  # fmt: skip
    return rows


def effort_rows(table: PathTable, points: Sequence[OperatingPoint], difficulty: ArrayLike) -> list[Row]:
    """One row a per-sample point: Spearman's correlation of the MACs spent on an image with its difficulty [n].

    Missing where all images get the same trail.
    """
    rows = []
    for point, routing in _routed(table, [point for point in points if table.decision(point) == "per-sample"]):
        macs = trail_macs(table, routing)
        rho, low, high = spearman(macs, np.asarray(difficulty))
        rows.append({"point": point.name, "macs": float(macs.mean()), "images": len(macs)} | {
            "rho": rho, "low": low, "high": high,
        })  # fmt: skip
    return rows


def _routed(table: PathTable, points: Sequence[OperatingPoint]) -> Iterator[tuple[OperatingPoint, Routing]]:
    return ((point, simulate(table, point.router)) for point in points)


def _right(table: PathTable, routing: Routing) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = table.correct[routing.answer, np.arange(len(routing.answer))]
    return right
