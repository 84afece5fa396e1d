"""Image files to arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmarks.data.arrays import Images
from benchmarks.data.errors import DataError

_CHUNK = 64  # files a thread decodes at a go


class Levels(NamedTuple):
    """Which values of deep pictures, of more than 8 bits or of real numbers, are black and white."""

    black: float = 0.0
    white: float | None = None


NOT_SAID = Levels()
"""Nobody said which: deep pictures are refused."""


def decode_all(paths: Sequence[Path], size: int | None, height: int, width: int, levels: Levels) -> Images:
    """Decode files on all cores, uint8 [n, 3, height, width], in the order of `paths`.

    With `size` and `levels` as in `decode`. Raises DataError for an unreadable file, and for one of another size.
    """
    images = np.empty((len(paths), 3, height, width), dtype=np.uint8)

    def fill(start: int) -> None:
        for index in range(start, min(start + _CHUNK, len(paths))):
            image = decode(paths[index], size, levels)
            if image.shape[1:] != (height, width):
                side = min(max(min(height, width, *image.shape[1:]), 8), 1024)
                raise DataError(
                    f"{paths[index]} is {image.shape[2]}x{image.shape[1]} pixels where others are "
                    f"{width}x{height}: pass --set imagefolder.size={side}, or another, to resize them all"
                )
            images[index] = image

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(fill, range(0, len(paths), _CHUNK)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return images


def decode(path: Path, size: int | None, levels: Levels = NOT_SAID) -> Images:
    """One image file in RGB, uint8 [3, h, w], turned as its EXIF orientation says.

    With `size` its shorter side is resized to that (bilinear, antialiased) and the middle square is cut out.
    Alpha channels are dropped. Raises DataError for a file that is not a whole image, or that `levels` do not fit.
    """
    return picture(path, lambda rgb: square(rgb, size, size) if size else rgb, levels).transpose(2, 0, 1)


def picture(path: Path, view: Callable[[Image.Image], Image.Image], levels: Levels = NOT_SAID) -> Images:
    """What `view` makes of an image file in RGB, uint8 [h, w, 3]. Raises DataError as `decode`."""
    try:
        with Image.open(path) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return np.asarray(view(_rgb(path, image, levels)))
    except DataError:
        raise
    except Exception as error:  # what a damaged file makes Pillow raise depends on its format
        reason = "not a known image format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"cannot read the image {path} ({reason}): repair or remove it") from error


def _rgb(path: Path, image: Image.Image, levels: Levels) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_shallow(path, np.asarray(image, dtype=np.float64), levels)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _shallow(path: Path, values: npt.NDArray[np.float64], levels: Levels) -> npt.NDArray[np.uint8]:
    """The grey values of a deep picture in 8 bits; DataError, with the setting to give, where they do not fit.

    Pillow alone would clip at 255, or show twelve bits in sixteen as black.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise DataError(f"{path} holds values that are no numbers: repair or remove it")
    black, white = levels.black, levels.white
    if white is None or low < black or high > white:
        asked = f"--set imagefolder.white={_full_scale(high)}"
        asked += f" --set imagefolder.black={low:g}" if low < min(black, 0) else ""
        stated = "" if white is None else f", beyond black={black:g} and white={white:g}"
        raise DataError(
            f"{path} holds values from {low:g} to {high:g} in more than 8 bits{stated}: say which value is white in "
            f"all pictures, for example {asked}"
        )
    grey = np.rint((values - black) * (255 / (white - black))).astype(np.uint8)
    if low < high and grey.min() == grey.max():
        raise DataError(
            f"{path} becomes one flat grey: its values, {low:g} to {high:g}, are all but equal beside "
            f"white={white:g}: pass --set imagefolder.white={_full_scale(high)}"
        )
    return grey


def _full_scale(high: float) -> str:
    """The white that a largest value suggests: 1 of shares, else all bits that it takes."""
    return "1" if high <= 1 else str(2 ** int(np.ceil(high)).bit_length() - 1)


def square(image: Image.Image, size: int, shorter: int) -> Image.Image:
    """The middle square of `size` pixels a side, once the shorter side is resized (bilinear, antialiased)."""
    own = min(image.size)
    width, height = ((2 * side * shorter + own) // (2 * own) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
