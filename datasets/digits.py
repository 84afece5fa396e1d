"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, bundled with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.data.about import About
from benchmarks.data.base import DataSet, Split
from benchmarks.data.splits import divide

ABOUT: About = {
    "title": "Handwritten digits of scikit-learn, 8 x 8 grey (bundled)",
    "classes": 10,
    "size": (8, 8),
    "train": 1438,
    "test": 359,
    "embedded": True,
    "download": False,
    "licence": "CC BY 4.0",
    "citation": (
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998"
    ),
}

_BRIGHTEST = 16  # grey levels are 0..16


def load(root: Path | None) -> DataSet:
    """Grey levels repeated to three channels; a stratified fifth is the test split. `root` is not used."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    grey = (bundled.images.astype(np.int64) * 255 // _BRIGHTEST).astype(np.uint8)
    images = np.repeat(grey[:, None], 3, axis=1)
    labels = bundled.target.astype(np.int64)
    test, train = divide(labels, len(labels) // 5, "digits/test", least=1)
    return DataSet(
        name="digits",
        classes=tuple(str(digit) for digit in range(10)),
        train=Split(images[train], labels[train], train),
        test=Split(images[test], labels[test], test),
        flip=False,
        crop=1,
    )
