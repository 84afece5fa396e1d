"""What every data set is: two splits of images in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int64] | npt.NDArray[np.str_]

_BLOCK = 1024  # images summed at once, so that the sums of a large set need little memory


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split, in a fixed order.

    `images` uint8 [n, 3, h, w]; `labels` int64 [n]; `ids` [n], stable names of the samples, integers or
    strings; `difficulty` float32 [n] in 0..1, only where it is known.
    """

    images: Images
    labels: Labels
    ids: Ids
    difficulty: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise TypeError(f"images are uint8 [n, 3, h, w], not {self.images.dtype} {self.images.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != (count,) or self.ids.shape != (count,):
            raise TypeError(f"{count} images need as many int64 labels and ids")

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, images and labels, in hexadecimal: the same on every platform."""
        digest = hashlib.sha256(repr((self.images.shape, self.labels.shape)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class DataSet:
    """A named data set, and how its training images may be augmented.

    `name` as it stands in results; `classes` in the order of the labels; `flip`: mirror images keep their
    class; `crop`: pixels of zero padding on each side before a random crop to the original size, 0 for none.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    flip: bool
    crop: int

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of each channel over the training images only, in units of 0..1."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, float, float]:
        """Standard deviation of each channel over the pixels of the training images only, in units of 0..1.

        A channel that never varies has 1, so that dividing by it is harmless.
        """
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        images = self.train.images
        count = images.shape[0] * images.shape[2] * images.shape[3]
        # integer sums: exact, so the same whatever the order of the additions
        total = sum(block.sum((0, 2, 3), np.int64) for block in _blocks(images))
        squares = sum(np.square(block, dtype=np.uint32).sum((0, 2, 3), np.int64) for block in _blocks(images))
        (r, g, b) = (_moments_of(count, int(t), int(s)) for t, s in zip(total, squares, strict=True))
        return (r[0], g[0], b[0]), (r[1], g[1], b[1])


def _blocks(images: Images) -> Iterator[Images]:
    return (images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK))


def _moments_of(count: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and standard deviation in units of 0..1 from integer sums over `count` bytes."""
    variance = (count * squares - total * total) / count**2
    return total / count / 255, variance**0.5 / 255 or 1.0
