"""Tiny files in the format of the real ones."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.data import DataError, load

COUNTS = {"train": 4, "t10k": 3}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the network is\nunreachable")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)


def pixels(part: str) -> np.ndarray:
    return np.random.default_rng(COUNTS[part]).integers(0, 256, (COUNTS[part], 28, 28), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """The format of the files: a type (8: bytes), the number of dimensions, the dimensions, the bytes."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">i4").tobytes() + array.tobytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in COUNTS.items():
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels(part)))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.array([9, 0, 4, 7][:count], dtype=np.uint8)))
    return tmp_path / "data"


def test_grey_levels_are_repeated_to_three_channels(root: Path) -> None:
    data = load("fashion-mnist", root)
    assert (data.name, data.flip, data.crop) == ("fashion-mnist", True, 2)
    assert data.classes[9] == "Ankle boot"
    assert data.train.images.shape == (4, 3, 28, 28)
    for channel in range(3):
        assert np.array_equal(data.test.images[:, channel], pixels("t10k"))
    assert data.train.labels.tolist() == [9, 0, 4, 7]


def test_missing_files_and_no_network_are_one_line_and_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fashion-mnist is not complete in .*not be downloaded.*unreachable") as caught:
        load("fashion-mnist", tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("keep", [0, 2, 7, 9, -1])
def test_a_damaged_file_is_one_line(root: Path, file: str, keep: int) -> None:
    path = root / "FashionMNIST" / "raw" / file
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"fashion-mnist is not complete in") as caught:
        load("fashion-mnist", root)
    assert "\n" not in str(caught.value)


def test_what_an_old_version_pickled_is_not_read(root: Path) -> None:
    folder = root / "FashionMNIST" / "processed"
    folder.mkdir()
    for name in ("training.pt", "test.pt"):
        (folder / name).write_bytes(b"pickled")
    assert len(load("fashion-mnist", root).test) == 3
