"""What an entry says of the program that made it, against the registry and the history of this clone. No torch.

A clone may be shallow, or none at all: a commit that is not in it says nothing, one that is there is looked at.
"""

import datetime
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.leaderboard.entry import PROTOCOL, Entry
from benchmarks.store import key_of
from methods.registry import entries as known_methods

HOUSE = Path(__file__).parents[2]
OLDEST = (3, 11)
"""The Python that the suite needs."""


class Commit(NamedTuple):
    """A commit of this clone: its day, and the version that every method had."""

    day: datetime.date
    versions: dict[str, int]


def version_problems(entry: Entry) -> list[str]:
    """Versions of the method and of the protocol that never were."""
    method, problems = known_methods().get(entry.method), []
    if not 1 <= entry.protocol <= PROTOCOL:
        problems.append(f"protocol {entry.protocol} never was: today's is {PROTOCOL}")
    if method is not None and not 1 <= entry.method_version <= method.version:
        problems.append(f"{entry.method} never had a version {entry.method_version}: today's is {method.version}")
    made = commit_of(entry.environment.commit)
    had = None if made is None else made.versions.get(entry.method)
    if made is not None and had is None:
        problems.append(f"at its commit there was no {entry.method}")
    elif had is not None and had != entry.method_version:
        problems.append(f"at its commit {entry.method} had version {had}, not {entry.method_version}")
    return problems


def environment_problems(entry: Entry) -> list[str]:
    """What of the environment cannot be, or is not what its other parts say."""
    told, problems = entry.environment, []
    parts = {name: getattr(told, name) for name in ("platform", "cpu", "device", "gpu")}
    if told.machine != machine(parts):
        problems.append("the machine is not the hash of its platform, processor and device")
    if (told.gpu is not None) != told.device.startswith("cuda"):
        problems.append(f"a device {told.device} goes with {'no' if told.gpu else 'the name of a'} graphics processor")
    if told.threads < 1:
        problems.append(f"{told.threads} threads compute nothing")
    version = re.match(r"(\d+)\.(\d+)", told.python)
    if version is None or tuple(map(int, version.groups())) < OLDEST:
        problems.append(f"the suite does not run on Python {told.python}")
    made = commit_of(told.commit)
    if made is not None and _day(entry.date) < made.day - datetime.timedelta(days=1):
        problems.append(f"it was made on {entry.date}, its commit on {made.day}")
    return problems


def machine(about: dict[str, str | None]) -> str:
    """A short hash of the platform, the processor and the device."""
    return key_of(about)[:12]


def commit_warnings(entry: Entry) -> list[str]:
    """Why nobody can look up here which program made an entry."""
    told = entry.environment
    if told.uncommitted_changes:
        return ["it was made with changes that were not committed: nobody else has them"]
    if told.commit is None:
        return ["it names no commit"]
    if commit_of(told.commit) is None:
        return [f"its commit {told.commit[:12]!r} is not in this clone, which may be shallow"]
    return []


def _day(text: str) -> datetime.date:
    """The day of an entry; of one that never was, which another rule refuses, the last there is."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return datetime.date.max


@cache
def commit_of(name: str | None) -> Commit | None:
    """A commit by its full hash; None where this clone does not have it."""
    if name is None or not re.fullmatch(r"[0-9a-f]{40}", name):
        return None
    day, registry = _git("show", "-s", "--format=%cs", name), _git("show", f"{name}:methods/registry.toml")
    if day is None or registry is None:
        return None
    versions = {method: int(row.get("version", 1)) for method, row in tomllib.loads(registry).items()}
    return Commit(datetime.date.fromisoformat(day.strip()), versions)


def _git(*arguments: str) -> str | None:
    """What git says of this clone; None where there is none, or not that commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(HOUSE), "--no-replace-objects", *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
    return done.stdout
