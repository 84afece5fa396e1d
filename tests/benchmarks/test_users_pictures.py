"""Whole runs on small and odd sets of pictures."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import do, points
from PIL import Image
from rich.console import Console

from benchmarks.config import configure
from methods.storage import load
from reports.console import overview
from reports.data import records, tables
from reports.html import render


def pictures(root: Path, classes: int, count: int, size: tuple[int, int]) -> Path:
    """`count` training and two test pictures of (width, height) in each class, in folders with odd names."""
    draws = np.random.default_rng(0)
    for part, number in (("train", count), ("test", 2)):
        for label in range(classes):
            folder = root / part / f"clàss {label}"
            folder.mkdir(parents=True)
            for i in range(number):
                pixels = draws.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("classes", "count", "size"), [(2, 4, (8, 8)), (3, 5, (13, 8)), (2, 33, (8, 16)), (6, 22, (9, 9))]
)
def test_small_sets_of_odd_pictures_run_through(
    classes: int, count: int, size: tuple[int, int], tmp_path: Path
) -> None:
    root = pictures(tmp_path / "data", classes, count, size)
    _, outcome = do(
        configure({
            "dataset": "imagefolder", "data_root": root, "dataset_name": "mine/ünï", "epochs": 1, "threads": 1,
            "latency": "off", "output": tmp_path / "run",
        })
    )  # fmt: skip
    assert not outcome.failures
    found = points(tmp_path / "run")
    assert set(found["dataset"]) == {"mine/ünï"}
    assert set(found["samples"]) == {2 * classes}
    assert found["accuracy"].between(0, 1).all()
    assert load(outcome.results[0].model).image_shape == (3, size[1], size[0])
    assert all(path.name.isascii() for path in (tmp_path / "run").rglob("*"))


def test_long_names_make_files_of_a_length_that_any_system_takes(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", 2, 4, (8, 8))
    options = {"dataset": "imagefolder", "data_root": root, "epochs": 1, "threads": 1, "latency": "off"}
    methods = "sdpoint,sdpoint:bn=uniform"
    do(configure({**options, "dataset_name": "n" * 400, "methods": methods, "output": tmp_path / "run"}))
    names = [path.name for path in (tmp_path / "run").rglob("*")]
    assert max(len(name) for name in names) < 240
    assert len(list((tmp_path / "run/models").iterdir())) == 3
    found = points(tmp_path / "run")
    assert pd.unique(found["variant"]).tolist() == ["default", "bn=uniform"]


def test_a_constant_guess_of_the_commonest_class_is_the_chance_line(tmp_path: Path) -> None:
    """Noise of which 40 in 42 are of one class: nothing can be learned but that."""
    draws = np.random.default_rng(0)
    for part, name, count in (("train", "ant", 80), ("train", "bee", 8), ("test", "ant", 40), ("test", "bee", 2)):
        (tmp_path / "data" / part / name).mkdir(parents=True)
        for k in range(count):
            pixels = draws.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / part / name / f"{k}.png")
    folder = tmp_path / "run"
    options = {"dataset": "imagefolder", "data_root": tmp_path / "data", "epochs": 2, "threads": 1, "latency": "off"}
    do(configure({**options, "methods": "earlyexit", "output": folder}))
    run = records.read(folder)
    assert run.chance == 40 / 42
    assert run.section("data")["commonest_class"] == "ant"
    found = points(folder)
    own = found[found["kind"] == "point"]
    guess = own[own["accuracy"] == 40 / 42]
    assert len(guess)
    assert set(guess["balanced_accuracy"]) == {0.5}
    assert own["accuracy_top5"].isna().all()
    assert "always guessing ant is right on 95.2% of the test images: balanced_accuracy tells more" in run.entries(
        "warnings"
    )
    assert tables.summaries(run)["summary"].max() <= 40 / 42 + 1e-9
    printed = StringIO()
    overview.show(folder, Console(file=printed, width=160))
    text = printed.getvalue()
    assert "balanced %" in text
    assert "a method guesses the commonest class (95.2%)" in " ".join(text.split())
    render.write(folder)
    assert "guesses the commonest class of the test images (95.2%)" in (folder / "report.html").read_text()
