from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import DataError
from datasets.splits import calibration_size, partition, statistics_images

Labels = npt.NDArray[np.int64]


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


@pytest.mark.parametrize(("count", "size"), [(50_000, 5_000), (6_000, 600), (1_437, 500), (1_000, 500), (999, 249)])
def test_calibration_is_a_tenth_at_least_500_or_a_quarter(count: int, size: int) -> None:
    assert calibration_size(count) == size


def test_another_seed_gives_another_partition_and_the_same_seed_the_same() -> None:
    labels = np.arange(6000) % 10
    assert np.array_equal(partition(labels, 1).fit, partition(labels, 1).fit)
    assert not np.array_equal(partition(labels, 1).fit, partition(labels, 2).fit)


def test_the_partition_never_changes() -> None:
    parts = partition(np.arange(40) % 2)
    assert parts.fit.tolist() == [2, 4, 24, 25, 29]
    assert parts.select.tolist() == [3, 12, 13, 17, 38]


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
