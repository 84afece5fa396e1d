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

from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import Progress
from benchmarks.core.trust import sha256
from benchmarks.core.written import write_text

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
    files: dict[str, str] = {}
    """SHA-256 of what the job wrote, by the path from the run's folder."""


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


def read_record(path: Path) -> Record:
    """The record in a file; OSError or ValueError, pydantic's among them, where it is damaged."""
    try:
        content = json.loads(received.text(path, received.TABLE))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict) or received.SEAL not in content:
        raise ValueError("it has no seal")
    received.check_seal(content, path.name)
    return Record.model_validate(content)


class Store:
    """The folder of one run. Folders are made when the first record is written."""

    FOLDERS = ("jobs", "paths", "models", "checkpoints")

    def __init__(self, root: Path, say: Callable[[str], None] = lambda line: None) -> None:
        """`say`: told of what is damaged, a line each."""
        self.root = root
        self.say = say
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
        """The record of this job, if it was done before with the same inputs and its files are what it wrote.

        What is damaged is said, and None, so that it is made again.
        """
        key = key_of(inputs)
        if not self.lies(kind, name, inputs):
            return None
        try:
            record = read_record(self._path(kind, name, key))
        except (OSError, ValueError) as error:
            self.say(f"made again: {self._path(kind, name, key)} is damaged ({' '.join(str(error).split())})")
            return None
        if record.key != key or not all(self._whole(record, path) for path in outputs):
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
        self.done.add(key)
        return self.vouch(record, outputs)

    def vouch(self, record: Record, outputs: Sequence[Path]) -> Record:
        """The record of what lies in `outputs` now, written. They are on the disk already: this says that they are."""
        files = {self._relative(path): sha256(path) for path in outputs}
        record = record.model_copy(update={"files": files})
        content = received.sealed(record.model_dump(mode="json"))
        write_text(self._path(record.kind, record.name, record.key), json.dumps(content, indent=1))
        return record

    def lies(self, kind: str, name: str, inputs: Mapping[str, Any]) -> bool:
        """Whether this job was done here, whatever became of its files."""
        return self._path(kind, name, key_of(inputs)).exists()

    def _whole(self, record: Record, path: Path) -> bool:
        """Whether a file is what the job wrote; what is not is said."""
        recorded = record.files.get(self._relative(path))
        if path.is_file() and sha256(path) == recorded:
            return True
        state = "damaged, or of a run that was stopped" if path.is_file() else "gone"
        self.say(f"made again: {path} is {state}")
        return False

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _path(self, kind: str, name: str, key: str) -> Path:
        return self.root / "jobs" / f"{safe(name)}-{kind}-{key[:8]}.json"
