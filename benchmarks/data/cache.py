"""Arrays that are dear to make, kept between runs.

One file a key. A file that cannot be read, or is not what the key names, is made again; a cache that cannot
be written costs a warning, never the run. The least recently used files of a kind go when there is too much.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

Arrays = dict[str, npt.NDArray[Any]]

_VARIABLE = "COST_ADJUSTABLE_CACHE"
LIMIT = 20 * 2**30
"""Bytes of stored arrays whose keys begin alike, up to the first dash."""


def folder() -> Path:
    """Where cached arrays lie: the user's cache folder, or what COST_ADJUSTABLE_CACHE says."""
    return Path(os.environ.get(_VARIABLE) or platformdirs.user_cache_dir("cost-adjustable-inference"))


def cached(key: str, make: Callable[[], Arrays], valid: Callable[[Arrays], bool] = bool) -> Arrays:
    """The arrays stored as `key`, or those that `make` returns, which are then stored.

    Stored arrays that are not `valid` are made again. Never unpickles: object arrays are refused.
    """
    path = folder() / f"{key}.npz"
    stored = _read(path)
    if stored is not None and valid(stored):
        with contextlib.suppress(OSError):
            os.utime(path)  # used just now
        return stored
    arrays = make()
    try:
        _write(path, arrays)
    except OSError as error:
        reason = error.strerror or error
        warnings.warn(f"cannot cache in {path.parent} ({reason}): it is made again next time", stacklevel=2)
    with contextlib.suppress(OSError):  # not written, or somebody else removed one
        _prune(path)
    return arrays


def _read(path: Path) -> Arrays | None:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception:  # absent, or damaged: what that makes numpy raise depends on where
        return None


def _write(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write aside and rename, so that a reader sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as stream:
            # No `allow_pickle=False`: numpy before 2.1 would store it as one of the arrays. Reading refuses objects.
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _prune(newest: Path) -> None:
    """Remove the least recently used files of its kind, never `newest` itself, until LIMIT holds."""
    kind = newest.name.partition("-")[0]
    others = [(path.stat(), path) for path in newest.parent.glob(f"{kind}-*.npz") if path != newest]
    total = newest.stat().st_size + sum(stat.st_size for stat, _ in others)
    for stat, path in sorted(others, key=lambda other: other[0].st_mtime_ns):
        if total <= LIMIT:
            break
        path.unlink(missing_ok=True)
        total -= stat.st_size
