"""`imagenet` in the folders that torchvision makes of it, decoded as a stream.

Only pictures are read: neither the archives nor `meta.bin` have to be there.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.data.about import About
from benchmarks.data.base import DataSet
from benchmarks.data.errors import DataError
from benchmarks.data.folders import checked, listing, two_folders
from benchmarks.data.pictures import streamed

ABOUT: About = {
    "title": "ImageNet (ILSVRC 2012) from train and val folders of class folders, decoded as a stream",
    "classes": 1000,
    "size": (224, 224),
    "train": 1_281_167,
    "test": 50_000,
    "download": False,
    "licence": "For non-commercial research and education, by the terms of image-net.org",
    "citation": (
        "O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, International Journal of "
        "Computer Vision 115, 2015"
    ),
    "options": (
        {
            "name": "size",
            "type": "int",
            "default": 224,
            "minimum": 8,
            "maximum": 1024,
            "help": "side in pixels of the images that networks see",
        },
    ),
}

CLASSES, SIZE = 1000, 224
_SHORTER = 256  # for SIZE; another size is cut out of as much larger a picture


def load(root: Path | None, *, size: int) -> DataSet:
    """`root`/train/<wnid> and `root`/val/<wnid>, val being the test split; classes are the sorted wnids.

    Test and calibration images: the shorter side resized to 256/224 of `size`, the middle cut out; training
    images: random-resized crops. Another size, or part of the classes, stands in the name. Raises DataError
    where the folders are not as they have to be.
    """
    folder = checked("imagenet", root)
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            raise DataError(f"{folder} has no folder {part}: imagenet is train/<wnid>/*.JPEG and val/<wnid>/*.JPEG")
    with listing():
        train, val = two_folders(folder, "train", "val")
    name = "imagenet" + f"-{len(train)}classes" * (len(train) != CLASSES) + f"-size{size}" * (size != SIZE)
    return streamed(name, folder, train, val, size, shorter=round(size * _SHORTER / SIZE))
