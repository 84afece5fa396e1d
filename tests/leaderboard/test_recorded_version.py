"""What an entry says of the program, the machine and the day that made it."""

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest
from entering import Made, changed

from benchmarks.leaderboard import recorded_version
from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.recorded_version import Commit, commit_of

UNKNOWN = "0123456789abcdef0123456789abcdef01234567"


def made_with(entry: Entry, **parts: object) -> Entry:
    return changed(entry, environment=entry.environment.model_copy(update=parts))


@pytest.mark.parametrize("version", [0, -1, 2, 99])
def test_a_version_of_the_method_that_never_was_is_refused(made: Made, early: Entry, version: int) -> None:
    assert made.broken(changed(early, method_version=version)) == {"version"}


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_protocol_that_never_was_is_refused(made: Made, early: Entry, protocol: int) -> None:
    assert "version" in made.broken(changed(early, protocol=protocol, division="open"))


def test_the_version_is_the_one_that_the_method_had_at_the_commit(
    early: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = Commit(datetime.date(2026, 1, 1), {"earlyexit": 2})
    monkeypatch.setattr(recorded_version, "commit_of", lambda name: then)
    assert recorded_version.version_problems(early) == ["at its commit earlyexit had version 2, not 1"]
    monkeypatch.setattr(recorded_version, "commit_of", lambda name: then._replace(versions={}))
    assert recorded_version.version_problems(early) == ["at its commit there was no earlyexit"]


@pytest.mark.parametrize("commit", [UNKNOWN, "HEAD", "--output=x", None])
def test_a_commit_that_is_not_in_the_clone_is_a_warning(made: Made, early: Entry, commit: str | None) -> None:
    entry = made_with(early, commit=commit, uncommitted_changes=False)
    assert made.broken(entry) == set()
    assert made.judged(entry)["commit"].result == "warned"


def test_changes_that_were_not_committed_are_a_warning(made: Made, early: Entry) -> None:
    entry = made_with(early, uncommitted_changes=True)
    assert made.broken(entry) == set()
    assert made.judged(entry)["commit"].problems == [
        "it was made with changes that were not committed: nobody else has them"
    ]


def test_a_day_before_that_of_the_commit_is_refused(made: Made, early: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    then = Commit(datetime.date.fromisoformat(early.date), {"earlyexit": 1})
    monkeypatch.setattr(recorded_version, "commit_of", lambda name: then)
    before = then.day - datetime.timedelta(days=2)
    assert made.broken(early) == set()
    assert made.broken(changed(early, date=before.isoformat())) == {"environment"}


@pytest.mark.parametrize(
    "parts",
    [
        {"machine": "0" * 12}, {"cpu": "64 x something faster"}, {"platform": "another"}, {"threads": 0},
        {"python": "2.7.18"}, {"python": "new"},
    ],
)  # fmt: skip
def test_a_machine_that_cannot_be_is_refused(made: Made, early: Entry, parts: dict[str, object]) -> None:
    assert made.broken(made_with(early, **parts)) == {"environment"}


def test_a_processor_with_the_name_of_a_graphics_processor_is_refused(made: Made, early: Entry) -> None:
    told = early.environment.model_dump(include={"platform", "cpu", "device"}) | {"gpu": "some GPU"}
    mixed = made_with(early, gpu="some GPU", machine=recorded_version.machine(told))
    assert made.broken(mixed) == {"environment"}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_commit_of_the_clone_has_its_day_and_the_versions_of_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "registry.toml").write_text('[one]\nversion = 3\n[two]\ntitle = "has none"\n')
    git("init")
    git("add", ".")
    git("commit", "--message", "first")
    monkeypatch.setattr(recorded_version, "HOUSE", tmp_path)
    commit_of.cache_clear()
    found = commit_of(git("rev-parse", "HEAD"))
    assert found == Commit(datetime.date.fromisoformat(git("show", "-s", "--format=%cs")), {"one": 3, "two": 1})
    assert commit_of(UNKNOWN) is None
    commit_of.cache_clear()
