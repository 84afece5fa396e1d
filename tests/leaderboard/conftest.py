"""Real entries of a run of seconds: what every test of the leaderboard reads, or changes a copy of."""

import shutil
from pathlib import Path

import pytest
from entering import Made, Silence

from benchmarks.config import configure
from benchmarks.leaderboard.bundle import INLINED, bundle
from benchmarks.leaderboard.entry import FOLDER, Entry
from benchmarks.leaderboard.shelf import lay
from benchmarks.plan import prepare
from benchmarks.runner import Runner
from benchmarks.stored import read


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Four methods on digits, three seeds of one epoch: static and per-sample points, a threshold, a policy."""
    house = tmp_path_factory.mktemp("leaderboard")
    methods = "sdpoint,earlyexit,earlyexit:routing=learned"
    asked = {"dataset": "digits", "backbone": "resnet8", "epochs": 1, "points": 8, "seeds": "0,1,2", "methods": methods}
    config = configure({**asked, "latency": "off", "threads": 1, "output": house / "run"})
    Runner(prepare(config), lambda _: Silence()).run()
    run = read(house / "run")
    entries = {entry.label: entry for entry in bundle(run, [], "closed", "none", INLINED)}
    folder = house / "board"
    (folder / "weights").mkdir(parents=True)
    shutil.copy(FOLDER / "datasets.toml", folder)
    lay(list(entries.values()), run, folder / "weights")
    return Made(run, entries, folder)


@pytest.fixture
def early(made: Made) -> Entry:
    """The entry of early exits: thresholds, so trails that differ from image to image."""
    return made.entries["earlyexit"]


@pytest.fixture
def board(made: Made, tmp_path: Path) -> Path:
    """A leaderboard's folder of the test's own, without entries."""
    return Path(shutil.copytree(made.folder, tmp_path / "board"))
