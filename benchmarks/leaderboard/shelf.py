"""The leaderboard's folder: `entries/`, the weights they bring in `weights/`, and `datasets.toml`."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.leaderboard.entry import Entry, read, write
from benchmarks.stored import StoredRun


def files(places: Iterable[Path]) -> list[Path]:
    """The files of entries in these places, folders opened; UsageError for a place that is not there."""
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise UsageError(f"there is no {place}")
        found += sorted(place.glob("*.json")) if place.is_dir() else [place]
    return found


def own(folder: Path) -> list[Path]:
    """The files of all entries of a leaderboard; none where nothing was submitted yet."""
    place = folder / "entries"
    return files([place]) if place.is_dir() else []


def entries(folder: Path) -> list[Entry]:
    """All entries of a leaderboard."""
    return [read(path) for path in own(folder)]


def lay(made: Sequence[Entry], run: StoredRun, folder: Path) -> list[Path]:
    """Copy the weights that entries bring beside them, each under its hash; gives the new files."""
    new = []
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    for entry in made:
        models = {model.seed: model for model in run.models if model.label == entry.label}
        for seed in entry.seeds:
            path = weights(folder, seed.weights.sha256)
            if seed.weights.inline and not path.exists():
                shutil.copyfile(models[seed.seed].weights, path)
                new.append(path)
    return new


def put(entry: Entry, folder: Path) -> Path:
    """Write an entry in place of the one there was of the same; gives its file."""
    for path in own(folder):
        if read(path).about == entry.about:
            path.unlink()
    return write(entry, folder / "entries")


def clear(candidates: Iterable[Path], folder: Path) -> None:
    """Remove those of these weights that no entry brings."""
    wanted = {seed.weights.sha256 for entry in entries(folder) for seed in entry.seeds if seed.weights.inline}
    for path in candidates:
        if path.stem not in wanted:
            path.unlink()


def weights(folder: Path, digest: str) -> Path:
    """Where weights lie that an entry brings."""
    return folder / "weights" / f"{digest}.safetensors"
