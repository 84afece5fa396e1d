"""Data sets from folders of picture files: decoded once and cached, or as they are used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.data.arrays import Images
from benchmarks.data.base import DataSet, Split
from benchmarks.data.cache import Arrays, cached
from benchmarks.data.decoding import NOT_SAID, Levels, decode, decode_all
from benchmarks.data.folders import Classes, File, doubts, flat, labels
from benchmarks.data.stream import Stream

_SMALL = 64  # up to this side images are cropped as CIFAR's are
_FORMAT = 2  # of the cached arrays


def decoded(
    name: str, folder: Path, train: Classes, test: Classes, size: int | None, levels: Levels = NOT_SAID
) -> DataSet:
    """A data set of all these pictures below `folder`, decoded in memory, from the cache where they are there."""
    files = {"train": flat(train), "test": flat(test)}

    def read() -> Arrays:
        paths = {part: [folder / file.path for file in listed] for part, listed in files.items()}
        _, height, width = decode(paths["train"][0], size, levels).shape
        return {part: decode_all(listed, size, height, width, levels) for part, listed in paths.items()}

    def whole(arrays: Arrays) -> bool:
        return {part: len(images) for part, images in arrays.items()} == {p: len(f) for p, f in files.items()}

    arrays = cached(f"imagefolder-{_key(files, size, levels)}", read, whole)
    side = min(arrays["train"].shape[2:])
    return DataSet(
        name=name,
        classes=tuple(train),
        train=_split(arrays["train"], train),
        test=_split(arrays["test"], test),
        flip=True,
        crop=4 if side <= _SMALL else side // 8,
        warnings=tuple(doubts(train)),
    )


def streamed(
    name: str, root: Path, train: Classes, test: Classes, size: int, shorter: int, levels: Levels = NOT_SAID
) -> DataSet:
    """A data set of streams: training images are random-resized crops, `shorter` and `levels` as in `Stream`."""
    training, testing = (_streamed(root, classes, size, shorter, levels) for classes in (train, test))
    return DataSet(name, tuple(train), training, testing, flip=True, crop=0, warnings=tuple(doubts(train)))


def _streamed(root: Path, classes: Classes, size: int, shorter: int, levels: Levels) -> Split:
    files = flat(classes)
    paths = np.array([file.path for file in files])
    sizes = np.array([file.size for file in files], dtype=np.int64)
    return Split(Stream(root, paths, sizes, size, shorter, levels), labels(classes), paths)


def _key(files: Mapping[str, Sequence[File]], size: int | None, levels: Levels) -> str:
    """A hash of all that the decoded arrays depend on."""
    digest = hashlib.sha256(repr((_FORMAT, size, tuple(levels))).encode())
    for part, listed in files.items():
        for file in listed:
            digest.update(os.fsencode(f"{part}\0{file.path}\0{file.size}\0{file.mtime_ns}\n"))
    return digest.hexdigest()[:32]


def _split(images: Images, classes: Classes) -> Split:
    return Split(images, labels(classes), np.array([file.path for file in flat(classes)]))
