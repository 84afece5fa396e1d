"""Whether the seeds of an entry were trained apart, from their stored answers alone. No torch.

Two trainings err on different images; one training that is entered twice errs on the same ones. What is compared is
how often two seeds say different things, over how often they would if each erred at random, as often as it does:
class by class on test images, right or wrong on *select*. Shapes as in `entry`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from benchmarks.leaderboard.entry import Entry, Seed
from benchmarks.leaderboard.packing import Packed, unpack

LEAST = 0.17
"""Share of independent disagreement below which seeds are one training, on any data: half of the lowest that an entry
of the board shows over the pairs of its seeds, 0.33."""
OF_OTHERS = 0.5
"""The same, as a share of what the other entries on the same data show (their median)."""
LEVEL = 0.01
"""Chance, at most, of so little disagreement by two seeds that are just at the limit."""


class Disagreement(NamedTuple):
    """How often two seeds say different things, and how often independent ones of the same errors would; sums over
    images and answers."""

    found: float
    expected: float

    @property
    def share(self) -> float:
        """The part of independent disagreement that is there; infinite where none is expected, as nobody errs."""
        return self.found / self.expected if self.expected else np.inf


def pairs(entry: Entry) -> list[tuple[Seed, Seed, Disagreement]]:
    """Every two seeds of an entry, with how often they disagree."""
    return [(one, other, between(entry, one, other)) for one, other in combinations(entry.seeds, 2)]


def between(entry: Entry, one: Seed, other: Seed) -> Disagreement:
    """How often two seeds disagree: in their predictions on test images, in being right on *select*."""
    return _between(
        entry.labels, entry.dataset.classes,
        (one.test_prediction, one.select_right), (other.test_prediction, other.select_right),
    )  # fmt: skip


@lru_cache(maxsize=4096)  # every entry on the same data is compared with what the others show
def _between(labels: Packed, classes: int, one: tuple[Packed, Packed], other: tuple[Packed, Packed]) -> Disagreement:
    true = unpack(labels)
    tested = [unpack(seed[0]) for seed in (one, other)]
    chosen = [unpack(seed[1]) for seed in (one, other)]
    found = sum(float((first != second).sum()) for first, second in (tested, chosen))
    by_class = [_shares(said, true, classes) for said in tested]
    same = np.einsum("acp,acp->ac", *by_class)  # chance that two independent answers to a class are the same
    rates = [right.mean(axis=0) for right in chosen]
    unlike = rates[0] * (1 - rates[1]) + rates[1] * (1 - rates[0])
    images = np.bincount(true, minlength=classes)
    return Disagreement(found, float(((1 - same) * images).sum() + len(chosen[0]) * unlike.sum()))


def _shares(said: NDArray[np.int64], true: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """How often each answer gives each class to images of each class: shares [a, classes, classes]."""
    counts = [np.bincount(true * classes + column, minlength=classes**2) for column in said.T]
    table = np.array(counts, dtype=np.float64).reshape(-1, classes, classes)
    return np.asarray(table / np.maximum(table.sum(axis=2, keepdims=True), 1), dtype=np.float64)


def share(entry: Entry) -> float:
    """The part of independent disagreement that an entry's seeds show, over all their pairs."""
    found = [one for _, _, one in pairs(entry)]
    return Disagreement(sum(one.found for one in found), sum(one.expected for one in found)).share


def limit(entry: Entry, others: Iterable[Entry]) -> float:
    """The share below which seeds are one training: what entries on the same data show says how far apart is usual."""
    data = entry.dataset.test_fingerprint
    known = [share(other) for other in others if other.dataset.test_fingerprint == data and len(other.seeds) > 1]
    usual = [one for one in known if np.isfinite(one)]
    return max(LEAST, OF_OTHERS * float(np.median(usual))) if usual else LEAST


def too_alike(found: Disagreement, least: float) -> bool:
    """Whether two trainings that disagree `least` of the time would hardly disagree so little: counts of rare events,
    so the fewer are expected the less is said."""
    return found.expected > 0 and bool(pdtr(np.floor(found.found), least * found.expected) < LEVEL)


def problems(entry: Entry, others: Sequence[Entry] = ()) -> list[str]:
    """Seeds that agree as one training does; or all of them together, where each pair alone says too little.

    k seeds make k - 1 comparisons that have no seed's answers twice on the same side: so many pairs' worth the mean
    over all of them counts for.
    """
    found, least = pairs(entry), limit(entry, others)
    alike = [
        f"seeds {one.seed} and {other.seed} are one training: they differ in {seen.found:.0f} answers, trainings "
        f"apart that err as often in about {least / OF_OTHERS * seen.expected:.0f}"
        for one, other, seen in found
        if too_alike(seen, least)
    ]
    if alike or len(entry.seeds) < 3:
        return alike
    worth = (len(entry.seeds) - 1) / len(found)
    whole = Disagreement(*(worth * sum(part) for part in zip(*(seen for _, _, seen in found), strict=True)))
    if not too_alike(whole, least):
        return []
    return [f"its seeds together differ in {whole.share:.0%} of what independent ones would: they are one training"]
