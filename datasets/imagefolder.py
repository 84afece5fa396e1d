"""`imagefolder`: anybody's pictures, one folder a class, decoded once and cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.base import DataSet, Images, Split
from datasets.cache import Arrays, cached
from datasets.decoding import decode, decode_all
from datasets.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
_SMALL = 64  # up to this side images are cropped as CIFAR's are
_FORMAT = 1  # of the cached arrays


@dataclass(frozen=True)
class File:
    """An image file: its path below the root, in forward slashes, its bytes and its time."""

    path: str
    size: int
    mtime_ns: int


Classes = Mapping[str, Sequence[File]]


def load(root: Path | None, *, size: int | None, name: str, holdout: float) -> DataSet:
    """Read `root`/train and `root`/test (or val), or split the one folder of classes that `root` is.

    Raises DataError where the folders, the classes or an image are not as they have to be.
    """
    try:
        folder = _checked(root)
        train, test = _splits(folder, holdout)
    except OSError as error:
        raise DataError(f"cannot list {error.filename} ({error.strerror}): make it readable") from error
    files = {"train": _flat(train), "test": _flat(test)}

    def read() -> Arrays:
        paths = {part: [folder / file.path for file in listed] for part, listed in files.items()}
        _, height, width = decode(paths["train"][0], size).shape
        return {part: decode_all(listed, size, height, width) for part, listed in paths.items()}

    def whole(arrays: Arrays) -> bool:
        return {part: len(images) for part, images in arrays.items()} == {p: len(f) for p, f in files.items()}

    arrays = cached(f"imagefolder-{_key(files, size)}", read, whole)
    side = min(arrays["train"].shape[2:])
    return DataSet(
        name=name,
        classes=tuple(train),
        train=_split(arrays["train"], train),
        test=_split(arrays["test"], test),
        flip=True,
        crop=4 if side <= _SMALL else side // 8,
    )


def _checked(root: Path | None) -> Path:
    if root is None:
        raise DataError("imagefolder needs the folder of the pictures: pass --data-root FOLDER")
    if not root.exists():
        raise DataError(f"there is no folder {root}: pass --data-root the folder of the pictures")
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: pass --data-root the folder of the pictures")
    return root


def _splits(root: Path, holdout: float) -> tuple[Classes, Classes]:
    """Training and test files by class, the same classes in the same order."""
    train = root / "train"
    if not (train.is_dir() and _folders(train)):
        return _held_out(root, _classes(root, root), holdout)
    present = [root / part for part in ("test", "val") if (root / part).is_dir()]
    if not present:
        raise DataError(f"{root} has a train folder but neither test nor val: add one")
    # a test folder without classes holds pictures whose labels are secret
    test = next((folder for folder in present if _folders(folder)), present[0])
    return _same_classes(train, _classes(root, train), test, _classes(root, test))


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _classes(root: Path, folder: Path) -> Classes:
    prefix = "" if folder == root else f"{folder.name}/"
    classes = {
        name: sorted(_files(folder / name, f"{prefix}{name}"), key=lambda file: file.path) for name in _folders(folder)
    }
    if not classes:
        raise DataError(f"{folder} has no classes: put the pictures of each class in a folder of their own")
    empty = next((name for name, files in classes.items() if not files), None)
    if empty is not None:
        raise DataError(f"the class {empty} is without images: add some to {folder / empty} or remove it")
    if len(classes) == 1:
        raise DataError(f"{folder} has only one class, {next(iter(classes))}: at least two are needed")
    return classes


def _files(folder: Path | str, prefix: str) -> Iterator[File]:
    """The image files below a class folder, however deep; hidden ones are left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{prefix}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file():
                stat = entry.stat()
                yield File(path, stat.st_size, stat.st_mtime_ns)


def _same_classes(train: Path, training: Classes, test: Path, testing: Classes) -> tuple[Classes, Classes]:
    for here, there, place in ((training, testing, test), (testing, training, train)):
        missing = [name for name in here if name not in there]
        if missing:
            names = ", ".join(missing[:5])
            raise DataError(f"{place} lacks the class {names}: train and test need the same classes")
    return training, testing


def _held_out(root: Path, classes: Classes, holdout: float) -> tuple[Classes, Classes]:
    """Hold a share of each class out by a hash of the relative path: the same images on every machine."""
    train: dict[str, list[File]] = {}
    test: dict[str, list[File]] = {}
    for name, files in classes.items():
        if len(files) < 2:
            raise DataError(f"the class {name} in {root} has one image: add one, to train and to test on")
        count = min(max(round(len(files) * holdout), 1), len(files) - 1)
        chosen = set(sorted(files, key=_lot)[:count])
        test[name] = [file for file in files if file in chosen]
        train[name] = [file for file in files if file not in chosen]
    return train, test


def _lot(file: File) -> bytes:
    return hashlib.sha256(os.fsencode(file.path)).digest()


def _flat(classes: Classes) -> list[File]:
    return [file for files in classes.values() for file in files]


def _key(files: Mapping[str, Sequence[File]], size: int | None) -> str:
    """A hash of all that the decoded arrays depend on."""
    digest = hashlib.sha256(repr((_FORMAT, size)).encode())
    for part, listed in files.items():
        for file in listed:
            digest.update(os.fsencode(f"{part}\0{file.path}\0{file.size}\0{file.mtime_ns}\n"))
    return digest.hexdigest()[:32]


def _split(images: Images, classes: Classes) -> Split:
    counts = [len(files) for files in classes.values()]
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return Split(images, labels, np.array([file.path for file in _flat(classes)]))
