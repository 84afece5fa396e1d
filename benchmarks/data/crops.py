"""Random-resized crops (Szegedy et al., CVPR 2015, section 6), each a function of numbers drawn beforehand.

The size of a picture is known only when its file is open, in a thread of its own; with the numbers drawn
beforehand, in order, the crops do not depend on which thread is first.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Draws = npt.NDArray[np.float64]

TRIES = 10
DRAWS = 2 * TRIES + 3
"""Uniform numbers in [0, 1) that a crop takes: area and ratio of each try, two for the place, one to mirror."""
SCALE = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)


def crop_box(width: int, height: int, draws: Draws) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a crop of an image, in pixels, from uniform numbers [DRAWS].

    The area is uniform in SCALE of the image's, the ratio of width to height log-uniform in RATIO, the place
    uniform; the first of TRIES that fits. Where none does, the largest middle box whose ratio is in RATIO.
    """
    for share, slant in draws[: 2 * TRIES].reshape(TRIES, 2).tolist():
        area = width * height * (SCALE[0] + (SCALE[1] - SCALE[0]) * share)
        ratio = RATIO[0] * (RATIO[1] / RATIO[0]) ** slant
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            right, down = draws[2 * TRIES : 2 * TRIES + 2].tolist()
            left, top = int(right * (width - w + 1)), int(down * (height - h + 1))
            return left, top, left + w, top + h
    w, h = min(width, max(1, round(height * RATIO[1]))), min(height, max(1, round(width / RATIO[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def mirrored(draws: Draws) -> bool:
    """Whether a crop is mirrored: every second one."""
    return bool(draws[-1] < 0.5)
