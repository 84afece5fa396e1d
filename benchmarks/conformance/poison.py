"""A world in which the test split is noise with random labels, by whatever door a method looks for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets import digits
from datasets.base import DataSet, Split
from methods import plugins
from methods.userfiles import forgotten


@contextmanager
def poisoned(file: Path | None) -> Iterator[None]:
    """Inside, the digits' test split is poisoned where it is made, so that every way to load it gives that.

    The user's files, a plugin's `file` among them, are imported anew inside, so that what they read when they were
    imported is forgotten. Afterwards they are what they were.
    """
    _construct(_poisoned)
    try:
        with forgotten():
            _add(file)
            yield
    finally:
        _construct(DataSet)
        _add(file)


def _poisoned(**given: Any) -> DataSet:
    data, rng = DataSet(**given), np.random.default_rng(0)
    noise = rng.integers(0, 256, data.test.images.shape, dtype=np.uint8)
    labels = rng.integers(0, len(data.classes), len(data.test.labels))
    return replace(data, test=Split(noise, labels, data.test.ids))


def _construct(data_set: Callable[..., DataSet]) -> None:
    """What the module `digits` makes its data set with."""
    vars(digits)["DataSet"] = data_set


def _add(file: Path | None) -> None:
    if file is not None:
        plugins.add(file)
