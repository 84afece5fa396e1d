"""Records and reports are written whole: a reader sees the old file or the new one. Reports use it: without torch."""

from pathlib import Path

from methods.written import sweep, write

__all__ = ["sweep", "write", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write a text file; it is whole, or as it was before."""
    write(path, text.encode("utf-8"))
