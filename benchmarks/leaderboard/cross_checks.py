"""What an entry says in two places, or what it and the others say of one thing, looked at together. No torch.

Shapes as in `entry`.
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.entry import Entry, Seed
from benchmarks.leaderboard.packing import Packed, unpack

BEST = 5
"""Classes among which the label has to be for the top-5 accuracy."""
FAR = 6.0
"""Standard errors by which answers may do better on test images than on calibration images, beyond what the other
entries on the same data show. The largest of an entry of the board is 3.2."""

Floats = NDArray[np.float64]


def top5(entry: Entry, _: object = None) -> list[str]:
    """Whether the label is among the best five wherever it is the best, and always where there are no more classes."""
    labels, problems = unpack(entry.labels)[:, None], []
    for seed in entry.seeds:
        right, among = unpack(seed.test_prediction) == labels, unpack(seed.test_top5) > 0
        if below := int((right & ~among).sum()):
            problems.append(f"seed {seed.seed}: {below} answers are right and yet not among the best {BEST}")
        if entry.dataset.classes <= BEST and not among.all():
            problems.append(f"seed {seed.seed}: of {entry.dataset.classes} classes all are among the best {BEST}")
    return problems


def gap(entry: Entry, others: Iterable[Entry]) -> list[str]:
    """Whether answers do better on test images than on calibration images, by more than chance and than others do."""
    data = entry.dataset.test_fingerprint
    alike = [other for other in others if other.dataset.test_fingerprint == data]
    known = [_gaps(other, seed)[0] for other in alike for seed in other.seeds]
    if not known:  # how much easier the test images are is not known
        return []
    usual = float(np.median(np.concatenate(known)))
    problems = []
    for seed in entry.seeds:
        gaps, errors = _gaps(entry, seed)
        far = (gaps - usual) / errors
        if far.max() > FAR:
            worst = int(far.argmax())
            problems.append(
                f"seed {seed.seed}: {entry.costs.outputs[worst]} is right {gaps[worst]:+.1%} more often on test images "
                f"than on calibration images, {far[worst]:.0f} standard errors beyond the {usual:+.1%} of other entries"
            )
    return problems


def _gaps(entry: Entry, seed: Seed) -> tuple[Floats, Floats]:
    """By how much each answer is more often right on test images than on *select* [a], and the standard error."""
    return _more(entry.labels, seed.test_prediction, seed.select_right)


@lru_cache(maxsize=1024)  # every entry is compared with all others on the same data
def _more(labels: Packed, said: Packed, right: Packed) -> tuple[Floats, Floats]:
    tested, selected = unpack(said) == unpack(labels)[:, None], unpack(right) > 0
    n, m = len(tested), len(selected)
    pooled = (tested.sum(axis=0) + selected.sum(axis=0) + 1) / (n + m + 2)  # never 0 or 1, where chance is none
    return tested.mean(axis=0) - selected.mean(axis=0), np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def sizes(entry: Entry) -> list[str]:
    """Whether the files of weights are large enough for what is stored in them."""
    return [
        f"seed {seed.seed}: {seed.weights.bytes:,} bytes cannot hold {entry.costs.storage_bytes:,} bytes of weights"
        for seed in entry.seeds
        if seed.weights.bytes < entry.costs.storage_bytes
    ]
