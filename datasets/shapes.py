"""`shapes-v1`: ten kinds of small objects over clutter and noise, drawn from a seed.

It needs no download and is the same, byte for byte, everywhere. Objects are a few pixels in radius and told
apart by holes, gaps and corners of a pixel or two, so halving the resolution costs accuracy; size, contrast,
clutter and noise vary, so some images are easy and some are not, and `difficulty` says which. Objects are
always brighter than what is behind them. The ranges were tuned on a seed that is not the default one, then
frozen: another range is another version.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.data.about import About
from benchmarks.data.arrays import Images
from benchmarks.data.base import DataSet, Split
from benchmarks.data.cache import Arrays, cached
from benchmarks.data.drawing import SHAPES, SIDE, UNIT, backgrounds, coverage, noise, paint, stroke
from benchmarks.data.errors import DataError
from benchmarks.data.hashing import Ints, integers

ABOUT: About = {
    "title": "shapes-v1: ten kinds of small objects over clutter and noise, drawn from a seed (embedded)",
    "classes": 10,
    "size": (32, 32),
    "train": 6000,
    "test": 2000,
    "embedded": True,
    "download": False,
    "licence": "Apache-2.0, part of this project",
    "citation": "Synthetic, drawn by this project; version shapes-v1",
    "options": (
        {"name": "train", "type": "int", "default": 6000, "minimum": 10, "maximum": 100_000, "help": "training images"},
        {"name": "test", "type": "int", "default": 2000, "minimum": 10, "maximum": 100_000, "help": "test images"},
        {"name": "seed", "type": "int", "default": 2018, "minimum": 0, "help": "seed of the drawing"},
        {
            "name": "shrink",
            "type": "int",
            "default": 1,
            "minimum": 1,
            "maximum": 8,
            "help": "average squares of this many pixels a side: 2 gives 16 x 16 images",
        },
    ),
}

NAME = "shapes-v1"
FROZEN = {"train": 6000, "test": 2000, "seed": 2018, "shrink": 1}
FINGERPRINTS = {  # of the default set, frozen
    "train": "148edc1d9bc30e2c7d46001cb5a3bcd29dded993ee261a2dd40e3b308dcc37c4",
    "test": "6a84b52c0f5e262b3e3d6ce80ab62155f23155d24233f4a790b6fd5f82a8ecb0",
}

# ranges, both ends included; lengths in quarter pixels, colours and noise in grey levels
_RADIUS = (13, 32)
_MARGIN = 4  # between an object and the edge of the image
_TURN = (0, 25)
_BASE = (30, 100)
_CORNER = (-24, 24)
_CONTRAST = (45, 115)
_TINT = (-24, 24)
_STROKES = (0, 5)
_STROKE_RADIUS = (8, 24)
_STROKE_CONTRAST = (-30, 90)
_NOISE = (4, 32)


@dataclass(frozen=True)
class Stream:
    """Draws for the images of one split; the same image whatever the number of images."""

    key: str
    count: int

    def one(self, name: str, low: Ints | int, high: Ints | int) -> Ints:
        """An integer an image, [n]."""
        return integers(f"{self.key}/{name}", self.count, low, high)

    def some(self, name: str, shape: tuple[int, ...], bounds: tuple[int, int]) -> Ints:
        """Integers of a shape for each image, [n, *shape]."""
        count = self.count * int(np.prod(shape))
        return integers(f"{self.key}/{name}", count, *bounds).reshape(self.count, *shape)


def load(root: Path | None, *, train: int, test: int, seed: int, shrink: int) -> DataSet:
    """Draw `train` and `test` images from `seed`, or read them from the cache. `root` is not used.

    `shrink`: average squares of that many pixels a side, to see how much detail matters. What differs from
    the frozen set stands in the name. Raises DataError where `shrink` does not divide the side.
    """
    if SIDE % shrink:
        raise DataError(f"shapes: shrink must divide {SIDE}, not {shrink}")
    given = {"train": train, "test": test, "seed": seed, "shrink": shrink}
    changed = "".join(f"-{key}{value}" for key, value in given.items() if value != FROZEN[key])
    return DataSet(
        name=NAME + changed,
        classes=tuple(SHAPES),
        train=_split("train", train, seed, shrink),
        test=_split("test", test, seed, shrink),
        flip=True,
        crop=2 // shrink,
    )


def _shrunk(images: Images, factor: int) -> Images:
    """Squares of pixels averaged, halves rounded up; integers, so the same bytes everywhere."""
    if factor == 1:
        return images
    n, channels, side, _ = images.shape
    squares = images.reshape(n, channels, side // factor, factor, side // factor, factor)
    area = factor * factor
    means: Images = ((squares.sum((3, 5), dtype=np.int64) + area // 2) // area).astype(np.uint8)
    return means


def _split(part: str, count: int, seed: int, shrink: int) -> Split:
    labels = np.arange(count, dtype=np.int64) % len(SHAPES)

    def whole(arrays: Arrays) -> bool:
        return set(arrays) == {"images", "difficulty"} and arrays["images"].shape == (count, 3, SIDE, SIDE)

    stream = Stream(f"{NAME}/{seed}/{part}", count)
    arrays = cached(f"{NAME}-{part}-{count}-s{seed}", lambda: draw(stream), whole)
    return Split(_shrunk(arrays["images"], shrink), labels, np.arange(count, dtype=np.int64), arrays["difficulty"])


def draw(stream: Stream) -> Arrays:
    """Draw all images of a stream; image i shows class i modulo 10.

    Returns `images` uint8 [n, 3, 32, 32] and `difficulty` float32 [n].
    """
    base = stream.some("base", (3,), _BASE)
    canvas = backgrounds(base[:, None] + stream.some("corners", (4, 3), _CORNER))
    strokes = stream.one("strokes", *_STROKES)
    for number in range(_STROKES[1]):
        _clutter(canvas, stream, number, base, strokes)
    radius, contrast, level = (
        stream.one(name, *bounds) for name, bounds in (("radius", _RADIUS), ("contrast", _CONTRAST), ("noise", _NOISE))
    )
    _objects(canvas, stream, radius, base + contrast[:, None] + stream.some("tint", (3,), _TINT))
    canvas += noise(f"{stream.key}/pixels", level)
    images: Images = np.clip(canvas, 0, 255).astype(np.uint8)
    return {"images": images, "difficulty": _difficulty(radius, contrast, level, strokes)}


def _clutter(canvas: npt.NDArray[np.int32], stream: Stream, number: int, base: Ints, strokes: Ints) -> None:
    """Lay one stroke over every image that has more than `number` of them, in place."""
    on = np.flatnonzero(strokes > number)
    place = (0, UNIT * SIDE - 1)
    x, y, radius, turn, contrast = (
        stream.one(f"stroke{number}/{name}", *bounds)[on]
        for name, bounds in (
            ("x", place),
            ("y", place),
            ("radius", _STROKE_RADIUS),
            ("turn", _TURN),
            ("contrast", _STROKE_CONTRAST),
        )
    )
    colour = base[on] + contrast[:, None] + stream.some(f"stroke{number}/tint", (3,), _TINT)[on]
    chosen = canvas[on]
    paint(chosen, coverage(stroke, x, y, radius, turn), colour)
    canvas[on] = chosen


def _objects(canvas: npt.NDArray[np.int32], stream: Stream, radius: Ints, colour: Ints) -> None:
    """Lay the object of its class over every image, in place."""
    margin = radius + _MARGIN
    x, y = (stream.one(name, margin, UNIT * SIDE - margin) for name in ("x", "y"))
    turn = stream.one("turn", *_TURN)
    for label, inside in enumerate(SHAPES.values()):
        on = slice(label, None, len(SHAPES))
        paint(canvas[on], coverage(inside, x[on], y[on], radius[on], turn[on]), colour[on])


def _difficulty(radius: Ints, contrast: Ints, level: Ints, strokes: Ints) -> npt.NDArray[np.float32]:
    """Mean of how small, faint, noisy and cluttered an image is, each 0..1 within its range, float32 [n]."""
    thousandths = (
        (_RADIUS[1] - radius) * 1000 // (_RADIUS[1] - _RADIUS[0])
        + (_CONTRAST[1] - contrast) * 1000 // (_CONTRAST[1] - _CONTRAST[0])
        + (level - _NOISE[0]) * 1000 // (_NOISE[1] - _NOISE[0])
        + strokes * 1000 // _STROKES[1]
    )
    return thousandths.astype(np.float32) / np.float32(4000)
