"""Tiny files in the format of the real ones."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from torchvision.datasets import SVHN

from benchmarks.data import DataError, load

COUNTS = {"train": 5, "test": 3}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network is\nunreachable")

    monkeypatch.setattr("torchvision.datasets.svhn.download_url", refuse)


def pixels(part: str) -> np.ndarray:
    """As in the files: [height, width, channel, image]."""
    return np.random.default_rng(COUNTS[part]).integers(0, 256, (32, 32, 3, COUNTS[part]), dtype=np.uint8)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lists = dict(SVHN.split_list)
    for part, count in COUNTS.items():
        url, name, _ = lists[part]
        labels = np.array([10, 1, 2, 9, 10][:count], dtype=np.uint8)[:, None]
        scipy.io.savemat(tmp_path / name, {"X": pixels(part), "y": labels}, do_compression=True)
        lists[part] = [url, name, hashlib.md5((tmp_path / name).read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", lists)
    return tmp_path


def test_images_and_labels_are_read_and_ten_is_the_digit_nought(root: Path) -> None:
    data = load("svhn", root)
    assert (data.name, data.classes, data.flip, data.crop) == ("svhn", tuple("0123456789"), False, 4)
    assert data.train.labels.tolist() == [0, 1, 2, 9, 0]
    assert np.array_equal(data.test.take(np.arange(3)), pixels("test").transpose(3, 0, 1, 2))
    assert data.train.images.flags.c_contiguous
    assert data.train.ids.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("file", ["train_32x32.mat", "test_32x32.mat"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_file_that_is_missing_or_damaged_is_one_line(root: Path, file: str, damage: str) -> None:
    if damage == "gone":
        (root / file).unlink()
    else:
        (root / file).write_bytes((root / file).read_bytes()[:-1])
    with pytest.raises(DataError, match=r"svhn is not complete in .*could not be downloaded.*unreachable") as caught:
        load("svhn", root)
    assert "\n" not in str(caught.value)


def test_missing_files_are_downloaded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (root / "test_32x32.mat").read_bytes()
    (root / "test_32x32.mat").unlink()
    monkeypatch.setattr(
        "torchvision.datasets.svhn.download_url", lambda url, place, name, md5: (Path(place) / name).write_bytes(whole)
    )
    assert len(load("svhn", root).test) == 3
