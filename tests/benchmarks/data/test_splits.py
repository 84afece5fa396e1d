from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import DataError
from benchmarks.data.splits import Partition, calibration_size, partition, statistics_images

Labels = npt.NDArray[np.int64]


def same(one: Partition, other: Partition) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("train", "fit", "select"))


@st.composite
def label_lists(draw: Callable[[st.SearchStrategy[list[int]]], list[int]]) -> Labels:
    counts = draw(st.lists(st.integers(4, 400), min_size=1, max_size=12))
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(sum(counts)).permutation(labels)


@given(label_lists(), st.integers(0, 3))
def test_parts_are_sorted_disjoint_and_cover(labels: Labels, seed: int) -> None:
    parts = partition(labels, seed)
    for part in (parts.train, parts.fit, parts.select):
        assert np.array_equal(part, np.unique(part))
    assert sorted([*parts.train, *parts.fit, *parts.select]) == list(range(len(labels)))


@given(label_lists(), st.integers(0, 3))
def test_parts_are_stratified_within_one_image_a_class(labels: Labels, seed: int) -> None:
    parts = partition(labels, seed)
    counts = np.bincount(labels)
    wanted = np.maximum(counts * calibration_size(len(labels)) / len(labels), 2)
    fit, select = (np.bincount(labels[part], minlength=len(counts)) for part in (parts.fit, parts.select))
    assert np.all(np.abs(fit + select - wanted) <= 1)
    assert np.all(np.abs(fit - select) <= 1)
    assert min(fit.min(), select.min(), np.bincount(labels[parts.train], minlength=len(counts)).min()) >= 1


@given(label_lists())
def test_calibration_is_as_large_as_stated_unless_rare_classes_ask_for_more(labels: Labels) -> None:
    parts = partition(labels)
    size, counts = calibration_size(len(labels)), np.bincount(labels)
    chosen = len(parts.fit) + len(parts.select)
    assert chosen >= size
    if np.all(counts * size >= 2 * len(labels)):
        assert chosen == size
        assert len(parts.fit) - len(parts.select) in (0, 1)


@pytest.mark.parametrize(
    ("count", "first", "second"),
    [
        (50_000, 5_000, 5_000), (6_000, 600, 600), (2_500, 500, 500), (2_072, 500, 414), (1_438, 500, 287),
        (1_000, 500, 200), (999, 249, 199), (40, 10, 8),
    ],
)  # fmt: skip
def test_a_tenth_or_500_images_calibrate_and_since_the_second_version_at_most_a_fifth(
    count: int, first: int, second: int
) -> None:
    assert (calibration_size(count, 1), calibration_size(count, 2)) == (first, second)
    assert calibration_size(count) == second


@given(label_lists())
def test_earlier_versions_of_the_split_are_those_of_their_size(labels: Labels) -> None:
    size, counts = calibration_size(len(labels), 1), np.bincount(labels)
    first = partition(labels, version=1)
    assert first.version == 1
    if 2 * len(counts) <= size:
        again = partition(labels, size=size)
        assert same(again, first)
        assert again.version == (2 if calibration_size(len(labels)) == size else 1)


@given(label_lists(), st.data())
def test_as_many_images_calibrate_as_are_asked_for_unless_rare_classes_ask_for_more(
    labels: Labels, data: st.DataObject
) -> None:
    least, most = 2 * len(np.unique(labels)), len(labels) // 2
    size = data.draw(st.integers(least, most))
    parts = partition(labels, size=size)
    chosen = len(parts.fit) + len(parts.select)
    assert chosen >= size
    if np.all(np.bincount(labels) * size >= 2 * len(labels)):
        assert chosen == size
    known = {calibration_size(len(labels), version): version for version in (1, 2)}
    assert parts.version == known.get(size)


@pytest.mark.parametrize("size", [0, 3, 21, 40])
def test_too_few_or_too_many_calibration_images_are_refused_with_the_numbers_that_can_be_asked_for(size: int) -> None:
    with pytest.raises(DataError, match=rf"{size} calibration images of 40 training images: ask for 4 .* to 20 "):
        partition(np.arange(40) % 2, size=size)


def test_another_seed_gives_another_partition_and_the_same_seed_the_same() -> None:
    labels = np.arange(6000) % 10
    assert np.array_equal(partition(labels, 1).fit, partition(labels, 1).fit)
    assert not np.array_equal(partition(labels, 1).fit, partition(labels, 2).fit)


def test_the_partition_never_changes() -> None:
    first = partition(np.arange(40) % 2, version=1)
    assert first.fit.tolist() == [2, 4, 24, 25, 29]
    assert first.select.tolist() == [3, 12, 13, 17, 38]
    second = partition(np.arange(40) % 2)
    assert second.fit.tolist() == [2, 13, 29, 38]
    assert second.select.tolist() == [3, 4, 12, 17]


def test_a_class_with_three_images_is_named() -> None:
    with pytest.raises(DataError, match=r"class number 1 .* has 3 images, too few to split: give it at least 4"):
        partition(np.array([0] * 50 + [1] * 3))
    with pytest.raises(DataError, match="the class bee has 3 images, too few to split"):
        partition(np.array([0] * 50 + [1] * 3), names=("ant", "bee"))


def test_statistics_take_at_most_the_limit_of_the_training_images() -> None:
    train = np.arange(0, 12_000, 2)
    chosen = statistics_images(train)
    assert len(chosen) == 2048
    assert len(np.unique(chosen)) == 2048
    assert np.isin(chosen, train).all()
    assert np.array_equal(chosen, statistics_images(train))
    assert np.array_equal(np.sort(statistics_images(train[:100])), train[:100])


def test_batches_of_statistics_images_mix_the_classes_of_a_set_that_is_sorted_by_class() -> None:
    labels = np.repeat(np.arange(10), 600)
    chosen = labels[statistics_images(np.arange(6000))]
    assert all(len(np.unique(batch)) == 10 for batch in np.split(chosen, 8))
