"""Data sets that torchvision downloads, checks and reads."""

from __future__ import annotations

import contextlib
import http.client
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data.cache import folder
from benchmarks.data.errors import DataError

Reader = Callable[..., Any]

# missing, unreadable, damaged or unreachable, as torchvision's readers say it
_FAILURES = (RuntimeError, OSError, http.client.HTTPException, ValueError, TypeError, LookupError, AssertionError)


def opened(name: str, reader: Reader, root: Path | None) -> Any:
    """What `reader(place)` makes of the files in `root`, or in the cache folder.

    Where it fails, `reader(place, download=True)` is tried. Raises DataError where the files are missing or
    damaged and cannot be downloaded.
    """
    place = root if root is not None else folder() / "downloads"
    if place.exists() and not place.is_dir():
        raise DataError(f"{place} is not a folder: --data-root takes the folder that {name} is in or goes to")
    with contextlib.suppress(*_FAILURES):
        return reader(str(place))
    existed = place.exists()
    try:
        return reader(str(place), download=True)
    except _FAILURES as error:
        if not existed:
            _remove_empty(place)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name} is not complete in {place} and could not be downloaded ({reason}): put its files there"
        ) from error


def _remove_empty(place: Path) -> None:
    """Remove the folders below and at `place` that hold nothing."""
    for path, _, _ in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)
