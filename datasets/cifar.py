"""CIFAR-10 and CIFAR-100 as torchvision downloads, checks and reads them.

torchvision unpickles a file only where its checksum is the published one.
"""

from __future__ import annotations

import contextlib
import http.client
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DataSet, Split
from datasets.cache import folder
from datasets.errors import DataError


def cifar10(root: Path | None) -> DataSet:
    """CIFAR-10: 50,000 and 10,000 colour photographs of 32 x 32 pixels in 10 classes."""
    return _load("cifar10", "CIFAR10", root)


def cifar100(root: Path | None) -> DataSet:
    """CIFAR-100: as many photographs, in its 100 fine classes."""
    return _load("cifar100", "CIFAR100", root)


def _load(name: str, reader: str, root: Path | None) -> DataSet:
    """Read from `root`, or from the cache folder; download what is missing there.

    Raises DataError where the files are missing or damaged and cannot be downloaded.
    """
    from torchvision import datasets as torchvision_datasets

    place = root if root is not None else folder() / "downloads"
    if place.exists() and not place.is_dir():
        raise DataError(f"{place} is not a folder: --data-root takes the folder that {name} is in or goes to")
    read = partial(getattr(torchvision_datasets, reader), str(place))
    try:
        train = read(train=True)
    except (RuntimeError, OSError):  # missing, unreadable, or a checksum differs
        train = _downloaded(name, read, place)
    test = read(train=False)
    return DataSet(name, tuple(train.classes), _split(train), _split(test), flip=True, crop=4)


def _downloaded(name: str, read: partial[Any], place: Path) -> Any:
    existed = place.exists()
    try:
        return read(train=True, download=True)
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        if not existed:
            with contextlib.suppress(OSError):
                place.rmdir()
        reason = " ".join(str(error).split())
        raise DataError(
            f"{name} is not complete in {place} and could not be downloaded ({reason}): put its files there"
        ) from error


def _split(read: Any) -> Split:
    images = np.ascontiguousarray(np.asarray(read.data, dtype=np.uint8).transpose(0, 3, 1, 2))
    labels = np.asarray(read.targets, dtype=np.int64)
    return Split(images, labels, np.arange(len(labels), dtype=np.int64))
