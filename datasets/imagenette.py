"""Imagenette, ten easy classes of ImageNet, as torchvision downloads and checks it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from datasets.base import DataSet
from datasets.downloads import opened
from datasets.errors import DataError
from datasets.folders import listing, two_folders
from datasets.imagefolder import decoded

COUNTS = {"train": 9469, "test": 3925}
FOLDERS = {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}
SIZE, VERSION = 160, "160px"


def load(root: Path | None, *, size: int, version: str) -> DataSet:
    """Photographs resized to `size` on the shorter side, the middle square cut out; decoded once and cached.

    `version` is which of the published archives they come from. Another size or version than the default one
    stands in the name. Read from `root`, or from the cache folder; downloaded where they are missing. Raises
    DataError where they cannot be downloaded, or are damaged.
    """
    from torchvision.datasets import Imagenette

    read = opened("imagenette", partial(Imagenette, size=version), root)
    folder = Path(read.root) / FOLDERS[version]
    with listing():
        train, test = two_folders(folder, "train", "val")
    for part, classes in (("train", train), ("test", test)):
        count = sum(map(len, classes.values()))
        if count != COUNTS[part]:
            raise DataError(f"{folder} has {count} {part} pictures, not {COUNTS[part]}: remove it and run again")
    changed = f"-size{size}" * (size != SIZE) + f"-{version}" * (version != VERSION)
    data = decoded(f"imagenette{changed}", folder, train, test, size)
    return replace(data, classes=tuple(names[0] for names in read.classes))
