"""A run that somebody else made, with Python of theirs in it: it goes through every verb, and nothing of it runs."""

import hashlib
import inspect
import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from harness import do, small, unsealed
from typer.testing import CliRunner, Result

import benchmarks
from benchmarks import stored
from benchmarks.cli import app
from benchmarks.core.errors import UsageError
from benchmarks.core.trust import NOTHING, Trust
from benchmarks.leaderboard.bundle import INLINED, bundle
from benchmarks.leaderboard.entry import FOLDER, write
from benchmarks.leaderboard.shelf import lay
from benchmarks.models import built, checked
from methods.errors import MethodError
from methods.storage import load_tensors, save_tensors

MADE = {"methods": "netselect", "set": {"netselect.networks": "resnet8:width=8"}, "points": 4}
ARGUMENTS = [
    "--dataset", "digits", "--epochs", "1", "--latency", "off", "--threads", "1", "--points", "4",
    "--set", "netselect.networks=resnet8:width=8",
]  # fmt: skip
EVIL = """
import pathlib
pathlib.Path({marker!r}).touch()
import torch
from methods.plain import Plain

def make():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10))

class Planted(Plain):
    title, axis, decision, citation = "planted", "none", "static", "nobody"
"""


@dataclass(frozen=True)
class Planted:
    """What was received: a `run`, a leaderboard's folder `board` with entries of it, and the file that is written when
    any of their Python is executed. `honest`: the run before anything was planted in it."""

    run: Path
    board: Path
    honest: Path
    marker: Path

    @property
    def evil(self) -> Path:
        return self.run / "evil.py"

    @property
    def entry(self) -> Path:
        return next(self.board.glob("entries/*netselect*"))


class Trap:
    """Writes the marker where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "run"
    do(small(folder, **MADE))
    return folder


def changed(folder: Path, model: dict[str, Any], content: Callable[[Path], None]) -> None:
    """Change the file of a model, and let run.json vouch for it."""
    path = folder / "models" / f"{model['job']}.safetensors"
    content(path)
    model["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()


def with_networks(honest: Path, tmp_path: Path) -> Planted:
    """Its `netselect` says that a network comes from a file in the run's folder; so do run.json and an entry of it."""
    found = Planted(tmp_path / "run", tmp_path / "board", honest, tmp_path / "marker")
    shutil.copytree(honest, found.run)
    unsealed(found.run)
    found.evil.write_text(EVIL.format(marker=str(found.marker)))
    (found.run / "study.toml").write_text(f'plugin = ["{found.evil}"]\nmethods = ["planted"]\ndataset = "digits"\n')
    networks = [f"{found.evil}:make"]
    record = json.loads((found.run / "run.json").read_text())
    record["configuration"]["plugin"] = [str(found.evil)]
    (model,) = (one for one in record["models"] if one["method"] == "netselect")

    def planted(path: Path) -> None:
        tensors, metadata = load_tensors(path)
        described = json.loads(metadata["model"])
        described["settings"]["networks"] = networks
        save_tensors(tensors, path, {"model": json.dumps(described)})

    changed(found.run, model, planted)
    model["settings"]["networks"] = networks
    model["files"] = {networks[0]: hashlib.sha256(found.evil.read_bytes()).hexdigest()}
    (found.run / "run.json").write_text(json.dumps(record))
    entries = bundle(stored.read(found.run), [], "closed", "none", INLINED)
    (found.board / "weights").mkdir(parents=True)
    shutil.copy(FOLDER / "datasets.toml", found.board)
    lay(entries, stored.read(found.run), found.board / "weights")
    for entry in entries:
        write(entry, found.board / "entries")
    return found


def with_pickles(honest: Path, tmp_path: Path) -> Planted:
    """All its tables and models are pickles, and run.json vouches for them."""
    found = with_networks(honest, tmp_path)
    trap = np.array([Trap(found.marker)], dtype=object)
    for path in (found.run / "paths").iterdir():
        np.savez(path, allow_pickle=True, answers=trap, labels=trap)
    record = json.loads((found.run / "run.json").read_text())
    for number, model in enumerate(record["models"]):
        if number:
            changed(found.run, model, lambda path: torch.save(Trap(found.marker), path))
        else:
            changed(found.run, model, lambda path: path.write_bytes(pickle.dumps(Trap(found.marker))))
    (found.run / "run.json").write_text(json.dumps(record))
    for path in (*(found.run / "checkpoints").iterdir(), *(found.board / "weights").iterdir()):
        path.write_bytes(pickle.dumps(Trap(found.marker)))
    return found


@pytest.fixture
def received(honest: Path, tmp_path: Path) -> Planted:
    return with_networks(honest, tmp_path)


Command = Callable[[Planted], list[str]]
OF_RUNS: dict[str, list[Command]] = {
    "run": [
        lambda p: ["run", "--methods", "netselect", *ARGUMENTS, "--output", str(p.run)],
        lambda p: ["run", "--config", "study.toml", "--epochs", "1", "--output", str(p.run)],
    ],
    "report": [
        lambda p: ["report", str(p.run)],
        lambda p: ["report", ".", "--site", "site", "--figure", "figure.svg"],
        *(lambda p, form=form: ["report", ".", form] for form in ("--text", "--latex", "--csv", "--bibtex")),
    ],
    "cite": [lambda p: ["cite", str(p.entry)]],
    "analyse": [lambda p: ["analyse", str(p.run), "--sheet"]],
    "scales": [lambda p: ["scales", str(p.run), "--limit", "8", "--threads", "1"]],
    "claims": [lambda p: ["claims", str(p.run), "--page", "claims.md"]],
    "pick": [
        lambda p: ["pick", str(p.run), "--max-macs", "1G", "--worst-case"],
        lambda p: ["pick", ".", "--min-accuracy", "1%", "--json"],
    ],
    "time": [lambda p: ["time", str(p.run), "--batch-sizes", "1"], lambda p: ["time", ".", ".", "--compare"]],
    "gate": [
        lambda p: ["gate", str(p.honest), str(p.run)],
        lambda p: ["gate", "--calibrate", str(p.run), "--gates", "1"],
    ],
    "leaderboard submit": [lambda p: ["leaderboard", "submit", str(p.run), "--output", str(p.board)]],
    "leaderboard check": [lambda p: ["leaderboard", "check", "--output", str(p.board)]],
    "leaderboard build": [lambda p: ["leaderboard", "build", "--output", str(p.board)]],
    "leaderboard replay": [
        lambda p: ["leaderboard", "replay", str(p.entry), "--run", str(p.run), "--output", str(p.board)]
    ],
    "leaderboard verify": [
        lambda p: ["leaderboard", "verify", str(p.entry), "--run", str(p.run), "--output", str(p.board)]
    ],
}
"""Every verb that reads a run or an entry, as somebody would try it on one that was received."""
OF_NONE = {"baseline", "check-method", "list"}
"""Verbs that read neither: nothing of a folder but a file that the command line names."""


def verbs(group: Any, above: str = "") -> dict[str, Any]:
    """All verbs of the command line by name, those of groups behind the group's."""
    found = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= verbs(command, f"{above}{name} ") if inner else {f"{above}{name}": command}
    return found


VERBS = verbs(typer.main.get_command(app))


def test_every_verb_is_here() -> None:
    assert {*OF_RUNS, *OF_NONE} == set(VERBS)
    given = {
        name
        for verb in OF_NONE
        for name, kind in inspect.get_annotations(inspect.unwrap(VERBS[verb].callback), eval_str=True).items()
        if "Path" in str(kind)
    }
    assert given == {"plugin"}, "a verb that is given a file or folder belongs to those that are tried on a run"


def ran(command: list[str]) -> Result:
    """The command in this process. What it refuses is one line and no breakdown of the suite."""
    done = CliRunner().invoke(app, command, standalone_mode=False)
    if done.exception is not None:
        assert isinstance(done.exception, UsageError | MethodError), repr(done.exception)
        assert "\n" not in str(done.exception)
    return done


@pytest.mark.parametrize("verb", OF_RUNS)
def test_no_verb_executes_anything_of_a_received_run(
    received: Planted, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(received.run)
    for command in OF_RUNS[verb]:
        ran(command(received))
        assert not received.marker.exists(), command(received)


def test_no_verb_that_reads_tables_or_models_unpickles(
    honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = with_pickles(honest, tmp_path)
    monkeypatch.chdir(planted.run)
    for verb in (*(OF_RUNS.keys() - {"report", "cite", "leaderboard build", "run"}), "run"):  # which makes all again
        for command in OF_RUNS[verb]:
            done = ran(command(planted))
            assert done.return_value != 0 or (verb == "run" and "made again: " in done.stderr), command(planted)
            assert not planted.marker.exists(), command(planted)


@pytest.mark.parametrize(
    "command",
    [OF_RUNS[verb][place] for verb, place in (("scales", 0), ("time", 0), ("gate", 0), ("gate", 1))],
    ids=["scales", "time", "gate", "calibrate"],
)
def test_who_would_execute_a_file_says_which_and_how_to_allow_it(received: Planted, command: Command) -> None:
    said = str(ran(command(received)).exception)
    assert f"takes a network from {received.evil}, which would be executed: nothing ran" in said
    assert f"--plugin {received.evil}" in said
    assert "--trust" in said


def netselect(run: stored.StoredRun) -> stored.Trained:
    return next(model for model in run.models if model.method == "netselect")


@pytest.mark.parametrize("everything", [True, False])
def test_a_file_that_was_named_is_executed(received: Planted, everything: bool) -> None:
    run = stored.read(received.run)
    link = received.run / "link.py"
    link.symlink_to(received.evil)
    trust = Trust.of([] if everything else [link], everything)
    with pytest.raises(MethodError, match="do not fit this model"):
        built(run, netselect(run), trust)
    assert received.marker.exists()
    assert checked(run, netselect(run), trust).request()["trust"] is True


def test_a_file_of_the_same_name_elsewhere_was_not_named(received: Planted, tmp_path: Path) -> None:
    other = tmp_path / "evil.py"
    other.write_text("")
    run = stored.read(received.run)
    with pytest.raises(UsageError, match="nothing ran"):
        checked(run, netselect(run), Trust.of([other]))


def test_a_named_file_that_changed_since_the_run_is_not_executed(received: Planted) -> None:
    received.evil.write_text(received.evil.read_text() + "# changed\n")
    run = stored.read(received.run)
    with pytest.raises(UsageError, match="its hash differs; run it again"):
        built(run, netselect(run), Trust.of([received.evil]))
    assert not received.marker.exists()


def test_python_that_loads_a_run_says_what_it_executes_too(received: Planted) -> None:
    (point,) = (p.name for p in benchmarks.load(received.run).points if p.name.endswith("/full") and "net" in p.name)
    with pytest.raises(UsageError, match="nothing ran"):
        benchmarks.load(received.run).at(point)
    assert not received.marker.exists()
    for run, trust in ((benchmarks.load(received.run), True), (benchmarks.load(received.run, [received.evil]), False)):
        with pytest.raises(MethodError, match="do not fit this model"):
            run.at(point, trust=trust)
        assert received.marker.exists()


def test_a_hash_is_compared_before_anything_is_looked_at(received: Planted) -> None:
    run = stored.read(received.run)
    with netselect(run).weights.open("ab") as file:
        file.write(b" ")
    with pytest.raises(UsageError, match=r"is not the file that was measured: its hash differs from run\.json"):
        built(run, netselect(run), Trust.of([], everything=True))
    assert not received.marker.exists()


@pytest.mark.parametrize(
    "about",
    [
        {"backbone": "resnet8:width=600"}, {"classes": 10_000_000}, {"image_shape": [3, 50_000, 50_000]},
        {"method": "plain", "settings": {"size": 50_000}},
    ],
    ids=lambda about: next(iter(about)),
)  # fmt: skip
def test_a_model_is_not_built_larger_than_its_file(honest: Path, tmp_path: Path, about: dict[str, Any]) -> None:
    """Where run.json says the same: its author wrote both."""
    folder = tmp_path / "run"
    shutil.copytree(honest, folder)
    unsealed(folder)
    record = json.loads((folder / "run.json").read_text())
    model = record["models"][0]

    def enlarged(path: Path) -> None:
        tensors, metadata = load_tensors(path)
        save_tensors(tensors, path, {"model": json.dumps(json.loads(metadata["model"]) | about)})

    changed(folder, model, enlarged)
    (folder / "run.json").write_text(json.dumps(record))
    run = stored.read(folder)
    with pytest.raises((UsageError, MethodError), match=r"describes another model|do not fit|cannot be built"):
        checked(run, run.models[0], NOTHING)


def test_a_file_that_is_a_link_to_itself_is_no_file_and_no_defect(tmp_path: Path) -> None:
    loop = tmp_path / "loop.py"
    loop.symlink_to(loop)
    assert not Trust.of([loop]).allows(tmp_path / "other.py")
    for command in (["time", str(tmp_path), "--plugin", str(loop)], ["report", str(tmp_path / "loop.py")]):
        assert isinstance(CliRunner().invoke(app, command, standalone_mode=False).exception, ValueError)
