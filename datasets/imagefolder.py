"""`imagefolder`: anybody's pictures, one folder a class, decoded once and cached, or decoded as a stream."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from datasets.arrays import Images
from datasets.base import DataSet, Split
from datasets.cache import Arrays, cached
from datasets.decoding import NOT_SAID, Levels, decode, decode_all
from datasets.errors import DataError
from datasets.folders import Classes, File, checked, doubts, flat, held_out, labels, listing, named_folders, two_folders
from datasets.streaming import streamed

_SMALL = 64  # up to this side images are cropped as CIFAR's are
_FORMAT = 2  # of the cached arrays


def load(
    root: Path | None, *, size: int | None, name: str, holdout: float, stream: bool, black: float, white: float | None
) -> DataSet:
    """Read `root`/train and `root`/test (or val), or split the one folder of classes that `root` is.

    With `stream` pictures are never all in memory: see `streaming`. Raises DataError where the folders, the
    classes or an image are not as they have to be.
    """
    folder, levels = checked("imagefolder", root), Levels(black, white)
    if white is not None and white <= black:
        raise DataError(f"imagefolder: white is {white:g}, which has to be above black, {black:g}")
    with listing():
        train, test = _splits(folder, holdout)
    if not stream:
        return decoded(name, folder, train, test, size, levels)
    if size is None:
        raise DataError(
            "imagefolder: stream=true needs the side of the images: pass --set imagefolder.size=224, or another"
        )
    for files in train.values():  # one of each class, before anything is trained
        decode(folder / files[0].path, size, levels)
    return streamed(name, folder, train, test, size, size, levels)


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


def _splits(root: Path, holdout: float) -> tuple[Classes, Classes]:
    """Training and test files by class, the same classes in the same order."""
    if not ((root / "train").is_dir() and named_folders(root / "train")):
        return held_out(root, holdout)
    present = [part for part in ("test", "val") if (root / part).is_dir()]
    if not present:
        raise DataError(f"{root} has a train folder but neither test nor val: add one")
    # a test folder without classes holds pictures whose labels are secret
    test = next((part for part in present if named_folders(root / part)), present[0])
    return two_folders(root, "train", test)


def _key(files: Mapping[str, Sequence[File]], size: int | None, levels: Levels) -> str:
    """A hash of all that the decoded arrays depend on."""
    digest = hashlib.sha256(repr((_FORMAT, size, tuple(levels))).encode())
    for part, listed in files.items():
        for file in listed:
            digest.update(os.fsencode(f"{part}\0{file.path}\0{file.size}\0{file.mtime_ns}\n"))
    return digest.hexdigest()[:32]


def _split(images: Images, classes: Classes) -> Split:
    return Split(images, labels(classes), np.array([file.path for file in flat(classes)]))
