import numpy as np

from benchmarks.data import load


def test_digits_are_split_into_a_stratified_fifth_and_the_rest() -> None:
    data = load("digits")
    assert (len(data.train), len(data.test)) == (1438, 359)
    assert data.train.images.shape[1:] == (3, 8, 8)
    shares = np.bincount(data.test.labels) / (np.bincount(data.train.labels) + np.bincount(data.test.labels))
    assert abs(shares - 359 / 1797).max() < 1 / 174  # the rarest digit has 174 images
    assert not np.intersect1d(data.train.ids, data.test.ids).size


def test_digits_are_grey_from_black_to_white() -> None:
    images = load("digits").train.images
    assert np.array_equal(images[:, 0], images[:, 1])
    # 17 grey levels of 255/16, rounded down
    assert np.unique(images).tolist() == [level * 255 // 16 for level in range(17)]


def test_digits_are_never_mirrored() -> None:
    assert not load("digits").flip


def test_the_split_of_the_digits_never_changes() -> None:
    data = load("digits")
    assert data.train.fingerprint[:16] == "e2b8c89433e3e1e4"
    assert data.test.fingerprint[:16] == "887997fbbdbfbd7f"
