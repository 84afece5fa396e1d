"""Tables that lie beside a record, read as the files whose hashes it has."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks import runrecord
from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.trust import sha256


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the files of these names that there are, as a record has them under `files`."""
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


def table(folder: Path, name: str, by: str = "run.json") -> str:
    """The text of a table that the record `by` vouches for; UsageError, one line, where it cannot be read or is
    damaged."""
    record = folder / by
    try:
        expected = runrecord.hash_of(received.record(record), name) if record.is_file() else None
        return received.table(folder / name, expected)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {folder / name}: {error}") from None


def rows(folder: Path, name: str, by: str = "run.json") -> list[dict[str, str]]:
    """Its lines by the names of its columns; UsageError, one line, where it cannot be read or is damaged."""
    try:
        return received.parsed(table(folder, name, by), name)
    except ValueError as error:
        raise UsageError(f"cannot read {folder / name}: {error}") from None
