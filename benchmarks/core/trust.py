"""Which Python files of a user's this call may execute: those that its command line names, or all with `--trust`.

A run that somebody made may name files: in its configuration, its models' settings, its weights' files. None of them
is executed because the run says so.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.core.errors import UsageError


@dataclass(frozen=True)
class Trust:
    """What a call allows: `files`, resolved, or `everything`."""

    files: frozenset[Path] = field(default_factory=frozenset)
    everything: bool = False

    @classmethod
    def of(cls, named: Iterable[Path], everything: bool = False) -> "Trust":
        """What a command line allows that names these files, and says `--trust` or not."""
        return cls(frozenset(map(resolved, named)), everything)

    def allows(self, file: Path) -> bool:
        """Whether this file may be executed, by whatever path it is reached."""
        return self.everything or resolved(file) in self.files

    def check(self, who: str, locations: Iterable[str], digests: Mapping[str, str]) -> None:
        """UsageError, one line, unless all of `locations`, FILE.py:FUNCTION, may be executed, and are what they were.

        `who` would execute them; `digests`: SHA-256 of the files as recorded, by location.
        """
        for location in locations:
            file = file_of(location)
            if not self.allows(file):
                raise UsageError(
                    f"{who} takes a network from {file}, which would be executed: nothing ran. "
                    f"Name it with --plugin {file}, or say --trust, if you trust it"
                )
            if location in digests and file.is_file() and sha256(file) != digests[location]:
                raise UsageError(f"{file} is not the file that {who} was made with: its hash differs; run it again")


NOTHING = Trust()
"""Execute no file of anybody's."""


def resolved(file: Path) -> Path:
    """The one path of a file, links followed as far as they lead anywhere."""
    return Path(os.path.realpath(file.expanduser()))


def file_of(location: str) -> Path:
    """The file in FILE.py:FUNCTION."""
    return Path(location.rpartition(":")[0])


def sha256(file: Path) -> str:
    """Hash of a file's content."""
    with file.expanduser().open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def locations(settings: Any) -> Iterator[str]:
    """All FILE.py:FUNCTION in settings as they are written down."""
    if isinstance(settings, dict | list | tuple):
        for value in settings.values() if isinstance(settings, dict) else settings:
            yield from locations(value)
    elif isinstance(settings, str) and ".py:" in settings:
        yield settings
