"""Sheets of images travel inside the page, within a limit."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.data.records import Run, read
from reports.html import pictures
from reports.html.render import page


@pytest.fixture
def illustrated(one_seed: Path, tmp_path: Path) -> Run:
    """A run with two sheets of noise."""
    (tmp_path / "analysis").mkdir()
    for name in ("sdpoint", "earlyexit"):
        noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "analysis" / f"sheet-{name}-default-resnet20-shapes-s0-0a1b2c3d.png")
    return replace(read(one_seed), folder=tmp_path)


def test_sheets_are_shown_as_images_of_the_same_size(illustrated: Run) -> None:
    sheets, left_out = pictures.sheets([illustrated])
    assert [sheet.name for sheet in sheets] == [
        "earlyexit-default-resnet20-shapes-s0",
        "sdpoint-default-resnet20-shapes-s0",
    ]
    assert left_out == 0
    image = Image.open(io.BytesIO(base64.b64decode(sheets[0].address.partition(",")[2])))
    assert image.size == (80, 60)
    assert page([illustrated]).count('<img class="sheet" src="data:image/webp;base64,') == 2


def test_sheets_past_the_limit_are_counted(illustrated: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", len(pictures.sheets([illustrated])[0][0].address))
    sheets, left_out = pictures.sheets([illustrated])
    assert (len(sheets), left_out) == (1, 1)


def test_a_page_of_many_runs_has_none(illustrated: Run) -> None:
    assert pictures.sheets([illustrated] * (pictures.RUNS + 1)) == ([], 0)
