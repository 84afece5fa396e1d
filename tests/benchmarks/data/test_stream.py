"""Pictures that are decoded as they are asked for."""

import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from benchmarks.data import DataError, load
from benchmarks.data import stream as streams
from benchmarks.data.arrays import Images
from benchmarks.data.base import DataSet
from benchmarks.data.crops import DRAWS, crop_box
from benchmarks.data.stream import Stream, ahead

COUNT = 12


def pictures(root: Path, number: int = COUNT, side: int = 40) -> Path:
    """`number` JPEGs of each of two classes in train, two in test, no two of the same size or content."""
    for part, most in (("train", number), ("test", 2)):
        for label, name in enumerate(("ant", "bee")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for k in range(most):
                colours = np.random.default_rng([label, k, most]).integers(0, 256, (4, 4, 3), dtype=np.uint8)
                Image.fromarray(colours).resize((side + k, side + label)).save(folder / f"{k:04}.JPEG")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures"))


def read(root: Path, **settings: str) -> DataSet:
    return load("imagefolder", root, {"stream": "true", "size": "16", **settings})


def stream(root: Path) -> Stream:
    images = read(root).train.images
    assert isinstance(images, Stream)
    return images


def uniform(*shape: int) -> Any:
    return np.random.default_rng(0).random(shape)


def test_streamed_pictures_are_those_in_memory(root: Path) -> None:
    streamed, whole = read(root), load("imagefolder", root, {"size": "16"})
    rows = np.array([7, 0, 23, 7])
    assert np.array_equal(streamed.train.take(rows), whole.train.take(rows))
    assert streamed.train.images.shape == whole.train.images.shape == (2 * COUNT, 3, 16, 16)
    assert np.array_equal(streamed.train.labels, whole.train.labels)
    assert streamed.test.ids.tolist() == whole.test.ids.tolist()
    assert (streamed.classes, streamed.flip) == (("ant", "bee"), True)
    assert len(streamed.test) == 4


def test_mean_and_deviation_of_a_small_stream_are_those_of_all_its_images(root: Path) -> None:
    streamed, whole = read(root), load("imagefolder", root, {"size": "16"})
    assert (streamed.mean, streamed.std) == (whole.mean, whole.std)


def test_moments_of_a_large_stream_come_from_a_fixed_sample(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.data.base._SAMPLE", 10)
    opened: list[Path] = []
    own = streams.picture
    monkeypatch.setattr(streams, "picture", lambda path, *seen: opened.append(path) or own(path, *seen))
    first, second = read(root), read(root)
    assert (first.mean, first.std) == (second.mean, second.std)
    assert len(opened) == 2 * 10
    assert len(set(opened)) == 10


def test_batches_come_in_the_order_and_of_the_length_asked_for(root: Path) -> None:
    rows = [np.array([3, 1]), np.array([20]), np.array([1, 1, 9])]
    found = list(stream(root).read((batch, None) for batch in rows))
    assert [len(batch) for batch in found] == [2, 1, 3]
    split = read(root).train
    assert all(np.array_equal(batch, split.take(asked)) for batch, asked in zip(found, rows, strict=True))


def test_a_training_crop_is_torchvisions_of_the_same_box(root: Path) -> None:
    pictured, draws = stream(root), uniform(6, DRAWS)
    draws[:, -1] = [0.0, 0.9, 0.2, 0.5, 0.49, 1.0]
    (found,) = pictured.read([(np.arange(6), draws)])
    for row in range(6):
        with Image.open(root / str(pictured.paths[row])) as image:
            left, top, right, bottom = crop_box(*image.size, draws[row])
            crop = functional.resized_crop(image, top, left, bottom - top, right - left, [16, 16])
        expected = np.asarray(functional.hflip(crop) if row in (0, 2, 4) else crop)
        assert np.array_equal(found[row], expected)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_crops_depend_on_the_numbers_drawn_and_on_nothing_else(
    root: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = uniform(2 * COUNT, DRAWS)
    (together,) = stream(root).read([(np.arange(2 * COUNT), draws)])
    monkeypatch.setattr(streams, "AHEAD", limit)
    alone = list(stream(root).read((np.array([row]), draws[[row]]) for row in range(2 * COUNT)))
    assert np.array_equal(np.concatenate(alone), together)


def test_no_more_than_a_bounded_number_of_decoded_pictures_is_alive(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: set[int] = set()
    numbers, most, own, lock = count(), [0], Stream._decode, threading.Lock()

    def counted(self: Stream, row: int, draws: Any) -> Images:
        found = np.array(own(self, row, draws))
        with lock:
            number = next(numbers)
            alive.add(number)
            weakref.finalize(found, alive.discard, number)
            most[0] = max(most[0], len(alive))
        return found

    monkeypatch.setattr(Stream, "_decode", counted)
    monkeypatch.setattr(streams, "AHEAD", 4)
    batches = ((np.arange(start, start + 3) % (2 * COUNT), None) for start in range(0, 120, 3))
    assert sum(len(batch) for batch in stream(root).read(batches)) == 120
    assert next(numbers) == 120
    assert 3 <= most[0] <= 4 + 3
    assert not alive


def test_memory_does_not_grow_with_the_number_of_pictures(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 8)
    pictured = Stream(root, *(getattr(stream(root), name) for name in ("paths", "sizes")), 64, 64)

    def peak(number: int) -> int:
        """Bytes at most while `number` pictures of 12 kB go by in batches of eight."""
        tracemalloc.start()
        for _ in pictured.read((np.arange(8), None) for _ in range(number // 8)):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(16)  # what is made once
    assert peak(320) < peak(64) + 12_288 * 32


def test_batches_are_drawn_no_further_ahead_than_they_are_decoded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AHEAD", 4)
    asked: list[int] = []

    def batches() -> Iterator[tuple[Any, None]]:
        for number in range(50):
            asked.append(number)
            yield np.array([number % 5, 0]), None

    found = stream(root).read(batches())
    assert not asked
    next(found)
    assert len(asked) <= 4
    found.close()
    assert len(asked) <= 4


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "gone"])
def test_a_damaged_picture_is_named_in_one_line_when_it_is_reached(damage: str, tmp_path: Path) -> None:
    root = pictures(tmp_path / "pictures")
    path = root / "train" / "bee" / "0003.JPEG"
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"hello"}.get(damage, b""))
    batches = stream(root).read((np.array([row]), None) for row in range(2 * COUNT))
    if damage == "gone":
        path.unlink()
    assert len([next(batches) for _ in range(COUNT + 3)]) == COUNT + 3
    with pytest.raises(DataError, match=r"cannot read the image .*train/bee/0003\.JPEG \(.*: repair") as caught:
        next(batches)
    assert "\n" not in str(caught.value)


def test_threads_end_with_what_they_decode_for(root: Path) -> None:
    before = threading.active_count()
    found = stream(root).read((np.array([row]), None) for row in range(COUNT))
    next(found)
    found.close()
    assert threading.active_count() == before


def test_a_failing_job_stops_the_others() -> None:
    done: list[int] = []

    def work(job: int) -> int:
        if job == 2:
            raise DataError("two")
        done.append(job)
        return job

    results = ahead(work, range(1000), 5)
    with pytest.raises(DataError):
        list(results)
    assert max(done) <= 2 + 5


def test_the_fingerprint_sees_paths_lengths_and_size_but_not_where_the_folder_is(root: Path, tmp_path: Path) -> None:
    copy = pictures(tmp_path / "elsewhere")
    first = read(root).train.fingerprint
    assert read(copy).train.fingerprint == first
    assert read(copy, size="17").train.fingerprint != first
    file = copy / "train" / "ant" / "0002.JPEG"
    file.write_bytes(file.read_bytes() + b" ")
    assert read(copy).train.fingerprint != first
    assert read(copy).test.fingerprint == read(root).test.fingerprint
    file.rename(file.with_name("0002b.JPEG"))
    assert read(copy).train.fingerprint not in (first, read(root).test.fingerprint)


def test_a_stream_needs_a_size(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"stream=true needs the side of the images: pass --set imagefolder\.size=224, or"
    ):
        load("imagefolder", root, {"stream": "true"})


def test_nothing_is_cached_and_one_picture_a_class_is_opened_before_any_is_asked_for(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    own = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or own(path))
    data = read(root)
    assert len(data.train) == 2 * COUNT
    assert len(opened) == len(data.classes)
    assert not cache.exists()


def test_pictures_become_a_tensor_without_a_copy_that_is_not_writable(root: Path) -> None:
    (found,) = stream(root).read([(np.array([1]), uniform(1, DRAWS))])
    assert torch.from_numpy(found).is_contiguous()
