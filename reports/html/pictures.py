"""The sheets of example images that `analyse` drew, small enough to travel inside a page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.core.received import visible
from reports.data.records import Run

RUNS = 3
"""Runs whose sheets are shown: a page of more is about figures."""
MOST_BYTES = 1_500_000
"""Of all sheets of a page together, as they stand in it."""
MOST_PIXELS = 2**24
"""Of one sheet: ten times what `analyse` draws."""
QUALITY = 60


@dataclass(frozen=True)
class Picture:
    """A sheet: the name of its model's file, and the image as a data address."""

    name: str
    address: str
    width: int
    height: int


def sheets(runs: Sequence[Run]) -> tuple[list[Picture], int]:
    """The sheets of the runs, and how many were left out for their size; none where there are more than RUNS runs."""
    files = [file for run in runs[:RUNS] for file in sorted((run.folder / "analysis").glob("sheet-*.png"))]
    pictures: list[Picture] = []
    used = 0
    for file in files if len(runs) <= RUNS else ():
        picture = _picture(file)
        if picture is not None and used + len(picture.address) <= MOST_BYTES:
            used += len(picture.address)
            pictures.append(picture)
    return pictures, (len(files) - len(pictures) if len(runs) <= RUNS else 0)


def _picture(file: Path) -> Picture | None:
    """WebP at a fifth of the PNG's size: the sheet is looked at, not measured. None for what is no sheet."""
    packed = io.BytesIO()
    try:
        with Image.open(file, formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:  # said by its header: nothing is unpacked yet
                return None
            image.convert("RGB").save(packed, "WEBP", quality=QUALITY, method=4)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    text = base64.b64encode(packed.getvalue()).decode()
    name = visible(file.stem.removeprefix("sheet-").rpartition("-")[0])
    return Picture(name, f"data:image/webp;base64,{text}", image.width, image.height)
