"""Images that calibrate and are no training images: half of the test images, or a folder of pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.data import DataError, load
from benchmarks.data.base import DataSet
from benchmarks.data.calibrating import halved, halves, with_folder
from benchmarks.data.stream import Stream

CLASSES = tuple("0123456789")


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("digits")


def noise(root: Path, names: tuple[str, ...] = CLASSES, count: int = 2, side: int = 8) -> Path:
    """Pictures of noise in a folder of class folders."""
    draws = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for k in range(count):
            pixels = draws.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{k}.png")
    return root


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60))
def test_halves_are_sorted_disjoint_and_cover_and_the_first_has_the_odd_one(labels: list[int]) -> None:
    first, second, _ = halves(np.array(labels, dtype=np.int64), "some")
    for half in (first, second):
        assert np.array_equal(half, np.unique(half))
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert len(first) - len(second) in (0, 1)


@given(st.lists(st.integers(2, 30), min_size=1, max_size=8))
def test_every_class_of_two_images_or_more_is_divided_alike(counts: list[int]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    first, second, alike = halves(labels, "some")
    assert alike
    one, other = (np.bincount(labels[half], minlength=len(counts)) for half in (first, second))
    assert np.all(np.abs(one - other) <= 1)
    assert min(one.min(), other.min()) >= 1


@given(st.permutations([0, 1, 1, 2, 2, 2, 3, 3]))
def test_where_a_class_has_one_image_the_halves_do_not_depend_on_labels(labels: list[int]) -> None:
    first, _, alike = halves(np.array(labels), "some")
    assert not alike
    assert np.array_equal(first, halves(np.array([0, 1, 1, 2, 2, 2, 3, 3]), "some")[0])


def test_half_of_the_test_images_calibrates_and_the_other_half_is_left_to_test_on(digits: DataSet) -> None:
    data, alike = halved(digits)
    assert alike
    assert data.calibration is not None
    assert (len(data.calibration), len(data.test)) == (180, 179)
    assert sorted([*data.calibration.ids, *data.test.ids]) == sorted(digits.test.ids)
    assert data.train is digits.train
    where = {int(name): place for place, name in enumerate(digits.test.ids)}
    for split in (data.calibration, data.test):
        rows = [where[int(name)] for name in split.ids]
        assert np.array_equal(split.images, digits.test.images[rows])
        assert np.array_equal(split.labels, digits.test.labels[rows])


def test_three_test_images_are_too_few_to_halve(digits: DataSet) -> None:
    with pytest.raises(DataError, match=r"3 test images are too few .* give at least 4"):
        halved(replace(digits, test=digits.test.part(np.arange(3))))


def test_difficulties_go_with_their_images() -> None:
    shapes = load("shapes", settings={"train": "40", "test": "20"})
    rows = np.array([3, 1, 7])
    whole = shapes.test.difficulty
    part = shapes.test.part(rows).difficulty
    assert whole is not None
    assert part is not None
    assert np.array_equal(part, whole[rows])


def test_pictures_of_a_folder_calibrate_in_the_order_of_the_classes_at_the_size_of_the_images(
    digits: DataSet, tmp_path: Path
) -> None:
    split = with_folder(digits, noise(tmp_path / "mine", count=3, side=11), {}).calibration
    assert split is not None
    assert split.images.shape == (30, 3, 8, 8)
    assert split.labels.tolist() == np.repeat(np.arange(10), 3).tolist()
    assert split.ids[:3].tolist() == ["mine/0/0.png", "mine/0/1.png", "mine/0/2.png"]


Spoil = Callable[[Path, DataSet], None]


def save(path: Path, image: npt.NDArray[np.uint8]) -> None:
    Image.fromarray(image.transpose(1, 2, 0)).save(path)


def without_nine(folder: Path, data: DataSet) -> None:
    for path in (folder / "9").iterdir():
        path.unlink()
    (folder / "9").rmdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_nine, "lacks the class 9"),
        (lambda folder, data: noise(folder, ("ten",)), "has the class ten"),
        (lambda folder, data: save(folder / "3/t.png", data.test.images[5]), r"1 of its pictures are test images.*3/t"),
        (lambda folder, data: save(folder / "4/t.png", data.train.images[7]), "1 of its pictures are training images"),
        (lambda folder, data: (folder / "5/t.png").write_text("no"), "cannot read the image"),
    ],
)
def test_a_folder_of_other_classes_or_of_images_that_are_known_is_refused(
    spoil: Spoil, message: str, digits: DataSet, tmp_path: Path
) -> None:
    folder = noise(tmp_path / "mine")
    spoil(folder, digits)
    with pytest.raises(DataError, match=message):
        with_folder(digits, folder, {})


def test_no_folder_is_refused(digits: DataSet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        with_folder(digits, tmp_path / "nowhere", {})


def test_streams_are_calibrated_by_streams_and_known_files_are_found(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("test", 4)):
        noise(tmp_path / "pictures" / part, ("ant", "bee"), count, side=10 + count)
    data = load("imagefolder", tmp_path / "pictures", {"stream": "true", "size": "8"})
    mine = noise(tmp_path / "mine", ("ant", "bee"), side=9)
    split = with_folder(data, mine, {}).calibration
    assert split is not None
    assert isinstance(split.images, Stream)
    assert split.take(np.array([0, 3])).shape == (2, 8, 8, 3)
    half, _ = halved(data)
    assert half.calibration is not None
    assert sorted([*half.test.ids, *half.calibration.ids]) == sorted(data.test.ids)
    assert half.test.take(np.arange(len(half.test))).shape == (4, 8, 8, 3)
    (mine / "bee/known.png").write_bytes((tmp_path / "pictures/train/bee/1.png").read_bytes())
    with pytest.raises(DataError, match=r"training images, for example mine/bee/known.png"):
        with_folder(data, mine, {})


def test_deep_pictures_of_a_folder_are_read_with_the_levels_of_the_data_set(tmp_path: Path) -> None:
    root, mine = tmp_path / "pictures", tmp_path / "mine"
    for place, folder in enumerate((root / "train", root / "test", mine)):
        for name in ("ant", "bee"):
            (folder / name).mkdir(parents=True)
            for k in range(4):
                values = np.full((8, 8), 400 * k + 100 * place + 40 * (name == "bee"), dtype=np.uint16)
                values[0, 0] = 4095
                Image.fromarray(values).save(folder / name / f"{k}.png")
    data = load("imagefolder", root, {"white": "4095"})
    split = with_folder(data, mine, {"white": "4095"}).calibration
    assert split is not None
    assert split.take(np.array([0])).max() == 255
    with pytest.raises(DataError, match="say which value is white"):
        with_folder(data, mine, {})
