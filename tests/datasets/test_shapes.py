from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data import DataError, load
from benchmarks.data.base import DataSet
from benchmarks.data.drawing import SHAPES, coverage, stroke
from benchmarks.data.hashing import Ints
from benchmarks.data.registry import module

SHAPES_FILE = module("shapes")


def small(seed: int = 3, train: int = 40, test: int = 20) -> DataSet:
    return load("shapes", settings={"train": str(train), "test": str(test), "seed": str(seed)})


def number(value: int) -> Ints:
    return np.array([value], dtype=np.int64)


def area(shape: str, turn: int = 6, radius: int = 40) -> int:
    """Covered quarter pixels of a shape in the middle of the canvas; turn 6 is no turn."""
    return int(coverage(SHAPES[shape], number(64), number(64), number(radius), number(turn)).sum())


def test_the_default_set_is_the_frozen_one(embedded: Mapping[str, DataSet]) -> None:
    data = embedded["shapes"]
    assert data.name == "shapes-v1"
    assert {"train": data.train.fingerprint, "test": data.test.fingerprint} == SHAPES_FILE.FINGERPRINTS


def test_classes_are_balanced_and_images_are_32_by_32() -> None:
    data = small()
    assert data.train.images.shape == (40, 3, 32, 32)
    assert len(data.classes) == 10
    assert np.bincount(data.train.labels).tolist() == [4] * 10


def test_more_images_begin_with_the_same_images() -> None:
    few, more = small(train=20), small(train=33)
    assert np.array_equal(more.train.images[:20], few.train.images)
    assert np.array_equal(more.train.difficulty[:20], few.train.difficulty)


def test_seeds_and_splits_differ() -> None:
    first, second = small(3), small(4)
    assert not np.array_equal(first.train.images[:20], first.test.images)
    assert not np.array_equal(first.train.images, second.train.images)


def test_difficulty_spreads_over_its_range() -> None:
    difficulty = SHAPES_FILE.draw(SHAPES_FILE.Stream("test", 500))["difficulty"]
    assert difficulty.dtype == np.float32
    assert 0 <= difficulty.min() < 0.2
    assert 0.8 < difficulty.max() <= 1


def test_a_corrupt_cache_is_drawn_again(cache: Path) -> None:
    first = small().train.fingerprint
    stored = sorted(cache.glob("shapes-v1-train-*.npz"))
    assert len(stored) == 1
    stored[0].write_bytes(stored[0].read_bytes()[:5000])
    assert small().train.fingerprint == first


def test_a_cached_set_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = small().train.fingerprint

    def never(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(SHAPES_FILE, "draw", never)
    assert small().train.fingerprint == first


def test_a_square_covers_the_square_of_its_side() -> None:
    # half a side is 0.8 * 40 = 32 quarter pixels: 16 pixels a side, four samples a pixel
    assert area("square") == 16 * 16 * 4


def test_a_frame_lacks_a_quarter_of_the_square() -> None:
    # the hole is half as wide as the square
    assert area("frame") == area("square") * 3 // 4


def test_a_disk_covers_about_pi_r_squared() -> None:
    # radius 0.9 * 40 = 36 quarter pixels; a sample stands for four of the sixteen squares of a pixel
    assert area("disk") == pytest.approx(np.pi * 36**2 / 4, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_turned_shape_keeps_its_area(shape: str) -> None:
    assert [area(shape, turn) for turn in range(26)] == pytest.approx([area(shape)] * 26, rel=0.06)


@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_turn_rotates_the_picture_by_180_degrees(shape: str) -> None:
    middle, radius = number(64), number(30)
    one, other = (coverage(SHAPES[shape], middle, middle, radius, number(turn)) for turn in (3, 16))
    assert np.array_equal(one[0], other[0, ::-1, ::-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_leaves_the_circle_of_its_radius_by_more_than_its_corners(shape: str) -> None:
    cover = coverage(SHAPES[shape], number(64), number(64), number(24), number(6))[0]
    # corners of the square lie at 0.8 * sqrt(2) = 1.13 radii
    y, x = np.nonzero(cover)
    assert np.hypot(x - 15.5, y - 15.5).max() < 24 / 4 * 1.14 + 1


def test_a_stroke_is_five_times_as_long_as_wide() -> None:
    cover = coverage(stroke, number(64), number(64), number(40), number(6))[0]
    assert (cover > 0).any(axis=0).sum() == 20
    assert (cover > 0).any(axis=1).sum() == 4


def test_shrinking_averages_squares_and_stands_in_the_name() -> None:
    full = load("shapes", settings={"train": "20", "test": "10"})
    half = load("shapes", settings={"train": "20", "test": "10", "shrink": "2"})
    assert half.name == "shapes-v1-train20-test10-shrink2"
    assert half.train.images.shape == (20, 3, 16, 16)
    square = full.train.images[3, 1, 4:6, 6:8].astype(int)
    assert half.train.images[3, 1, 2, 3] == (square.sum() + 2) // 4
    with pytest.raises(DataError, match="divide"):
        load("shapes", settings={"shrink": "3"})
