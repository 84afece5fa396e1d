"""Imagenette, ten easy classes of ImageNet, as torchvision downloads and checks it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.data.about import About
from benchmarks.data.base import DataSet
from benchmarks.data.downloads import opened
from benchmarks.data.errors import DataError
from benchmarks.data.folders import listing, two_folders
from benchmarks.data.pictures import decoded

ABOUT: About = {
    "title": "Imagenette by torchvision: photographs of ten easy classes of ImageNet",
    "classes": 10,
    "size": (160, 160),
    "train": 9469,
    "test": 3925,
    "download": True,
    "licence": "Apache-2.0 (the selection); the photographs as in ImageNet, for non-commercial research",
    "citation": "J. Howard, Imagenette, github.com/fastai/imagenette, 2019",
    "options": (
        {
            "name": "size",
            "type": "int",
            "default": 160,
            "minimum": 8,
            "maximum": 1024,
            "help": "side in pixels that images are resized and cropped to",
        },
        {
            "name": "version",
            "type": "str",
            "default": "160px",
            "choices": ("full", "320px", "160px"),
            "help": "archive to take: full, 320px or 160px, by the shorter side of its images",
        },
    ),
}

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
