"""Drawing of the `shapes` images with integers only, so that every platform draws the same bytes.

The canvas is 32 pixels wide; lengths are in quarter pixels. Each pixel is sampled at 2 x 2 places, so its
coverage is 0..4. A rotation is an integer direction (a, b) with a*a + b*b = c*c: rotated coordinates come out
c times as long, and so do the lengths they are compared with. A shape is thus a few integer comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from benchmarks.data.hashing import Ints, bits

SIDE = 32
UNIT = 4  # lengths per pixel
Grid = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Inside = Callable[[Grid, Grid, Grid], Mask]

_TURNS = 6  # directions (36 - k*k, 12 k, 36 + k*k) for k in -6..6: 13 angles over half a circle


def _disk(u: Grid, v: Grid, r: Grid) -> Mask:
    radius = r * 9 // 10
    return np.asarray(u * u + v * v <= radius * radius)


def _ring(u: Grid, v: Grid, r: Grid) -> Mask:
    hole = r * 4 // 10
    return np.asarray(_disk(u, v, r) & (u * u + v * v > hole * hole))


def _square(u: Grid, v: Grid, r: Grid) -> Mask:
    return np.asarray(np.maximum(abs(u), abs(v)) * 10 <= r * 8)


def _frame(u: Grid, v: Grid, r: Grid) -> Mask:
    return np.asarray(_square(u, v, r) & (np.maximum(abs(u), abs(v)) * 10 > r * 4))


def _triangle(u: Grid, v: Grid, r: Grid) -> Mask:
    # 7/4 stands for the square root of three
    return np.asarray((v * 2 >= -r) & (abs(u) * 7 + v * 4 <= r * 4))


def _cross(u: Grid, v: Grid, r: Grid) -> Mask:
    short, long = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))
    return np.asarray((short * 10 <= r * 3) & (long <= r))


def _star(u: Grid, v: Grid, r: Grid) -> Mask:
    short, long = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))
    return np.asarray(short * 5 + long * 2 <= r * 2)


def _crescent(u: Grid, v: Grid, r: Grid) -> Mask:
    shifted, bite = u - r // 2, r * 7 // 10
    return np.asarray(_disk(u, v, r) & (shifted * shifted + v * v > bite * bite))


def _hourglass(u: Grid, v: Grid, r: Grid) -> Mask:
    return np.asarray((abs(v) * 10 <= r * 8) & (abs(u) * 10 <= abs(v) * 9 + r))


def _bars(u: Grid, v: Grid, r: Grid) -> Mask:
    return np.asarray(_square(u, v, r) & (abs(v) * 10 > r * 3))


SHAPES: Mapping[str, Inside] = {
    "disk": _disk,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "crescent": _crescent,
    "hourglass": _hourglass,
    "bars": _bars,
}


def stroke(u: Grid, v: Grid, r: Grid) -> Mask:
    """Clutter: a bar five times as long as it is wide."""
    return np.asarray((abs(u) <= r) & (abs(v) * 5 <= r))


def coverage(inside: Inside, x: Ints, y: Ints, radius: Ints, turn: Ints) -> Grid:
    """How much of each pixel a shape covers, 0..4, int32 [n, 32, 32].

    `x`, `y` (centre) and `radius` in quarter pixels, `turn` 0..25 (steps of roughly 14 degrees), each [n].
    """
    step = turn % (2 * _TURNS + 1) - _TURNS
    sign = np.where(turn > 2 * _TURNS, -1, 1)
    a, b, c = (
        np.asarray(value, dtype=np.int32)[:, None, None]
        for value in (sign * (_TURNS**2 - step**2), sign * 2 * _TURNS * step, _TURNS**2 + step**2)
    )
    samples = np.arange(1, UNIT * SIDE, 2, dtype=np.int32)
    dx = samples[None, None, :] - x.astype(np.int32)[:, None, None]
    dy = samples[None, :, None] - y.astype(np.int32)[:, None, None]
    hit = inside(a * dx + b * dy, a * dy - b * dx, radius.astype(np.int32)[:, None, None] * c)
    quarters = hit.reshape(len(x), SIDE, 2, SIDE, 2).astype(np.int32)
    return np.asarray(quarters.sum(axis=(2, 4), dtype=np.int32))


def paint(images: Grid, cover: Grid, colour: Ints) -> None:
    """Lay a colour [n, 3] over images [n, 3, 32, 32] where `cover` [n, 32, 32] says (0..4), in place."""
    images += (colour.astype(np.int32)[:, :, None, None] - images) * cover[:, None] // 4


def backgrounds(corners: Ints) -> Grid:
    """Colours between those of the four corners, [n, 4, 3] -> int32 [n, 3, 32, 32]."""
    far = np.arange(SIDE, dtype=np.int32)
    near = SIDE - 1 - far
    weights = np.stack([np.multiply.outer(i, j) for i in (near, far) for j in (near, far)])
    blend = np.tensordot(corners.transpose(0, 2, 1).astype(np.int32), weights, axes=(2, 0))
    return np.asarray(blend // (SIDE - 1) ** 2, dtype=np.int32)


def noise(key: str, level: Ints) -> Grid:
    """Triangular noise, at most `level` [n] from zero either way, int32 [n, 3, 32, 32]."""
    words = bits(key, len(level) * SIDE * SIDE).reshape(len(level), SIDE, SIDE)
    byte = [((words >> np.uint64(8 * k)) & np.uint64(255)).astype(np.int32) for k in range(6)]
    spread = np.stack([byte[k] + byte[k + 3] - 255 for k in range(3)], axis=1)
    return np.asarray(spread * level.astype(np.int32)[:, None, None, None] // 256)
