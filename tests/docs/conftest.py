"""One tiny finished run that the pages' snippets read, in the folder they name it by: `runs/study`."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.config import configure
from benchmarks.plan import prepare
from benchmarks.runner import Runner

RUN = {
    "methods": "sdpoint,earlyexit", "dataset": "digits", "backbone": "resnet8:width=4", "epochs": 1, "points": 8,
    "latency": "off", "threads": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/study` in it, its points timed as if on a very quiet machine."""
    folder = tmp_path_factory.mktemp("home")
    run = folder / "runs" / "study"
    config = configure({**RUN, "output": run})
    Runner(prepare(config), lambda _: nullcontext(lambda progress: None)).run()
    points = pd.read_csv(run / "points.csv").query("kind == 'point'")
    condition = {"scenario": "single", "backend": "eager", "precision": "float32", "device": "cpu", "threads": 1,
                 "batch_size": 1, "protocol": "quick-2", "execution": "executed", "flags": ""}  # fmt: skip
    figures = ["p50_ms", "p90_ms", "p99_ms", "low_ms", "high_ms"]
    rows = points[["method", "variant", "backbone", "dataset", "seed", "point"]].assign(**condition)
    rows = rows.assign(**dict.fromkeys(figures, points["macs"] / 1e5), images_per_s=1e8 / points["macs"])
    rows.to_csv(run / "latency.csv", index=False)
    return folder


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of whoever follows a page, with a cache of its own and one thread."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("COST_ADJUSTABLE_CACHE", str(home / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    threads = torch.get_num_threads()
    yield home
    torch.set_num_threads(threads)
