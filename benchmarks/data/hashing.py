"""Pseudo-random integers from an integer hash.

Only additions, multiplications modulo 2**64, shifts and exclusive ors: the same numbers on every platform and
with every numpy, which `numpy.random` does not promise across versions. A key names a stream; the first n
numbers of a stream do not depend on how many are drawn.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

UInts = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mixed(x: UInts) -> UInts:
    """The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014), element by element, in place."""
    x ^= x >> np.uint64(30)
    x *= _FIRST
    x ^= x >> np.uint64(27)
    x *= _SECOND
    x ^= x >> np.uint64(31)
    return x


def bits(key: str, count: int) -> UInts:
    """The first `count` 64-bit words of the stream named `key`, uint64 [count]."""
    start = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    counter = np.arange(1, count + 1, dtype=np.uint64)
    counter *= _STEP
    counter += np.uint64(start)
    return _mixed(counter)


def integers(key: str, count: int, low: Ints | int, high: Ints | int) -> Ints:
    """`count` integers, uniform in low..high (both included, less than 2**32 apart), int64 [count].

    Bounds are numbers, or one of each per integer.
    """
    span = np.asarray(high - low + 1).astype(np.uint64)
    upper = bits(key, count) >> np.uint64(32)
    return ((upper * span) >> np.uint64(32)).astype(np.int64) + low


def shuffled(key: str, count: int) -> Ints:
    """A permutation of 0..count-1, int64 [count]."""
    return np.argsort(bits(key, count), kind="stable").astype(np.int64)
