"""Images to calibrate on that are no training images: a folder of the user's, or half of the test images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.data.arrays import Labels
from benchmarks.data.base import DataSet, Split
from benchmarks.data.decoding import Levels, decode_all
from benchmarks.data.errors import DataError
from benchmarks.data.folders import Classes, classes_of, flat, labels, listing
from benchmarks.data.hashing import shuffled
from benchmarks.data.splits import Indices, divide
from benchmarks.data.stream import Stream

_LEAST = 2  # images of a part: those that calibrate are halved again


def halved(data: DataSet, parts: int = 2) -> tuple[DataSet, bool]:
    """The data set with one of so many parts of its test images to calibrate on, and whether every class was divided
    alike.

    What is left of the test split are the other parts. DataError where there are fewer than two images a part.
    """
    count, least = len(data.test), _LEAST * parts
    if count < least:
        raise DataError(f"{count} test images are too few to calibrate on one in {parts}: give at least {least}")
    calibrating, tested, alike = halves(data.test.labels, "calibrating/test", parts)
    return replace(data, calibration=data.test.part(calibrating), test=data.test.part(tested)), alike


def folds(labels: Labels, count: int) -> Indices:
    """The fold of every image, int64 [n] from 0: folds of equal size, within one image, and of equal shares of classes.

    DataError where there are fewer than two images a fold.
    """
    if len(labels) < _LEAST * count:
        raise DataError(f"{len(labels)} test images are too few for {count} folds: give at least {_LEAST * count}")
    order = shuffled("folds/test", len(labels))
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % count
    return fold


def halves(labels: Labels, key: str, parts: int = 2) -> tuple[Indices, Indices, bool]:
    """Two halves as sorted positions, the first with the odd one, and whether every class is divided alike.

    With more `parts` the first is but one of so many, rounded up. Where a class has a single image, both are drawn by
    a hash of the positions, whatever the labels are.
    """
    size = -(-len(labels) // parts)
    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() > 1:
        return *divide(labels, size, key, 1), True
    order = shuffled(key, len(labels))
    return np.sort(order[:size]), np.sort(order[size:]), False


def with_folder(data: DataSet, folder: Path, settings: Mapping[str, str]) -> DataSet:
    """The data set with the pictures of `folder` to calibrate on: class folders, of the classes of `data`.

    They are made as large as the images of `data`; `settings` are those that the data set was loaded with. DataError
    where the folder, its classes or a picture are not as they have to be, or a picture is a training or test image.
    """
    if not folder.is_dir():
        raise DataError(f"--calibration {folder} is no folder: name one with a folder of pictures for each class")
    with listing():
        classes = _ordered(folder, classes_of(folder.parent, folder), data.classes)
    split = _split(folder.parent, classes, data.test, settings)
    for other, what in ((data.test, "test"), (data.train, "training")):
        if shared := _shared(split, other):
            raise DataError(
                f"--calibration {folder}: {len(shared)} of its pictures are {what} images, for example {shared[0]}: "
                "take them out"
            )
    return replace(data, calibration=split)


def _ordered(folder: Path, classes: Classes, names: Sequence[str]) -> Classes:
    """The files in the order of the classes of the data set; DataError where these are others."""
    for here, there, lacks in ((names, classes, "lacks"), (classes, names, "has")):
        if other := [name for name in here if name not in there]:
            raise DataError(
                f"--calibration {folder} {lacks} the class {', '.join(other[:3])}: it needs the classes of the data set"
            )
    return {name: classes[name] for name in names}


def _split(root: Path, classes: Classes, like: Split, settings: Mapping[str, str]) -> Split:
    files = flat(classes)
    paths = np.array([file.path for file in files])
    if isinstance(like.images, Stream):
        sizes = np.array([file.size for file in files], dtype=np.int64)
        return Split(replace(like.images, root=root, paths=paths, sizes=sizes), labels(classes), paths)
    height, width = like.images.shape[2:]
    white = settings.get("white")
    levels = Levels(float(settings.get("black", 0)), None if white is None else float(white))
    side = height if height == width else None
    images = decode_all([root / file.path for file in files], side, height, width, levels)
    return Split(images, labels(classes), paths)


def _shared(split: Split, other: Split) -> list[str]:
    """The names of the images of `split` that are in `other`: by their pixels, those of streams by their files."""
    rows = np.arange(len(other))
    if isinstance(split.images, Stream) and isinstance(other.images, Stream):
        rows = np.flatnonzero(np.isin(other.images.sizes, split.images.sizes))  # else all files would be read
    known = set(_marks(other, rows))
    marks = _marks(split, np.arange(len(split)))
    return [str(name) for name, mark in zip(split.ids, marks, strict=True) if mark in known]


def _marks(split: Split, rows: Indices) -> Iterator[bytes]:
    images = split.images
    for row in rows.tolist():
        if isinstance(images, Stream):
            yield hashlib.sha256((images.root / str(images.paths[row])).read_bytes()).digest()
        else:
            yield hashlib.sha256(np.ascontiguousarray(images[row]).data).digest()
