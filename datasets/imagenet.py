"""`imagenet` in the folders that torchvision makes of it, decoded as a stream.

Only pictures are read: neither the archives nor `meta.bin` have to be there.
"""

from __future__ import annotations

from pathlib import Path

from datasets.base import DataSet
from datasets.errors import DataError
from datasets.folders import checked, listing, two_folders
from datasets.streaming import streamed

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
