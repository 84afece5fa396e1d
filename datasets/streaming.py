"""Data sets that are decoded as they are used, from folders of picture files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets.base import DataSet, Split
from datasets.decoding import NOT_SAID, Levels
from datasets.folders import Classes, doubts, flat, labels
from datasets.stream import Stream


def streamed(
    name: str, root: Path, train: Classes, test: Classes, size: int, shorter: int, levels: Levels = NOT_SAID
) -> DataSet:
    """A data set of streams: training images are random-resized crops, `shorter` and `levels` as in `Stream`."""
    training, testing = (_split(root, classes, size, shorter, levels) for classes in (train, test))
    return DataSet(name, tuple(train), training, testing, flip=True, crop=0, warnings=tuple(doubts(train)))


def _split(root: Path, classes: Classes, size: int, shorter: int, levels: Levels) -> Split:
    files = flat(classes)
    paths = np.array([file.path for file in files])
    sizes = np.array([file.size for file in files], dtype=np.int64)
    return Split(Stream(root, paths, sizes, size, shorter, levels), labels(classes), paths)
