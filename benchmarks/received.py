"""Records that somebody else may have written: read as far as they are of a size that records have, and shown as they
are, without what steers a terminal. Reports use it too: without torch."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from methods.texts import visible

__all__ = ["RECORD", "TABLE", "record", "rows", "table", "text", "visible"]

RECORD = 2**24
"""Bytes of a JSON record; a run of twenty methods and five seeds takes one."""
TABLE = 2**28
"""Bytes of a CSV file."""


def text(path: Path, most: int) -> str:
    """The text of a file; ValueError where it is no file of at most `most` bytes of UTF-8, OSError where it cannot be
    read. FileNotFoundError where there is none."""
    if path.exists() and not path.is_file():  # a pipe or a device never ends
        raise ValueError(f"{path.name} is no file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path.name} has more than {most:,} bytes")
    return content.decode("utf-8")


def record(path: Path) -> Any:
    """The JSON in a file; ValueError or OSError where there is none that can be read."""
    try:
        return _visible(json.loads(text(path, RECORD)))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def table(path: Path) -> str:
    """The CSV in a file; ValueError or OSError where it cannot be read."""
    return visible(text(path, TABLE))


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file by the names of its columns; ValueError or OSError where it cannot be read, or where a
    line has more or fewer fields than there are names."""
    try:
        found = list(csv.DictReader(io.StringIO(table(path), newline="")))
    except csv.Error as error:
        raise ValueError(f"{path.name}: {error}") from None
    if any(None in row or None in row.values() for row in found):
        raise ValueError(f"{path.name}: a line has more or fewer fields than there are columns")
    return found


def _visible(value: Any) -> Any:
    if isinstance(value, dict):
        return {visible(key): _visible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_visible(inner) for inner in value]
    return visible(value) if isinstance(value, str) else value
