"""Which images choices come from: training images set aside, a folder of the user's, or half of the test images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.config import RunConfig
from benchmarks.core.errors import UsageError
from benchmarks.data.base import DataSet, Split
from benchmarks.data.calibrating import folds, halved, halves, with_folder
from benchmarks.data.splits import Indices, Partition, partition

TRAINING, FOLDER, TEST = "training images", "a folder", "half of the test images"
"""Where calibration images come from, in the words of run.json."""


def divided(data: DataSet, config: RunConfig, elsewhere: Sequence[str]) -> tuple[DataSet, Partition]:
    """The data set and its parts, as a run needs them.

    `elsewhere`: the methods of which a part was trained elsewhere, on which images nobody knows. Then the training
    images choose nothing: half of the test images do, and figures come from the other half. A folder that the user
    names goes before. UsageError or DataError, one line, where the images do not suffice.
    """
    if config.calibration is not None:
        data = with_folder(data, config.calibration, config.group(config.dataset))
    elif elsewhere:
        data = _of_the_test_images(data, elsewhere, parts_of(config.cross_fit))
    if data.calibration is None:
        return data, partition(data.train.labels, names=data.classes, size=config.calibration_images)
    if config.calibration_images is not None:
        reason = f"the folder {config.calibration}" if config.calibration else f"what {elsewhere[0]} was trained on"
        raise UsageError(f"--calibration-images: because of {reason} no training image calibrates: leave it out")
    return data, _beside(data, data.calibration)


def source(data: DataSet, config: RunConfig) -> str:
    """Where the calibration images of a divided data set come from."""
    if data.calibration is None:
        return TRAINING
    return FOLDER if config.calibration is not None else TEST


def parts_of(cross_fit: int | None) -> int:
    """In how many parts test images are divided, the first of which calibrates: two, or one beside every fold."""
    return (cross_fit or 1) + 1


def _of_the_test_images(data: DataSet, elsewhere: Sequence[str], parts: int) -> DataSet:
    whole = len(data.test)
    data, alike = halved(data, parts)
    part = "half" if parts == 2 else f"one in {parts}"
    how = f"{part} of every class" if alike else "drawn whatever the classes are, since one has a single image"
    note = (
        f"a part of {', '.join(elsewhere)} was trained elsewhere, so no training image may choose points: {part} of "
        f"the {whole:,} test images calibrates ({how}), and figures come from the other {len(data.test):,}; "
        "--calibration names a folder to calibrate on"
    )
    return replace(data, warnings=(*data.warnings, note))


def in_folds(data: DataSet, cross_fit: int | None) -> tuple[DataSet, Indices | None]:
    """The fold of every test image, int64 [n], and a note of it in the data set; None without cross-fitting."""
    if cross_fit is None:
        return data, None
    note = (
        f"points are cross-fitted: of each of {cross_fit} folds of the {len(data.test):,} test images the figures come "
        "from routers that were learned on the other folds, pooled; a model is stored with routers learned on all folds"
    )
    return replace(data, warnings=(*data.warnings, note)), folds(data.test.labels, cross_fit)


def _beside(data: DataSet, calibration: Split) -> Partition:
    """All training images train; the others are halved into *fit* and *select*."""
    if len(calibration) < 2:
        raise UsageError("one calibration image is too few: give at least two")
    fit, select, _ = halves(calibration.labels, "fit/beside")
    return Partition(np.arange(len(data.train)), fit, select, None)
