"""Files that are written whole: aside, onto the disk, then renamed. A reader sees the old one or the new one.

What is written aside has a name of its own, so that two processes never write into one file, and a link that lies
there is not followed. Files have the permissions that files usually have.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial"
"""What the name of a file ends in that is not whole yet; it begins with a dot."""


@contextmanager
def aside(path: Path) -> Iterator[BinaryIO]:
    """A file to write; where the block ends without an error it is on the disk, and is `path`."""
    partial = path.with_name(f".{path.name[:150]}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a whole file."""
    with aside(path) as file:
        file.write(content)


def sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> int:
    """Remove what killed processes left half-written in a folder and those below it; how many files that were.

    Only for who knows that nobody else writes there.
    """
    left = [path for path in folder.rglob(f".*{PARTIAL}") if path.is_file() or path.is_symlink()]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
