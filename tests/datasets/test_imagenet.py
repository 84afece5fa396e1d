"""The folders that torchvision makes of ImageNet, small."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.data import DataError, load
from benchmarks.data.registry import module
from benchmarks.data.stream import Stream

WNIDS = ("n01440764", "n02102040", "n03000684")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, number in (("train", 4), ("val", 2)):
        for label, wnid in enumerate(WNIDS):
            folder = tmp_path / "imagenet" / part / wnid
            folder.mkdir(parents=True)
            for k in range(number):
                image = Image.new("RGB", (300, 280), (80 * label, 10 * k, 128))
                image.save(folder / f"{wnid}_{k}.JPEG")
    return tmp_path / "imagenet"


def test_val_is_the_test_split_and_labels_follow_the_sorted_wnids(root: Path) -> None:
    (root / "test" / "n99").mkdir(parents=True)
    (root / "meta.bin").write_bytes(b"pickled")
    data = load("imagenet", root)
    assert data.classes == WNIDS
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.test.ids.tolist()[2:4] == ["val/n02102040/n02102040_0.JPEG", "val/n02102040/n02102040_1.JPEG"]
    assert data.test.images.shape == (6, 3, 224, 224)
    assert isinstance(data.test.images, Stream)


def test_what_differs_from_the_whole_of_it_stands_in_the_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("imagenet", root).name == "imagenet-3classes"
    monkeypatch.setattr(module("imagenet"), "CLASSES", 3)
    assert load("imagenet", root).name == "imagenet"
    assert load("imagenet", root, {"size": "112"}).name == "imagenet-size112"


@pytest.mark.parametrize(("size", "shorter"), [(224, 256), (112, 128), (160, 183)])
def test_test_images_are_the_middle_of_a_picture_resized_to_eight_sevenths(root: Path, size: int, shorter: int) -> None:
    wide = np.zeros((256, 512, 3), dtype=np.uint8)
    wide[:, 128:384] = 255  # the middle square
    path = root / "val" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG"
    Image.fromarray(wide).save(path, quality=100)
    data = load("imagenet", root, {"size": str(size)})
    assert isinstance(data.test.images, Stream)
    assert data.test.images.shorter == shorter
    (found,) = data.test.take(np.array([0]))
    with Image.open(path) as image:
        resized = np.asarray(image.convert("RGB").resize((2 * shorter, shorter), Image.Resampling.BILINEAR))
    left, top = (2 * shorter - size) // 2, (shorter - size) // 2
    assert np.array_equal(found, resized[top : top + size, left : left + size])
    assert found.min() > 250


def test_wrong_folders_are_refused_in_one_line(root: Path, tmp_path: Path) -> None:
    for wrong, message in (
        (None, "imagenet needs the folder of the pictures: pass --data-root"),
        (tmp_path / "none", "there is no folder"),
        (root / "train", "has no folder train: imagenet is train/<wnid>"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            load("imagenet", wrong)
        assert "\n" not in str(caught.value)
    (root / "val" / WNIDS[1]).rename(root / WNIDS[1])
    with pytest.raises(DataError, match="val lacks the class n02102040"):
        load("imagenet", root)
    for path in (root / "val").iterdir():
        path.rename(root / f"val-{path.name}")
    with pytest.raises(DataError, match="val has no classes"):
        load("imagenet", root)
