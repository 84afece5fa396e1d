"""Street View House Numbers, the cropped digits, as torchvision downloads, checks and reads them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.about import About
from benchmarks.data.base import DataSet, Split
from benchmarks.data.downloads import opened

ABOUT: About = {
    "title": "Street View House Numbers, cropped digits, by torchvision; without the extra part",
    "classes": 10,
    "size": (32, 32),
    "train": 73_257,
    "test": 26_032,
    "download": True,
    "licence": "For non-commercial use",
    "citation": (
        "Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, NIPS Workshop "
        "on Deep Learning and Unsupervised Feature Learning, 2011"
    ),
}


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
