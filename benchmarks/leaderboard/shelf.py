"""The leaderboard's folder: `entries/`, the weights they bring in `weights/`, and `datasets.toml`."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.core.errors import UsageError
from benchmarks.leaderboard.entry import Entry, read, write
from benchmarks.leaderboard.registered import FILE
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


def lay(made: Sequence[Entry], run: StoredRun, place: Path) -> None:
    """Copy the weights that entries bring, each under its hash, into a folder of their own."""
    for entry in made:
        models = {model.seed: model for model in run.models if model.label == entry.label}
        for seed in entry.seeds:
            if seed.weights.inline:
                shutil.copyfile(models[seed.seed].weights, place / _file(seed.weights.sha256))


def put(entry: Entry, laid: Path, folder: Path) -> Path:
    """Write an entry, with the weights that it brings, in place of the one there was of the same; gives its file.

    A folder that is no leaderboard yet becomes one, with the suite's data sets. `laid`: where its weights lie.
    """
    old = [path for path in own(folder) if read(path).about == entry.about]
    brought = {path: _brought(read(path)) for path in old}
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    if not (folder / FILE.name).exists():
        shutil.copyfile(FILE, folder / FILE.name)
    for digest in _brought(entry):
        if not weights(folder, digest).exists():
            shutil.copyfile(laid / _file(digest), weights(folder, digest))
    written = write(entry, folder / "entries")
    for path in set(old) - {written}:
        path.unlink()
    wanted = {digest for one in entries(folder) for digest in _brought(one)}
    for digest in {digest for digests in brought.values() for digest in digests} - wanted:
        weights(folder, digest).unlink(missing_ok=True)
    return written


def _brought(entry: Entry) -> set[str]:
    """The hashes of the weights that an entry brings."""
    return {seed.weights.sha256 for seed in entry.seeds if seed.weights.inline}


def weights(folder: Path, digest: str) -> Path:
    """Where weights lie that an entry brings."""
    return folder / "weights" / _file(digest)


def _file(digest: str) -> str:
    return f"{digest}.safetensors"
