"""A sheet of example images in labelled rows, as one PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE, GAP, MARGIN, LABEL = 96, 5, 28, 196
_HEADLINE, _SMALL, _LARGE = 22, 14, 17
_INK, _QUIET, _BAR, _TRACK = "#1d232a", "#66707a", "#0072B2", "#e6e9ed"


@dataclass(frozen=True)
class Row:
    """One row of a sheet: its `label`, what it says below it, a share in 0..1 drawn as a bar, and its images.

    Images are uint8 [h, w, 3], square or not.
    """

    label: str
    detail: str
    share: float
    images: Sequence[NDArray[np.uint8]]


def png(title: str, subtitle: str, rows: Sequence[Row]) -> bytes:
    """The sheet; small images are enlarged by whole factors, without smoothing."""
    columns = max(len(row.images) for row in rows)
    top = MARGIN + _HEADLINE + 8 + _SMALL + 22
    width = 2 * MARGIN + LABEL + columns * (TILE + GAP) - GAP
    width = max(width, *(round(_font(s).getlength(t)) + 2 * MARGIN for t, s in _head(title, subtitle)))
    height = top + len(rows) * (TILE + 2 * GAP) - 2 * GAP + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, _INK, _font(_HEADLINE), anchor="lt")
    draw.text((MARGIN, MARGIN + _HEADLINE + 8), subtitle, _QUIET, _font(_SMALL), anchor="lt")
    for number, row in enumerate(rows):
        y = top + number * (TILE + 2 * GAP)
        _label(draw, row, y)
        for place, pixels in enumerate(row.images):
            picture = tile(pixels)
            x = MARGIN + LABEL + place * (TILE + GAP)
            sheet.paste(picture, (x + (TILE - picture.width) // 2, y + (TILE - picture.height) // 2))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def cost_label(low: int, high: int, plain: float) -> str:
    """How a row of images is called that need `low` to `high` MACs; below zero: that no answer gets right."""
    if low < 0:
        return "no answer right"
    ends = list(dict.fromkeys(f"{100 * macs / plain:.0f}" for macs in (low, high)))
    return " to ".join(ends) + "% of plain"


def tile(pixels: NDArray[np.uint8]) -> Image.Image:
    """An image [h, w, 3] that fits a square of TILE pixels: enlarged by a whole factor, or reduced smoothly."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    factor = TILE // max(picture.size)
    if factor:
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    return picture


def _label(draw: ImageDraw.ImageDraw, row: Row, y: int) -> None:
    """Label, detail and the bar of a row, centred beside its images."""
    x, wide = MARGIN, LABEL - 24
    draw.text((x, y + 20), row.label, _INK, _font(_LARGE), anchor="lt")
    draw.text((x, y + 45), row.detail, _QUIET, _font(_SMALL), anchor="lt")
    draw.rectangle((x, y + 69, x + wide, y + 73), _TRACK)
    if row.share > 0:
        draw.rectangle((x, y + 69, x + max(round(wide * row.share), 1), y + 73), _BAR)


def _head(title: str, subtitle: str) -> tuple[tuple[str, int], tuple[str, int]]:
    return (title, _HEADLINE), (subtitle, _SMALL)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
