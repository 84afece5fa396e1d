"""A world in which the test split is noise with random labels, by whatever door a method looks for it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import _base

from benchmarks.data.base import DataSet, Split
from benchmarks.data.registry import module
from methods import plugins
from methods.userfiles import forgotten

DIGITS = module("digits")
READER = "load_gzip_compressed_csv_data"
"""What scikit-learn reads the digits with."""


@contextmanager
def poisoned(file: Path | None) -> Iterator[None]:
    """Inside, the digits' test split is poisoned where it is made, so that every way to load it gives that.

    Whoever asks scikit-learn itself for the digits, the suite's own loading aside, is given noise for all of them.
    The user's files, a plugin's `file` among them, are imported anew inside, so that what they read when they were
    imported is forgotten. Afterwards they are what they were.
    """
    reader = vars(_base)[READER]
    _construct(_poisoned)
    vars(_base)[READER] = _noise_of(reader)
    try:
        with forgotten():
            _add(file)
            yield
    finally:
        _construct(DataSet)
        vars(_base)[READER] = reader
        _add(file)


def _poisoned(**given: Any) -> DataSet:
    data, rng = DataSet(**given), np.random.default_rng(0)
    noise = rng.integers(0, 256, data.test.images.shape, dtype=np.uint8)
    labels = rng.integers(0, len(data.classes), len(data.test.labels))
    return replace(data, test=Split(noise, labels, data.test.ids))


def _noise_of(reader: Callable[..., Any]) -> Callable[..., Any]:
    """The reader of scikit-learn's files that shuffles the columns and labels of what it reads."""

    @wraps(reader)
    def read(*given: Any, **named: Any) -> Any:
        data, *others = reader(*given, **named)
        return (data if _for_the_suite() else np.random.default_rng(0).permuted(data, axis=0)), *others

    return read


def _for_the_suite() -> bool:
    """Whether the suite's own loading, whose test split is poisoned where it is made, is among the callers."""
    frame = sys._getframe()
    while frame is not None and frame.f_code is not DIGITS.load.__code__:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def _construct(data_set: Callable[..., DataSet]) -> None:
    """What the file of the digits makes its data set with."""
    vars(DIGITS)["DataSet"] = data_set


def _add(file: Path | None) -> None:
    if file is not None:
        plugins.add(file)
