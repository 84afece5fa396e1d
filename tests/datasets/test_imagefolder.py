import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.data import DataError, load
from benchmarks.data.base import DataSet

CLASSES = ("ant", "bee")


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def one_folder(root: Path, count: int = 5) -> Path:
    for label, name in enumerate(CLASSES):
        for k in range(count):
            picture(root / name / f"{k}.png", 100 * label + k)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """train and test folders of two classes."""
    for part, count in (("train", 3), ("test", 2)):
        one_folder(tmp_path / "pictures" / part, count)
    return tmp_path / "pictures"


def read(root: Path, **settings: str) -> DataSet:
    return load("imagefolder", root, settings)


def refused(root: Path | None, message: str, **settings: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load("imagefolder", root, settings)
    assert "\n" not in str(caught.value)


def test_train_and_test_folders_are_the_splits(root: Path) -> None:
    data = read(root, name="insects")
    assert (data.name, data.classes, data.flip, data.crop) == ("insects", CLASSES, True, 4)
    assert data.train.images.shape == (6, 3, 10, 12)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.ids.tolist() == ["test/ant/0.png", "test/ant/1.png", "test/bee/0.png", "test/bee/1.png"]


def test_pixels_come_through_in_order(root: Path) -> None:
    pixels = np.random.default_rng(101).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    assert np.array_equal(read(root).train.images[4], pixels.transpose(2, 0, 1))


def test_a_val_folder_is_the_test_split(root: Path) -> None:
    (root / "test").rename(root / "val")
    assert read(root).test.ids[0] == "val/ant/0.png"


def test_a_test_folder_without_classes_gives_way_to_val(root: Path) -> None:
    (root / "test").rename(root / "val")
    picture(root / "test" / "secret.png")
    assert read(root).test.ids[0] == "val/ant/0.png"


def test_one_folder_is_split_by_class_the_same_way_every_time(tmp_path: Path) -> None:
    first = read(one_folder(tmp_path / "one"), holdout="0.4")
    second = read(one_folder(tmp_path / "another" / "place"), holdout="0.4")
    assert first.test.ids.tolist() == second.test.ids.tolist()
    assert np.bincount(first.test.labels).tolist() == [2, 2]
    assert np.bincount(first.train.labels).tolist() == [3, 3]
    assert not set(first.train.ids) & set(first.test.ids)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "tram"):
        for k in range(2):
            picture(tmp_path / "c" / name / f"{k}.png", k)
    assert read(tmp_path / "c").classes == ("train", "tram")


def test_images_in_folders_below_a_class_belong_to_it(root: Path) -> None:
    picture(root / "train" / "bee" / "close" / "9.png")
    assert read(root).train.ids[-1] == "train/bee/close/9.png"


def test_hidden_files_and_other_files_are_ignored(root: Path) -> None:
    (root / "train" / "ant" / ".hidden.png").write_bytes(b"no image")
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    (root / "train" / ".git").mkdir()
    assert len(read(root).train) == 6


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("1", "png"), ("P", "gif"), ("RGBA", "png"), ("LA", "png"), ("CMYK", "jpg")],
)
def test_every_colour_mode_becomes_rgb(root: Path, mode: str, suffix: str) -> None:
    picture(root / "train" / "bee" / f"x.{suffix}", 5, mode=mode)
    assert read(root).train.images.shape == (7, 3, 10, 12)


def deep(root: Path, values: np.ndarray, name: str = "16.tif") -> Path:
    """A picture of values that do not fit into 8 bits, among those of the first class."""
    Image.fromarray(values).save(root / "train" / "ant" / name)
    return root


RAMP = np.arange(120).reshape(10, 12)


@pytest.mark.parametrize(
    ("values", "asked", "settings"),
    [
        ((RAMP * 34).astype(np.uint16), "white=4095", {"white": "4095"}),  # twelve bits in sixteen
        ((RAMP * 550).astype(np.uint16), "white=65535", {"white": "65535"}),
        ((RAMP * 300000).astype(np.int32), "white=67108863", {"white": "67108863"}),
        ((RAMP / 119).astype(np.float32), "white=1", {"white": "1"}),
        ((RAMP * 30 - 1024).astype(np.int32), "white=4095 .*black=-1024", {"white": "4095", "black": "-1024"}),
    ],
    ids=["12 bits", "16 bits", "32 bits", "shares", "signed"],
)
def test_deep_pictures_are_scaled_by_the_white_that_is_given_and_refused_without(
    root: Path, values: np.ndarray, asked: str, settings: dict[str, str]
) -> None:
    deep(root, values)
    refused(root, rf"ant/16.tif holds values from .* in more than 8 bits.*--set imagefolder.{asked}")
    black, white = float(settings.get("black", 0)), float(settings["white"])
    grey = read(root, **settings).train.images[2, 0]  # names are sorted as texts: 0, 1, 16, 2
    assert np.array_equal(grey, np.rint((values - black) * (255 / (white - black))))
    assert len(np.unique(grey)) > 10


def test_values_beyond_white_and_pictures_that_become_flat_are_refused(root: Path) -> None:
    deep(root, (RAMP * 34).astype(np.uint16))
    refused(root, "beyond black=0 and white=255: .*white=4095", white="255")
    refused(root, "becomes one flat grey.*white=4095", white="16777215")
    refused(root, "white is 0, which has to be above black, 0", white="0")
    refused(deep(root, np.full((10, 12), np.nan, np.float32), "nan.tif"), "values that are no numbers", white="4095")


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_deep_picture_is_refused_or_scaled_however_pictures_are_read(root: Path, stream: str) -> None:
    shutil.rmtree(root / "train" / "ant")
    (root / "train" / "ant").mkdir()
    deep(root, (RAMP * 34).astype(np.uint16))
    refused(root, "more than 8 bits", size="8", stream=stream)
    data = read(root, size="8", stream=stream, white="4095")
    assert data.train.take(np.array([0])).max() > 200


def test_pictures_are_turned_as_their_exif_orientation_says(root: Path) -> None:
    pixels = np.zeros((12, 10, 3), dtype=np.uint8)
    pixels[:6] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is on the right
    Image.fromarray(pixels).save(root / "train" / "ant" / "turned.png", exif=exif)
    turned = read(root).train.images[-4]
    assert turned.shape == (3, 10, 12)
    assert (turned[0, :, 6:] == 200).all()
    assert (turned[0, :, :6] == 0).all()


def test_a_name_that_is_no_utf8_is_refused_before_anything_is_read(root: Path) -> None:
    strange = os.fsencode(root / "train" / "ant") + b"/caf\xe9.png"
    with open(strange, "wb") as file:  # a path of bytes
        file.write((root / "train" / "ant" / "0.png").read_bytes())
    refused(root, r"the name .*caf.xe9.png' is not UTF-8: rename it")
    os.unlink(strange)
    os.mkdir(os.fsencode(root / "train") + b"/caf\xe9")
    refused(root, "is not UTF-8")


def test_a_folder_level_too_high_and_a_class_of_most_images_are_warned_of(root: Path) -> None:
    assert read(root).warnings == ()
    (root / "train" / "ant" / "close").mkdir()
    for file in (root / "train" / "ant").glob("*.png"):
        file.rename(file.parent / "close" / file.name)
    for k in range(9, 18):
        picture(root / "train" / "bee" / f"{k}.png", k)
    nested, most = read(root).warnings
    assert nested == (
        "the class ant holds no pictures itself, only folders of them: is --data-root one level too high?"
    )
    assert most == "the class bee has 80% of the training images: always guessing it is right as often"


def test_size_resizes_the_shorter_side_and_cuts_the_middle_out(root: Path) -> None:
    shutil.rmtree(root / "train" / "ant")
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 20:40] = 255
    (root / "train" / "ant").mkdir()
    Image.fromarray(wide).save(root / "train" / "ant" / "wide.png")
    data = read(root, size="10")
    assert data.train.images.shape == (4, 3, 10, 10)
    # the white middle third is the square that is cut out; its edges mix with the black beside it
    assert data.train.images[0, :, :, 1:-1].min() == 255
    assert data.train.images[0, 0, 5, 0] < 255


@pytest.mark.parametrize(("side", "crop"), [(8, 4), (64, 4), (72, 9)])
def test_the_crop_grows_with_the_image(root: Path, side: int, crop: int) -> None:
    assert read(root, size=str(side)).crop == crop


def test_a_second_reading_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(root)
    monkeypatch.setattr(Image, "open", None)
    second = read(root, name="other")
    assert second.train.fingerprint == first.train.fingerprint
    assert second.name == "other"


@pytest.mark.parametrize("change", ["touched", "added", "size"])
def test_a_changed_folder_or_size_is_decoded_anew(root: Path, change: str, cache: Path) -> None:
    read(root)
    if change == "touched":
        os.utime(root / "train" / "ant" / "0.png", ns=(time.time_ns(), time.time_ns() + 10**9))
    if change == "added":
        picture(root / "train" / "ant" / "7.png")
    data = read(root, **({"size": "8"} if change == "size" else {}))
    assert len(data.train) == (7 if change == "added" else 6)
    assert len(list(cache.iterdir())) == 2


def test_wrong_roots_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    refused(None, "imagefolder needs the folder")
    refused(tmp_path / "none", "there is no folder")
    refused(tmp_path / "file", "is not a folder")
    refused(tmp_path / "empty", "has no classes")


def test_train_without_test_is_refused(root: Path) -> None:
    shutil.rmtree(root / "test")
    refused(root, "neither test nor val")


def test_a_class_without_images_is_named(root: Path) -> None:
    (root / "train" / "cat").mkdir()
    (root / "train" / "cat" / ".hidden.png").touch()
    (root / "train" / "cat" / "readme.txt").touch()
    refused(root, "the class cat is without images")


def test_only_one_class_is_refused(root: Path) -> None:
    shutil.rmtree(root / "train" / "ant")
    refused(root, "only one class, bee")


@pytest.mark.parametrize(("part", "other"), [("train", "test"), ("test", "train")])
def test_classes_that_differ_between_the_splits_are_named(root: Path, part: str, other: str) -> None:
    picture(root / part / "cat" / "0.png")
    refused(root, f"{other} lacks the class cat")


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    one_folder(tmp_path / "c")
    picture(tmp_path / "c" / "cat" / "0.png")
    refused(tmp_path / "c", "the class cat in .* has one image")


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_an_unreadable_image_is_named_and_nothing_is_cached(root: Path, damage: str, cache: Path) -> None:
    path = root / "test" / "bee" / "1.png"
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b""}[damage])
    refused(root, r"cannot read the image .*test/bee/1\.png")
    assert not cache.exists()


def test_images_of_different_sizes_ask_for_a_size(root: Path) -> None:
    picture(root / "test" / "bee" / "1.png", size=(7, 9))
    refused(root, "bee/1.png is 7x9 pixels where others are 12x10: pass --set imagefolder.size=8, or")
    assert read(root, size="8").test.images.shape == (4, 3, 8, 8)


@pytest.mark.parametrize("size", [(7, 9), (5, 1), (12, 11), (30, 2000)])
def test_the_advice_for_pictures_of_several_sizes_works_as_it_is_printed(root: Path, size: tuple[int, int]) -> None:
    picture(root / "test" / "bee" / "1.png", size=size)
    with pytest.raises(DataError) as told:
        read(root)
    (side,) = re.findall(r"--set imagefolder\.size=(\d+)", str(told.value))
    assert read(root, size=side).test.images.shape == (4, 3, int(side), int(side))
    assert int(side) == max(8, min(*size, 10))  # the shorter side of the smaller picture
