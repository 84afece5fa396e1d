"""The pictures of CIFAR-10 and CIFAR-100 as torchvision downloads, checks and reads them.

torchvision unpickles a file only where its checksum is the published one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.base import DataSet, Split
from benchmarks.data.downloads import opened


def cifar(name: str, reader: str, root: Path | None) -> DataSet:
    """Return what torchvision's class `reader` reads from `root`, or from the cache folder.

    What is missing there is downloaded. Raises DataError where the files are missing or damaged and cannot be
    downloaded.
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
