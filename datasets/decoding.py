"""Image files to arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from datasets.arrays import Images
from datasets.errors import DataError

_CHUNK = 64  # files a thread decodes at a go


def decode_all(paths: Sequence[Path], size: int | None, height: int, width: int) -> Images:
    """Decode files on all cores, uint8 [n, 3, height, width], in the order of `paths`.

    With `size` as in `decode`. Raises DataError for an unreadable file, and for one of another size.
    """
    images = np.empty((len(paths), 3, height, width), dtype=np.uint8)

    def fill(start: int) -> None:
        for index in range(start, min(start + _CHUNK, len(paths))):
            image = decode(paths[index], size)
            if image.shape[1:] != (height, width):
                raise DataError(
                    f"{paths[index]} is {image.shape[2]}x{image.shape[1]} pixels where others are "
                    f"{width}x{height}: pass size=32, or another, to resize them all"
                )
            images[index] = image

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(fill, range(0, len(paths), _CHUNK)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return images


def decode(path: Path, size: int | None) -> Images:
    """One image file in RGB, uint8 [3, h, w].

    With `size` its shorter side is resized to that (bilinear, antialiased) and the middle square is cut out.
    Alpha channels are dropped. Raises DataError for a file that is not a whole image.
    """
    return picture(path, lambda rgb: square(rgb, size, size) if size else rgb).transpose(2, 0, 1)


def picture(path: Path, view: Callable[[Image.Image], Image.Image]) -> Images:
    """What `view` makes of an image file in RGB, uint8 [h, w, 3]. Raises DataError as `decode`."""
    try:
        with Image.open(path) as image:
            return np.asarray(view(_rgb(image)))
    except Exception as error:  # what a damaged file makes Pillow raise depends on its format
        reason = "not a known image format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"cannot read the image {path} ({reason}): repair or remove it") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to 255
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def square(image: Image.Image, size: int, shorter: int) -> Image.Image:
    """The middle square of `size` pixels a side, once the shorter side is resized (bilinear, antialiased)."""
    own = min(image.size)
    width, height = ((2 * side * shorter + own) // (2 * own) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
