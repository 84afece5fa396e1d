"""Street View House Numbers, the cropped digits, as torchvision downloads, checks and reads them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DataSet, Split
from datasets.downloads import opened


def load(root: Path | None) -> DataSet:
    """73,257 and 26,032 colour photographs of 32 x 32 pixels, each a digit; mirror images are no digits.

    Read from `root`, or from the cache folder; what is missing there is downloaded. Raises DataError where the
    files are missing or damaged and cannot be downloaded.
    """
    from torchvision.datasets import SVHN

    train, test = (_split(opened("svhn", partial(SVHN, split=part), root)) for part in ("train", "test"))
    return DataSet("svhn", tuple(str(digit) for digit in range(10)), train, test, flip=False, crop=4)


def _split(read: Any) -> Split:
    labels = np.asarray(read.labels, dtype=np.int64)
    return Split(np.ascontiguousarray(read.data), labels, np.arange(len(labels), dtype=np.int64))
