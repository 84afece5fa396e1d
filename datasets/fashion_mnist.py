"""Fashion-MNIST as torchvision downloads, checks and reads it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.about import About
from benchmarks.data.base import DataSet, Split
from benchmarks.data.downloads import opened

ABOUT: About = {
    "title": "Fashion-MNIST by torchvision, 28 x 28 grey",
    "classes": 10,
    "size": (28, 28),
    "train": 60_000,
    "test": 10_000,
    "download": True,
    "licence": "MIT",
    "citation": (
        "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
        "Learning Algorithms, arXiv:1708.07747, 2017"
    ),
}


def load(root: Path | None) -> DataSet:
    """60,000 and 10,000 grey pictures of clothes, 28 x 28 pixels, repeated to three channels.

    Read from `root`, or from the cache folder; what is missing there is downloaded. Raises DataError where the
    files are missing or damaged and cannot be downloaded.
    """
    train, test = (opened("fashion-mnist", partial(_read, part), root) for part in (True, False))
    return DataSet("fashion-mnist", tuple(train.classes), _split(train), _split(test), flip=True, crop=2)


def _read(train: bool, place: str, download: bool = False) -> Any:
    from torchvision import datasets as torchvision_datasets

    class FashionMNIST(torchvision_datasets.FashionMNIST):  # type: ignore[misc]  # its name is that of its folder
        def _check_legacy_exist(self) -> bool:
            return False  # what old versions left is pickled

    return FashionMNIST(place, train=train, download=download)


def _split(read: Any) -> Split:
    images = np.repeat(read.data.numpy()[:, None], 3, axis=1)
    labels = read.targets.numpy().astype(np.int64)
    return Split(images, labels, np.arange(len(labels), dtype=np.int64))
