"""Which training images train, which calibrate. Deterministic, by integer hashes of the positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.data.errors import DataError
from benchmarks.data.hashing import shuffled

Indices = npt.NDArray[np.int64]

VERSION = 2
"""Of the split: raised when another number of images calibrates. Whoever judges what was made under an earlier one
asks for it by number."""
_LEAST = 500  # calibration images, where the set can spare them
_PER_CLASS = 2  # calibration images of a class: one in each half


@dataclass(frozen=True, eq=False)
class Partition:
    """Three disjoint parts that cover the training split, as sorted positions in it, int64.

    Where other images calibrate, `train` is all of it, and `fit` and `select` are positions among these images.
    `version`: the latest version of the split that sets so many images aside; None where somebody asked for a number
    that none does, or for other images.
    """

    train: Indices
    fit: Indices
    select: Indices
    version: int | None = VERSION


def partition(
    labels: npt.NDArray[np.int64],
    seed: int = 0,
    names: Sequence[str] = (),
    version: int = VERSION,
    size: int | None = None,
) -> Partition:
    """Set a stratified part of the training images aside to calibrate on, and halve it.

    It has `size` images, or as many as `version` of the split sets aside. Every class gives at least one to either
    half, for which the part may grow. `labels` int64 [n]; `names` of the classes, for messages. Raises DataError where
    a class has fewer than four images, or `size` is more than half of the images or less than two of each class.
    """
    count = len(labels)
    if size is not None:
        _check(size, labels)
        version = next((v for v in range(VERSION, 0, -1) if calibration_size(count, v) == size), 0)
    asked = calibration_size(count, version) if size is None else size
    calibration, train = divide(labels, asked, f"calibration/{seed}", _PER_CLASS, names)
    fit, select = divide(labels[calibration], (len(calibration) + 1) // 2, f"fit/{seed}", 1, names)
    return Partition(train, calibration[fit], calibration[select], version or None)


def calibration_size(count: int, version: int = VERSION) -> int:
    """How many of `count` training images calibrate, before every class is given its least.

    Version 1: a tenth, at least 500; a quarter where 500 would not leave as many to train on. Version 2: the same, and
    at most a fifth.
    """
    first = max(count // 10, _LEAST) if count >= 2 * _LEAST else count // 4
    return first if version == 1 else min(first, count // 5)


def _check(size: int, labels: npt.NDArray[np.int64]) -> None:
    """DataError where `size` images cannot calibrate."""
    least, most = _PER_CLASS * len(np.unique(labels)), len(labels) // 2
    if not least <= size <= most:
        raise DataError(
            f"{size:,} calibration images of {len(labels):,} training images: ask for {least:,} (two a class) to "
            f"{most:,} (half of them)"
        )


def divide(
    labels: npt.NDArray[np.int64], size: int, key: str, least: int, names: Sequence[str] = ()
) -> tuple[Indices, Indices]:
    """Pick a stratified part of `size`, and the rest: two arrays of sorted positions.

    The share of a class is within one image of proportional, but never below `least`, for which the part may
    grow. Raises DataError where a class has fewer than twice `least` images.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(counts) and counts.min() < 2 * least:
        rare = int(classes[counts.argmin()])
        who = f"the class {names[rare]}" if names else f"class number {rare} (counted from 0)"
        raise DataError(
            f"{who} has {counts.min()} images, too few to split: give it at least {2 * least}, or leave the class out"
        )
    quotas = _quotas(counts, size, least)
    order = shuffled(key, len(labels))
    members = np.split(order[np.argsort(labels[order], kind="stable")], np.cumsum(counts)[:-1])
    picked = np.zeros(len(labels), dtype=bool)
    for positions, quota in zip(members, quotas, strict=True):
        picked[positions[:quota]] = True
    return np.flatnonzero(picked), np.flatnonzero(~picked)


def _quotas(counts: Indices, size: int, least: int) -> Indices:
    """Shares of `size` by largest remainder, none below `least`, int64 [classes]."""
    # integers throughout: fractions of the shares are compared as remainders of one division
    wanted = counts.astype(np.int64) * size
    total = int(counts.sum())
    quotas, fractions = np.maximum(wanted // max(total, 1), least), wanted % max(total, 1)
    fractions[wanted < least * total] = 0
    short = max(size - int(quotas.sum()), 0)
    quotas[np.argsort(-fractions, kind="stable")[:short]] += 1
    return quotas


def statistics_images(train_indices: Indices, seed: int = 0, limit: int = 2048) -> Indices:
    """The one list of images for batch norm statistics: at most `limit` of `train_indices`, int64.

    In an order of its own: a set that is sorted by class would give batches of one class each, normalised by
    what that class has in common.
    """
    return train_indices[shuffled(f"statistics/{seed}", len(train_indices))[:limit]]
