"""CIFAR-10 and CIFAR-100 as torchvision downloads, checks and reads them.

torchvision unpickles a file only where its checksum is the published one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DataSet, Split
from datasets.downloads import opened


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

    train, test = (
        opened(name, partial(getattr(torchvision_datasets, reader), train=part), root) for part in (True, False)
    )
    return DataSet(name, tuple(train.classes), _split(train), _split(test), flip=True, crop=4)


def _split(read: Any) -> Split:
    images = np.ascontiguousarray(np.asarray(read.data, dtype=np.uint8).transpose(0, 3, 1, 2))
    labels = np.asarray(read.targets, dtype=np.int64)
    return Split(images, labels, np.arange(len(labels), dtype=np.int64))
