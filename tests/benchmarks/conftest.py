"""One finished run that many tests read, and a cache folder that is not the user's."""

from pathlib import Path

import pytest
from harness import METHODS, Finished, do, small


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished") / "run"
    return Finished(folder, *do(small(folder, methods=METHODS, epochs=2)))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("COST_ADJUSTABLE_CACHE", str(folder))
    return folder
