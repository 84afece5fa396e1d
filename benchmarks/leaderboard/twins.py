"""Entries that are one training under two names: they hold the very same answers, and may not."""

from collections.abc import Iterable

import numpy as np

from benchmarks.leaderboard.entry import Entry, Seed
from benchmarks.leaderboard.packing import unpack
from benchmarks.leaderboard.recount import settings_of

_ERRS = 0.01
"""Share of answers that have to be wrong: networks that are always right all say the same."""


def problems(entry: Entry, others: Iterable[Entry]) -> list[str]:
    """Other entries with the same answers as one of this entry's seeds, of which it cannot be a variant."""
    own = {_answers(seed): seed.seed for seed in entry.seeds if _errs(entry, seed)}
    found = []
    for other in others:
        if other.dataset.test_fingerprint != entry.dataset.test_fingerprint or other.about == entry.about:
            continue
        shared = [(own[_answers(seed)], seed.seed) for seed in other.seeds if _answers(seed) in own]
        if shared and not (trained_alike(entry, other) and all(one == its for one, its in shared)):
            found.append(f"{other.file} has the same answers in seed {shared[0][1]}: one training under two names")
    return found


def trained_alike(entry: Entry, other: Entry) -> bool:
    """Whether two entries may share a training: they differ in nothing that a training depends on."""
    alike = all(getattr(entry, name) == getattr(other, name) for name in ("method", "backbone", "division"))
    alike = alike and entry.training.facts() == other.training.facts()
    return alike and settings_of(entry).for_training() == settings_of(other).for_training()


def _answers(seed: Seed) -> tuple[object, ...]:
    return seed.test_prediction, seed.test_top5, seed.select_right


def _errs(entry: Entry, seed: Seed) -> bool:
    return bool(np.mean(unpack(seed.test_prediction) != unpack(entry.labels)[:, None]) > _ERRS)
