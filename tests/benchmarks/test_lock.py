"""One process at a time writes into a run's folder; who reads does not ask."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from harness import Finished
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.core.errors import UsageError
from benchmarks.core.lock import HOLDER, LOCK, held, held_run

HOLDING = """
import sys, time
from pathlib import Path
from benchmarks.core.lock import held
from methods.written import aside
folder = Path(sys.argv[1])
with held(folder), aside(folder / "run.json") as file:
    file.write(b"half")
    print("held", flush=True)
    time.sleep(60)
"""


def test_who_comes_second_is_told_the_folder_and_the_process_and_goes_on_when_it_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with held(folder), pytest.raises(UsageError) as told, held(folder):
        pass
    line = f"{folder} is in use by process {os.getpid()}: let that command end first, or add --wait"
    assert str(told.value) == line
    (folder / HOLDER).write_text("nonsense")
    with held(folder):
        assert (folder / HOLDER).read_text() == str(os.getpid())
    assert [path.name for path in folder.iterdir()] == [LOCK]


def test_a_holder_that_is_not_known_is_another_process(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / HOLDER).write_text("12; rm")
        with pytest.raises(UsageError, match="is in use by another process: "), held(tmp_path):
            pass


def test_who_waits_goes_on_when_the_other_ends(tmp_path: Path) -> None:
    free, said = threading.Event(), list[str]()

    def first() -> None:
        with held(tmp_path):
            free.wait(20)

    thread = threading.Thread(target=first)
    thread.start()
    while not (tmp_path / HOLDER).exists():
        time.sleep(0.01)

    def tell(line: str) -> None:
        said.append(line)
        free.set()

    with held(tmp_path, wait=True, say=tell):
        assert said == [f"{tmp_path} is in use by process {os.getpid()}: waiting"]
    thread.join()


def test_what_a_killed_process_held_and_left_half_written_is_free_and_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDING, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"in use by process {process.pid}"), held(tmp_path):
            pass
        assert [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]
        process.kill()
    with held(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    with held_run(tmp_path / "none"), held_run(tmp_path):
        assert not list(tmp_path.iterdir())


@pytest.fixture
def busy(finished: Finished, tmp_path: Path) -> Path:
    """A copy of a finished run that another process writes into."""
    folder = tmp_path / "busy"
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("checkpoints"))
    return folder


WRITING = {
    "run": ["run", "--methods", "plain", "--dataset", "digits", "--epochs", "2", "--latency", "off", "--output"],
    **{verb: [verb] for verb in ("time", "scales", "analyse", "claims", "report")},
}


@pytest.mark.parametrize("verb", WRITING)
def test_every_verb_that_writes_into_a_run_is_told(verb: str, busy: Path) -> None:
    with held(busy):
        done = CliRunner().invoke(app, [*WRITING[verb], str(busy)], standalone_mode=False)
    assert isinstance(done.exception, UsageError), done.output
    assert str(done.exception).startswith(f"{busy} is in use by process {os.getpid()}: ")


def test_who_reads_a_run_does_not_ask(busy: Path, tmp_path: Path) -> None:
    folder = str(busy)
    commands = [
        ["report", folder, "--text"], ["report", folder, "--output", str(tmp_path / "page.html")],
        ["pick", folder, "--max-macs", "1G"], ["analyse", folder, "--output", str(tmp_path / "analysis")],
    ]  # fmt: skip
    with held(busy):
        for command in commands:
            done = CliRunner().invoke(app, command, standalone_mode=False)
            assert done.exception is None, command
