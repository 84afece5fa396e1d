"""Tiny files in the format of the real ones."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets as torchvision_datasets

from benchmarks.data import DataError, load

READERS: dict[str, Any] = {"cifar10": torchvision_datasets.CIFAR10, "cifar100": torchvision_datasets.CIFAR100}
LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}
CLASSES = {"cifar10": ["cat", "dog"], "cifar100": ["apple", "bed"]}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network is\nunreachable")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)


def batch(name: str, count: int, offset: int) -> bytes:
    pixels = np.arange(count * 3072).reshape(count, 3072) + offset
    return pickle.dumps({"data": (pixels % 251).astype(np.uint8), LABELS[name]: [1, 0] * (count // 2)})


def write(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write every file that the reader expects, and make their checksums the expected ones."""
    reader = READERS[name]
    folder = root / reader.base_folder
    folder.mkdir(parents=True)

    def stored(file: str, content: bytes) -> list[str]:
        (folder / file).write_bytes(content)
        return [file, hashlib.md5(content).hexdigest()]

    for part, count in (("train_list", 4), ("test_list", 2)):
        lists = [stored(file, batch(name, count, 7 * k)) for k, (file, _) in enumerate(getattr(reader, part))]
        monkeypatch.setattr(reader, part, lists)
    meta = dict(reader.meta)
    meta["md5"] = stored(meta["filename"], pickle.dumps({meta["key"]: CLASSES[name]}))[1]
    monkeypatch.setattr(reader, "meta", meta)
    return folder


@pytest.mark.parametrize(("name", "train"), [("cifar10", 5 * 4), ("cifar100", 4)])
def test_files_are_read_in_their_order(name: str, train: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, name, monkeypatch)
    data = load(name, tmp_path)
    assert (data.name, data.classes, data.flip, data.crop) == (name, tuple(CLASSES[name]), True, 4)
    assert (len(data.train), len(data.test)) == (train, 2)
    assert data.train.labels.tolist() == [1, 0] * (train // 2)
    # the files hold red, green and blue planes one after the other
    assert data.test.images[0, 1, 0].tolist() == [(1024 + x) % 251 for x in range(32)]
    assert data.train.ids.tolist() == list(range(train))


def test_missing_files_and_no_network_are_one_line_and_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10 is not complete in .*could not be downloaded.*unreachable") as caught:
        load("cifar10", tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_file_whose_checksum_differs_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "sprung",)

    folder = write(tmp_path, "cifar10", monkeypatch)
    for file in ("data_batch_2", "test_batch", "batches.meta"):
        whole = (folder / file).read_bytes()
        (folder / file).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(DataError, match="not complete"):
            load("cifar10", tmp_path)
        (folder / file).write_bytes(whole)
    assert not (tmp_path / "sprung").exists()
    load("cifar10", tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        load("cifar10", tmp_path / "file")


def test_without_a_root_files_are_looked_for_in_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cache / "downloads", "cifar100", monkeypatch)
    assert len(load("cifar100").test) == 2
