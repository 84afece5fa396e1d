"""A run on disk: a folder of records, one per job, keyed by the hash of what the job depends on."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks import received
from benchmarks.errors import UsageError
from benchmarks.progress import Progress
from benchmarks.written import write_text

Work = Callable[[], Generator[Progress, None, dict[str, Any]]]
"""What a job does: yields its progress, returns its result."""


class Record(BaseModel):
    """A finished job: what it was, what it depended on, how long it took, and its result."""

    model_config = ConfigDict(frozen=True)
    kind: str
    name: str
    key: str
    inputs: dict[str, Any]
    seconds: float
    result: dict[str, Any] = {}


def key_of(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of what a job depends on."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def safe(text: str, longest: int = 150) -> str:
    """A text as part of a file name; what is too long for one ends in a hash of the whole."""
    name = re.sub(r"[^A-Za-z0-9._=+-]+", "_", text)
    if len(name) <= longest:
        return name
    return f"{name[: longest - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class Store:
    """The folder of one run. Folders are made when the first record is written."""

    FOLDERS = ("jobs", "paths", "models", "checkpoints")

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: set[str] = set()
        self.reused: set[str] = set()

    def check_writable(self) -> None:
        """UsageError if results could not be written here; leaves nothing behind."""
        existing = self.root
        try:
            existing = next(p for p in (self.root, *self.root.absolute().parents) if p.exists())
            if not existing.is_dir():
                raise UsageError(f"{existing} is a file, not a folder: choose another --output")
            probe = existing / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(f"cannot write to {existing} ({error.strerror}): choose another --output") from None

    def prepare(self) -> None:
        """Make the run's folders."""
        for folder in self.FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def finished(self, kind: str, name: str, inputs: Mapping[str, Any], outputs: Sequence[Path]) -> Record | None:
        """The record of this job, if it was done before with the same inputs and its files are there."""
        key = key_of(inputs)
        try:
            record = Record.model_validate_json(received.text(self._path(kind, name, key), received.TABLE))
        except (OSError, ValueError):  # pydantic's and Unicode's errors among them
            return None
        if record.key != key or not all(path.exists() for path in outputs):
            return None
        if key not in self.done:
            self.reused.add(key)
        return record

    def do(
        self,
        kind: str,
        name: str,
        inputs: Mapping[str, Any],
        work: Work,
        outputs: Sequence[Path] = (),
    ) -> Generator[Progress, None, Record]:
        """Do a job and write its record.

        Where it is about to replace `outputs`, records of other inputs that vouch for them go first.
        """
        key = key_of(inputs)
        if outputs:
            for other in self._path(kind, name, "").parent.glob(f"{safe(name)}-{kind}-????????.json"):
                other.unlink()
        started = time.perf_counter()
        result = yield from work()
        seconds = time.perf_counter() - started
        record = Record(kind=kind, name=name, key=key, inputs=dict(inputs), seconds=seconds, result=result)
        write_text(self._path(kind, name, key), record.model_dump_json(indent=1))
        self.done.add(key)
        return record

    def _path(self, kind: str, name: str, key: str) -> Path:
        return self.root / "jobs" / f"{safe(name)}-{kind}-{key[:8]}.json"
