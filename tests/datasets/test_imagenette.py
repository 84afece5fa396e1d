"""Tiny archives in the layout of the real ones."""

import hashlib
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Imagenette

from benchmarks.data import DataError, load
from benchmarks.data.registry import module

FOLDERS = module("imagenette").FOLDERS
WNIDS = tuple(Imagenette._WNID_TO_CLASS)


def write(root: Path, folder: str = "imagenette2-160") -> Path:
    for part, number in (("train", 2), ("val", 1)):
        for label, wnid in enumerate(WNIDS):
            place = root / folder / part / wnid
            place.mkdir(parents=True)
            for k in range(number):
                Image.new("RGB", (20 + k, 16), (25 * label, 0, 0)).save(place / f"{wnid}_{k}.JPEG")
    return root / folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network is\nunreachable")

    monkeypatch.setattr("torchvision.datasets.imagenette.download_and_extract_archive", refuse)
    monkeypatch.setattr(module("imagenette"), "COUNTS", {"train": 20, "test": 10})


def read(root: Path, **settings: str):
    return load("imagenette", root, {"size": "16", **settings})


def test_val_is_the_test_split_and_classes_have_their_first_names(tmp_path: Path) -> None:
    write(tmp_path)
    data = read(tmp_path)
    assert data.name == "imagenette-size16"
    assert data.classes[:3] == ("tench", "English springer", "cassette player")
    assert (data.train.images.shape, data.test.images.shape) == ((20, 3, 16, 16), (10, 3, 16, 16))
    assert data.train.labels.tolist() == np.repeat(np.arange(10), 2).tolist()
    assert data.test.take(np.array([4]))[0, 8, 8, 0] == pytest.approx(100, abs=3)
    assert data.flip
    assert data.crop == 4


def test_pictures_are_160_pixels_wide_unless_another_size_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path)
    data = load("imagenette", tmp_path)
    assert data.name == "imagenette"
    assert data.train.images.shape == (20, 3, 160, 160)
    assert data.crop == 20


def test_a_second_reading_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    first = read(tmp_path)
    monkeypatch.setattr(Image, "open", None)
    assert read(tmp_path).train.fingerprint == first.train.fingerprint


@pytest.mark.parametrize("version", FOLDERS)
def test_every_version_lies_in_the_folder_that_its_archive_holds(version: str, tmp_path: Path) -> None:
    assert Path(Imagenette._ARCHIVES[version][0]).stem == FOLDERS[version]
    write(tmp_path, FOLDERS[version])
    data = read(tmp_path, version=version)
    assert data.name == "imagenette-size16" + f"-{version}" * (version != "160px")


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="imagenette: version is one of full, 320px, 160px, not '240px'"):
        read(tmp_path, version="240px")


def test_no_files_and_no_network_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"imagenette is not complete in .*not be downloaded.*unreachable") as caught:
        read(tmp_path / "new")
    assert "\n" not in str(caught.value)


def test_an_archive_that_was_not_wholly_unpacked_is_noticed(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "train" / WNIDS[0] / f"{WNIDS[0]}_1.JPEG").unlink()
    with pytest.raises(DataError, match="imagenette2-160 has 19 train pictures, not 20: remove it and run again"):
        read(tmp_path)
    shutil.rmtree(folder / "val" / WNIDS[3])
    with pytest.raises(DataError, match=f"val lacks the class {WNIDS[3]}"):
        read(tmp_path)
    shutil.rmtree(folder / "train")
    with pytest.raises(DataError, match="imagenette is not complete"):
        read(tmp_path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    path = write(tmp_path) / "val" / WNIDS[5] / f"{WNIDS[5]}_0.JPEG"
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=rf"cannot read the image .*{WNIDS[5]}_0\.JPEG"):
        read(tmp_path)


def test_an_archive_is_checked_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the archive already there, torchvision's own code checks and unpacks it."""
    from torchvision.datasets.utils import download_and_extract_archive

    monkeypatch.setattr("torchvision.datasets.imagenette.download_and_extract_archive", download_and_extract_archive)
    folder, root = write(tmp_path / "made"), tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "imagenette2-160.tgz", "w:gz") as archive:
        archive.add(folder, folder.name)
    url = Imagenette._ARCHIVES["160px"][0]
    digest = hashlib.md5((root / "imagenette2-160.tgz").read_bytes()).hexdigest()
    monkeypatch.setitem(Imagenette._ARCHIVES, "160px", (url, digest))
    assert len(read(root).train) == 20
