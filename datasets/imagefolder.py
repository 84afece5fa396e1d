"""`imagefolder`: anybody's pictures, one folder a class, decoded once and cached, or decoded as a stream."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data.about import About
from benchmarks.data.base import DataSet
from benchmarks.data.decoding import Levels, decode
from benchmarks.data.errors import DataError
from benchmarks.data.folders import Classes, checked, held_out, listing, named_folders, two_folders
from benchmarks.data.pictures import decoded, streamed

ABOUT: About = {
    "title": "Your own pictures: train and test (or val) folders of class folders, or one folder of class folders",
    "download": False,
    "licence": "That of the pictures",
    "citation": "That of the pictures",
    "options": (
        {
            "name": "size",
            "type": "int",
            "minimum": 8,
            "maximum": 1024,
            "help": "side in pixels that images are resized and cropped to; needed where they differ in size",
        },
        {
            "name": "name",
            "type": "str",
            "default": "imagefolder",
            "pattern": "[A-Za-z0-9][A-Za-z0-9._-]*",
            "help": "name of the data set in results",
        },
        {
            "name": "holdout",
            "type": "float",
            "default": 0.2,
            "minimum": 0.01,
            "maximum": 0.9,
            "help": "share of each class that is the test split, where there is no test folder",
        },
        {
            "name": "white",
            "type": "float",
            "help": (
                "value that is white, of pictures with more than 8 bits or of real numbers: 4095 of twelve bits, "
                "65535, 1.0"
            ),
        },
        {"name": "black", "type": "float", "default": 0.0, "help": "value of such pictures that is black"},
        {
            "name": "stream",
            "type": "bool",
            "default": False,
            "help": (
                "true: decode pictures when they are needed, so that they need not fit in memory; training crops "
                "are then random-resized ones"
            ),
        },
    ),
}


def load(
    root: Path | None, *, size: int | None, name: str, holdout: float, stream: bool, black: float, white: float | None
) -> DataSet:
    """Read `root`/train and `root`/test (or val), or split the one folder of classes that `root` is.

    With `stream` pictures are never all in memory: see `streamed`. Raises DataError where the folders, the
    classes or an image are not as they have to be.
    """
    folder, levels = checked("imagefolder", root), Levels(black, white)
    if white is not None and white <= black:
        raise DataError(f"imagefolder: white is {white:g}, which has to be above black, {black:g}")
    with listing():
        train, test = _splits(folder, holdout)
    if not stream:
        return decoded(name, folder, train, test, size, levels)
    if size is None:
        raise DataError(
            "imagefolder: stream=true needs the side of the images: pass --set imagefolder.size=224, or another"
        )
    for files in train.values():  # one of each class, before anything is trained
        decode(folder / files[0].path, size, levels)
    return streamed(name, folder, train, test, size, size, levels)


def _splits(root: Path, holdout: float) -> tuple[Classes, Classes]:
    """Training and test files by class, the same classes in the same order."""
    if not ((root / "train").is_dir() and named_folders(root / "train")):
        return held_out(root, holdout)
    present = [part for part in ("test", "val") if (root / part).is_dir()]
    if not present:
        raise DataError(f"{root} has a train folder but neither test nor val: add one")
    # a test folder without classes holds pictures whose labels are secret
    test = next((part for part in present if named_folders(root / part)), present[0])
    return two_folders(root, "train", test)
