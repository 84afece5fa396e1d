import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data.hashing import bits, integers, shuffled


def test_words_are_those_of_splitmix64_from_the_hash_of_the_key() -> None:
    state = int.from_bytes(hashlib.sha256(b"a stream").digest()[:8], "little")
    for word in bits("a stream", 3).tolist():
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        mixed = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        assert word == mixed ^ mixed >> 31


def test_words_never_change() -> None:
    assert bits("a stream", 2).tolist() == [14936410003001637896, 18047925557716802011]


@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_a_stream_does_not_depend_on_how_much_of_it_is_drawn(key: str, few: int, more: int) -> None:
    assert np.array_equal(bits(key, few + more)[:few], bits(key, few))


@given(st.integers(-1000, 1000), st.integers(0, 1000))
def test_integers_stay_within_their_bounds(low: int, span: int) -> None:
    drawn = integers("bounds", 200, low, low + span)
    assert drawn.min() >= low
    assert drawn.max() <= low + span


def test_integers_are_uniform() -> None:
    counts = np.bincount(integers("dice", 60_000, 0, 5))
    # 10,000 each; four standard deviations are 365
    assert abs(counts - 10_000).max() < 365


def test_bounds_may_differ_from_integer_to_integer() -> None:
    low = np.arange(100)
    assert np.array_equal(integers("pairs", 100, low, low), low)


def test_shuffled_is_a_permutation() -> None:
    assert sorted(shuffled("deck", 52)) == list(range(52))
    assert shuffled("deck", 52).tolist() != list(range(52))
