"""Made-up run folders."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import write_run


@pytest.fixture(scope="session")
def one_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One seed, with latency. Read only."""
    return write_run(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="session")
def three_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds, no latency.csv. Read only."""
    return write_run(tmp_path_factory.mktemp("runs") / "three", seeds=3, timed=False)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """`write_run`, for tests that spoil the folder."""
    return write_run
