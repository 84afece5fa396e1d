"""Tables that lie beside run.json, read as the files whose hashes it has."""

from pathlib import Path

from benchmarks import received, runrecord
from benchmarks.errors import UsageError


def table(folder: Path, name: str) -> str:
    """The text of a table in a run's folder; UsageError, one line, where it cannot be read or is damaged."""
    record = folder / "run.json"
    try:
        expected = runrecord.hash_of(received.record(record), name) if record.is_file() else None
        return received.table(folder / name, expected)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {folder / name}: {error}") from None


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    """Its lines by the names of its columns; UsageError, one line, where it cannot be read or is damaged."""
    try:
        return received.parsed(table(folder, name), name)
    except ValueError as error:
        raise UsageError(f"cannot read {folder / name}: {error}") from None
