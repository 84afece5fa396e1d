"""Figures for papers: their formats and widths, and that colour is not needed to read them."""

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from reports.data.comparison import Place, places
from reports.data.records import read
from reports.figures.paper_figure import DASHES, MARKS, figure, render


@pytest.fixture(scope="module")
def panels(three_seeds: Path) -> list[Place]:
    return list(places([read(three_seeds)]))


def size(pdf: bytes) -> list[float]:
    """Width and height of a page in points."""
    box = re.search(rb"MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert box
    return [float(side) for side in box.groups()]


@pytest.mark.parametrize(("columns", "inches"), [(1, 3.35), (2, 7.0)])
def test_a_pdf_fits_its_columns_and_carries_its_font(panels: list[Place], columns: int, inches: float) -> None:
    pdf = render(panels, columns, ".pdf")
    assert pdf.startswith(b"%PDF")
    assert 0.85 * inches < size(pdf)[0] / 72 <= inches
    assert b"/FontFile2" in pdf or b"/FontFile3" in pdf


def test_an_svg_is_text_in_a_common_font_without_scripts_or_addresses(panels: list[Place]) -> None:
    svg = render(panels, 1, ".svg").decode()
    assert "Test accuracy (%)</text>" in svg
    assert set(re.findall(r'font-family="([^"]*)"', svg)) == {"Arial, Helvetica, 'Liberation Sans', sans-serif"}
    assert "<script" not in svg
    assert set(re.findall(r"https?://[^\"' ]+", svg)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_a_png_has_four_pixels_a_point(panels: list[Place]) -> None:
    png = render(panels, 1, ".png")
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == pytest.approx(4 * size(render(panels, 1, ".pdf"))[0], abs=8)


def test_forty_series_differ_without_colour() -> None:
    pairs = [(MARKS[place % len(MARKS)], tuple(DASHES[place % len(DASHES)])) for place in range(40)]
    assert len(set(pairs)) == len(MARKS) * len(DASHES) == len(list(product(MARKS, DASHES)))


def test_the_plain_network_is_black_and_first(panels: list[Place]) -> None:
    scale = figure(panels, 1).to_dict()["concat"][0]["layer"][1]["encoding"]["color"]["scale"]
    assert (scale["domain"][0], scale["range"][0]) == ("plain", "#000000")


def test_bars_are_the_lowest_and_the_highest_seed(panels: list[Place]) -> None:
    spec = figure(panels, 1).to_dict()
    bars = spec["datasets"][spec["concat"][0]["layer"][0]["data"]["name"]]
    plain = next(bar for bar in bars if bar["series"] == "plain")
    own = panels[0].points.query("series == 'plain'")["accuracy"]
    assert (plain["low"], plain["high"]) == pytest.approx((100 * own.min(), 100 * own.max()))


def test_each_data_set_has_a_panel_that_says_so(one_seed: Path, make_run: Callable[..., Path], tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    table = (other / "points.csv").read_text(encoding="utf-8").replace(",shapes,", ",digits,")
    table = table.replace("shapes", "digits")
    (other / "points.csv").write_text(table, encoding="utf-8")
    svg = render(list(places([read(one_seed), read(other)])), 2, ".svg").decode()
    assert "shapes, resnet20" in svg
    assert "digits, resnet20" in svg


def test_a_name_that_is_markup_stays_text(one_seed: Path, make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "evil")
    table = (folder / "points.csv").read_text(encoding="utf-8").replace("earlyexit", "<script>alert(1)</script>")
    (folder / "points.csv").write_text(table, encoding="utf-8")
    svg = render(list(places([read(folder)])), 1, ".svg").decode()
    assert "<script" not in svg
    assert "&lt;script" in svg
