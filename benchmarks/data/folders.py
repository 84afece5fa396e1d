"""Which picture files there are, one folder a class, and what is wrong with the folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data.arrays import Labels
from benchmarks.data.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})


@dataclass(frozen=True, slots=True)
class File:
    """An image file: its path below the root, in forward slashes, its bytes and its time."""

    path: str
    size: int
    mtime_ns: int


Classes = Mapping[str, Sequence[File]]


def flat(classes: Classes) -> list[File]:
    """All files, class after class."""
    return [file for files in classes.values() for file in files]


def labels(classes: Classes) -> Labels:
    """The number of the class of each file of `flat`, int64 [n]."""
    counts = [len(files) for files in classes.values()]
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def doubts(train: Classes) -> Iterator[str]:
    """What looks wrong with the training folders, one line each, and may be right."""
    nested = [name for name, files in train.items() if all(_is_below(file, name) for file in files)]
    if nested:
        yield (
            f"the class {_few(nested)} holds no pictures itself, only folders of them: "
            "is --data-root one level too high?"
        )
    total, largest = sum(map(len, train.values())), max(train, key=lambda name: len(train[name]))
    share = len(train[largest]) / total
    if share > max(0.5, 1.5 / len(train)):
        yield f"the class {largest} has {share:.0%} of the training images: always guessing it is right as often"


def _is_below(file: File, name: str) -> bool:
    """Whether a file lies in a folder of its class folder."""
    folders = file.path.split("/")[:-1]
    return folders[folders[0] != name :] != [name]  # behind `train`, where there is one


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" (and {len(names) - 3} more)" if len(names) > 3 else "")


@contextmanager
def listing() -> Iterator[None]:
    """Folders that cannot be read become a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot list {error.filename} ({error.strerror}): make it readable") from error


def checked(name: str, root: Path | None) -> Path:
    """The folder given for data set `name`; DataError where it is none."""
    if root is None:
        raise DataError(f"{name} needs the folder of the pictures: pass --data-root FOLDER")
    if not root.exists():
        raise DataError(f"there is no folder {root}: pass --data-root the folder of the pictures")
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: pass --data-root the folder of the pictures")
    return root


def named_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return sorted(_text(entry) for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _text(entry: os.DirEntry[str]) -> str:
    """The name of a folder or file; DataError where it is no UTF-8, as records could not hold it."""
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"the name {os.fsencode(entry.path)!r} is not UTF-8: rename it") from None
    return entry.name


def two_folders(root: Path, train: str, test: str) -> tuple[Classes, Classes]:
    """Training and test files by class, from two folders below `root` that have the same classes."""
    training, testing = (classes_of(root, root / part) for part in (train, test))
    for here, there, part in ((training, testing, test), (testing, training, train)):
        missing = [name for name in here if name not in there]
        if missing:
            names = ", ".join(missing[:5])
            raise DataError(f"{root / part} lacks the class {names}: train and test need the same classes")
    return training, testing


def held_out(root: Path, holdout: float) -> tuple[Classes, Classes]:
    """Hold a share of each class of `root` out by a hash of the relative path: the same images on every machine."""
    train: dict[str, list[File]] = {}
    test: dict[str, list[File]] = {}
    for name, files in classes_of(root, root).items():
        if len(files) < 2:
            raise DataError(f"the class {name} in {root} has one image: add one, to train and to test on")
        count = min(max(round(len(files) * holdout), 1), len(files) - 1)
        chosen = set(sorted(files, key=_lot)[:count])
        test[name] = [file for file in files if file in chosen]
        train[name] = [file for file in files if file not in chosen]
    return train, test


def _lot(file: File) -> bytes:
    return hashlib.sha256(os.fsencode(file.path)).digest()


def classes_of(root: Path, folder: Path) -> Classes:
    """The files of each class folder in `folder`, which is `root` or below it; both sorted by name."""
    prefix = "" if folder == root else f"{folder.name}/"
    classes = {
        name: sorted(_files(folder / name, f"{prefix}{name}"), key=lambda file: file.path)
        for name in named_folders(folder)
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
            path = f"{prefix}/{_text(entry)}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file():
                stat = entry.stat()
                yield File(path, stat.st_size, stat.st_mtime_ns)
