import numpy as np
import pytest

from benchmarks.data.base import DataSet, Split


def split(images: np.ndarray) -> Split:
    count = len(images)
    return Split(images, np.zeros(count, dtype=np.int64), np.arange(count))


def dataset(train: Split, test: Split) -> DataSet:
    return DataSet("tiny", ("a",), train, test, flip=False, crop=0)


def test_mean_and_std_are_those_of_the_training_images_in_units_of_one() -> None:
    images = np.zeros((2, 3, 1, 2), dtype=np.uint8)
    images[:, 0] = [[[0, 255]], [[0, 255]]]
    images[:, 1] = 51
    images[:, 2] = [[[0, 0]], [[0, 204]]]
    data = dataset(split(images), split(np.full_like(images, 7)))
    # 0, 0, 0, 0.8: mean 0.2, variance 0.16 - 0.04
    assert data.mean == pytest.approx((0.5, 0.2, 0.2))
    assert data.std == pytest.approx((0.5, 1.0, 0.12**0.5))


def test_moments_of_many_blocks_agree_with_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 3, 2), dtype=np.uint8)
    data = dataset(split(images), split(images[:1]))
    assert data.mean == pytest.approx(images.mean((0, 2, 3)) / 255)
    assert data.std == pytest.approx(images.std((0, 2, 3)) / 255)


def test_a_channel_that_never_varies_has_standard_deviation_one() -> None:
    images = np.full((2, 3, 2, 2), 9, dtype=np.uint8)
    assert dataset(split(images), split(images)).std == (1.0, 1.0, 1.0)


def test_fingerprint_sees_pixels_labels_and_shape_and_nothing_else() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    labels = np.array([0, 1])
    first = Split(images, labels, np.array([0, 1])).fingerprint
    assert Split(images[:, :, ::1].copy(order="F"), labels, np.array(["a", "b"])).fingerprint == first
    assert Split(images ^ 1, labels, np.array([0, 1])).fingerprint != first
    assert Split(images, labels[::-1].copy(), np.array([0, 1])).fingerprint != first
    assert Split(images.reshape(2, 3, 1, 4), labels, np.array([0, 1])).fingerprint != first


def test_arrays_of_another_kind_or_length_are_refused() -> None:
    images = np.zeros((2, 3, 2, 2), dtype=np.uint8)
    with pytest.raises(TypeError):
        split(images.astype(np.float32))
    with pytest.raises(TypeError):
        Split(images, np.zeros(3, dtype=np.int64), np.arange(2))
