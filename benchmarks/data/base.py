"""What every data set is: two splits of images, in memory or streamed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from benchmarks.data.arrays import Ids, Images, Labels
from benchmarks.data.hashing import shuffled
from benchmarks.data.stream import Stream

_BLOCK = 1024  # images summed at once, so that the sums of a large set need little memory
_SAMPLE = 2048  # images of a stream that its moments are taken from


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split, in a fixed order.

    `images` uint8 [n, 3, h, w], or a stream that decodes them when asked; `labels` int64 [n]; `ids` [n], stable
    names of the samples, integers or strings; `difficulty` float32 [n] in 0..1, only where it is known.
    """

    images: Images | Stream
    labels: Labels
    ids: Ids
    difficulty: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        images, count = self.images, len(self.images)
        if isinstance(images, np.ndarray) and (images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3):
            raise TypeError(f"images are uint8 [n, 3, h, w], not {images.dtype} {images.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != (count,) or self.ids.shape != (count,):
            raise TypeError(f"{count} images need as many int64 labels and ids")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: npt.NDArray[np.int64]) -> Images:
        """The images at `rows` [k] as pictures, uint8 [k, h, w, 3]; those of a stream are decoded."""
        if isinstance(self.images, np.ndarray):
            return self.images[rows].transpose(0, 2, 3, 1)
        (pictures,) = self.images.read([(rows, None)])
        return pictures

    def part(self, rows: npt.NDArray[np.int64]) -> Split:
        """The images at `rows` [k] as a split of their own."""
        images = self.images
        part = images[rows] if isinstance(images, np.ndarray) else images.part(rows)
        difficulty = None if self.difficulty is None else self.difficulty[rows]
        return Split(part, self.labels[rows], self.ids[rows], difficulty)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, images and labels, in hexadecimal: the same on every platform.

        Of a stream the paths and lengths of the files stand for the images.
        """
        digest = hashlib.sha256(repr((self.images.shape, self.labels.shape)).encode())
        images = self.images
        digest.update(np.ascontiguousarray(images).data if isinstance(images, np.ndarray) else images.digest)
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class DataSet:
    """A named data set, and how its training images may be augmented.

    `name` as it stands in results; `classes` in the order of the labels; `flip`: mirror images keep their
    class; `crop`: how many pixels they may be shifted each way, 0 for none. Those of a stream are shown as
    random-resized crops whatever `crop` is. `warnings`: what whoever reads results should know, one line each.
    `calibration`: images to calibrate on, where these are no training images.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    flip: bool
    crop: int
    warnings: tuple[str, ...] = ()
    calibration: Split | None = None

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of each channel over the training images only, in units of 0..1.

        Of a stream, over 2,048 of them, always the same.
        """
        return self._moments[0]

    @property
    def std(self) -> tuple[float, float, float]:
        """Standard deviation of each channel over the pixels of the training images only, in units of 0..1.

        A channel that never varies has 1, so that dividing by it is harmless.
        """
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        count, total, squares = 0, np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
        for block in _blocks(self.train.images):
            # integer sums: exact, so the same whatever the order of the additions
            count += block[:, 0].size
            total += block.sum((0, 2, 3), np.int64)
            squares += np.square(block, dtype=np.uint32).sum((0, 2, 3), np.int64)
        (r, g, b) = (_moments_of(count, int(t), int(s)) for t, s in zip(total, squares, strict=True))
        return (r[0], g[0], b[0]), (r[1], g[1], b[1])


def _blocks(images: Images | Stream) -> Iterator[Images]:
    """Images in blocks [k, 3, h, w]: all of an array, a fixed sample of a stream."""
    if isinstance(images, np.ndarray):
        return (images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK))
    sample = shuffled("moments", len(images))[:_SAMPLE]
    # one at a time: the stream decodes ahead
    return (block.transpose(0, 3, 1, 2) for block in images.read((row, None) for row in sample[:, None]))


def _moments_of(count: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and standard deviation in units of 0..1 from integer sums over `count` bytes."""
    variance = (count * squares - total * total) / count**2
    return total / count / 255, variance**0.5 / 255 or 1.0
