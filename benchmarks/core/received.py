"""Records that somebody else may have written: read as far as they are of a size that records have, and shown as they
are, without what steers a terminal. Reports use it too: without torch."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from methods.texts import visible

__all__ = ["RECORD", "SEAL", "TABLE", "check_seal", "parsed", "record", "rows", "sealed", "table", "text", "visible"]

RECORD = 2**24
"""Bytes of a JSON record; a run of twenty methods and five seeds takes one."""
TABLE = 2**28
"""Bytes of a CSV file."""
SEAL = "seal"
"""The field of a record that holds the SHA-256 of all others, so that a flipped bit is no other figure."""


def text(path: Path, most: int, sha256: str | None = None) -> str:
    """The text of a file; ValueError where it is no file of at most `most` bytes of UTF-8, or not the one with this
    SHA-256, OSError where it cannot be read. FileNotFoundError where there is none."""
    if path.exists() and not path.is_file():  # a pipe or a device never ends
        raise ValueError(f"{path.name} is no file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path.name} has more than {most:,} bytes")
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise _changed(path.name)
    return content.decode("utf-8")


def record(path: Path) -> Any:
    """The JSON in a file; ValueError or OSError where there is none that can be read."""
    try:
        found = json.loads(text(path, RECORD))
        check_seal(found, path.name)
        return _visible(found)
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the seal that fits it."""
    return {**record, SEAL: _digest(json.loads(json.dumps(record)))}


def check_seal(record: Any, name: str) -> None:
    """ValueError where a record has a seal that does not fit; one written by hand has none."""
    if isinstance(record, dict) and SEAL in record and record[SEAL] != _digest(record):
        raise _changed(name)


def _changed(name: str) -> ValueError:
    return ValueError(f"{name} is damaged or was changed since it was written: repeat the command that made it")


def _digest(record: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in record.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def table(path: Path, sha256: str | None = None) -> str:
    """The CSV in a file; ValueError or OSError where it cannot be read, or is not the one with this SHA-256."""
    return visible(text(path, TABLE, sha256))


def rows(path: Path, sha256: str | None = None) -> list[dict[str, str]]:
    """The lines of a CSV file by the names of its columns; ValueError or OSError where it cannot be read, is not the
    one with this SHA-256, or where a line has more or fewer fields than there are names."""
    return parsed(table(path, sha256), path.name)


def parsed(content: str, name: str) -> list[dict[str, str]]:
    """The lines of a CSV text by the names of its columns; ValueError where a line has more or fewer fields."""
    try:
        found = list(csv.DictReader(io.StringIO(content, newline="")))
    except csv.Error as error:
        raise ValueError(f"{name}: {error}") from None
    if any(None in row or None in row.values() for row in found):
        raise ValueError(f"{name}: a line has more or fewer fields than there are columns")
    return found


def _visible(value: Any) -> Any:
    if isinstance(value, dict):
        return {visible(key): _visible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_visible(inner) for inner in value]
    return visible(value) if isinstance(value, str) else value
