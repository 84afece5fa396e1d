"""Sheets of example images: sizes, scaling, and labels."""

import io

import numpy as np
import pytest
from PIL import Image

from reports.figures.contact_sheet import GAP, LABEL, MARGIN, TILE, Row, cost_label, png, tile


def picture(height: int, width: int, level: int = 200) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(("side", "shown"), [(8, 96), (28, 84), (32, 96), (64, 64), (96, 96), (224, 96)])
def test_small_images_are_enlarged_by_whole_factors_and_large_ones_reduced(side: int, shown: int) -> None:
    assert tile(picture(side, side)).size == (shown, shown)


def test_enlarging_does_not_smooth() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    shown = np.asarray(tile(pixels))
    assert np.array_equal(shown[::12, ::12], pixels)
    assert np.array_equal(shown[11::12, 11::12], pixels)


def test_proportions_are_kept() -> None:
    assert tile(picture(100, 200)).size == (TILE, TILE // 2)


def test_a_sheet_is_as_wide_as_its_longest_row_and_holds_its_images() -> None:
    rows = [Row("34% of plain", "90.0% of images", 0.9, [picture(32, 32)] * 12), Row("none", "", 0.0, [])]
    sheet = opened(png("Title", "subtitle", rows))
    assert sheet.format == "PNG"
    assert sheet.width == 2 * MARGIN + LABEL + 12 * (TILE + GAP) - GAP
    pixels = np.asarray(sheet)
    assert (pixels == 200).all(axis=2).sum() >= 12 * TILE * TILE


def test_a_long_title_fits() -> None:
    title = "earlyexit:rule=margin:heads=sdpoint-paper " * 3
    assert opened(png(title, "", [Row("a", "b", 0.5, [picture(8, 8)])])).width > 1000


def test_the_same_sheet_is_the_same_bytes() -> None:
    rows = [Row("a", "b", 0.3, [picture(8, 8)])]
    assert png("t", "s", rows) == png("t", "s", rows)


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [(35, 35, "35% of plain"), (35, 62, "35 to 62% of plain"), (670, 671, "67% of plain"), (-1, -1, "no answer right")],
)
def test_rows_are_called_by_their_share_of_the_plain_cost(low: int, high: int, label: str) -> None:
    assert cost_label(low, high, 100 if high < 100 else 1000) == label
