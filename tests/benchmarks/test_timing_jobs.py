"""Timing as jobs: by worker processes of a tiny model, resumed, and put together from all that was ever timed."""

import json
import shutil
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from harness import Finished, do, silent, small

from benchmarks import stored
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import Progress, drive
from benchmarks.core.trust import NOTHING, Trust
from benchmarks.data.batches import Images
from benchmarks.models import Checked, checked
from benchmarks.timing import bench, conditions
from benchmarks.timing.again import Asked, remarks, time_again
from benchmarks.timing.compare import differences
from benchmarks.timing.conditions import FULL, QUICK, Condition, Protocol
from benchmarks.timing.history import COLUMNS
from benchmarks.timing.measure import Measured, Task, measure
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Subject, timed_points
from benchmarks.timing.worker import Unseen
from benchmarks.timing.workers import HERE, WorkerError, started
from methods.storage import load

SINGLE, BATCHED = Condition(1, 1, "cpu"), Condition(4, 1, "cpu")
ASKED = Asked(("earlyexit",), points=3)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocols of a tenth of a second, the full one with two processes."""
    for protocol, processes in ((QUICK, 1), (FULL, 2)):
        brief = Protocol(protocol.name, processes, 0.1, (3, 5))
        monkeypatch.setitem(conditions.VERSIONS, protocol.name, brief)


@pytest.fixture
def folder(finished: Finished, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    return copy


class Invented:
    """Measures at once: a call at position k takes k + 1 ms, and a little more in every process."""

    def __init__(self) -> None:
        self.asked: list[Condition] = []

    def __call__(self, task: Task, condition: Condition) -> Generator[Progress, None, Measured]:
        self.asked.append(condition)
        yield Progress(1, 1)
        count = conditions.VERSIONS[condition.protocol].processes
        seconds = 1e-3 * np.tile(1.0 + np.arange(len(task.timed))[None, :, None], (3, 1, 2))
        batches = np.zeros((3, 2), dtype=np.int64)
        rng = np.random.default_rng(len(self.asked))
        sessions = [Session(seconds * rng.normal(1, 1e-3, seconds.shape), batches) for _ in range(count)]
        return Measured(task.timed, tuple(sessions), (100,) * len(task.timed), (), ())


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> Invented:
    made = Invented()
    monkeypatch.setattr(bench, "measure", made)
    return made


def again(folder: Path, *wanted: Condition, output: Path | None = None, asked: Asked = ASKED) -> pd.DataFrame:
    run = stored.read(folder)
    time_again(run, run.data(None), asked, wanted, output or folder, silent)
    return pd.read_csv((output or folder) / "latency.csv", keep_default_na=False)


def test_fresh_processes_time_a_stored_model_and_tell_what_it_needs(finished: Finished, short: None) -> None:
    run = stored.read(finished.folder)
    (model,) = (model for model in run.models if model.method == "earlyexit")
    identity = {name: getattr(model, name) for name in ("method", "variant", "backbone", "dataset", "seed")}
    looked_at = checked(run, model, NOTHING)
    subject = Subject(model.job, identity, looked_at, model.points[-3:], model.test())
    data = run.data(None)
    images = np.random.default_rng(0).random((8, 3, *data.test.images.shape[2:]), dtype=np.float32)
    task = Task(tuple(timed_points([subject])), (looked_at,), lambda samples: images[samples], np.arange(8)[:, None])
    shown: list[Progress] = []
    found = drive(measure(task, Condition(1, 1, "cpu", protocol=FULL.name)), shown.append)
    assert len(found.sessions) == 2
    assert all(session.seconds.shape[1] == 3 and (session.seconds > 0).all() for session in found.sessions)
    assert found.sessions[0].batches[0, 0] != found.sessions[1].batches[0, 0]
    assert all(peak is not None and peak > 0 for peak in found.peaks)
    assert not found.unsupported
    done = [progress.done for progress in shown]
    assert done == sorted(done)
    assert done[-1] == 1000


NETWORKS = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
"""


def test_networks_of_the_users_are_timed_where_the_call_names_their_file(
    tmp_path: Path, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a path that is relative to where the call is made, in the processes that time as well."""
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETWORKS)
    do(small(Path("run"), methods="netselect", set={"netselect.networks": "nets.py:make"}, points=4))
    with pytest.raises(UsageError, match=r"Name it with --plugin nets\.py, or say --trust"):
        again(Path("run"), SINGLE, asked=Asked(points=2))
    assert not Path("run/latency.csv").exists()
    named = Trust.of([tmp_path / "nets.py"])
    found = again(Path("run"), SINGLE, asked=Asked(points=2, trust=named))
    assert {"plain", "netselect"} == set(found["method"])
    assert "nets.make" in set(found["point"])


def test_a_worker_loads_no_file_that_was_not_looked_at(finished: Finished, tmp_path: Path) -> None:
    model = stored.read(finished.folder).models[0]
    np.save(tmp_path / "images.npy", np.zeros((1, 3, 8, 8), dtype=np.float32))
    request = {"images": str(tmp_path / "images.npy"), "batch": 1, "threads": 1, "cores": []}
    with started([HERE]) as (worker,), pytest.raises(WorkerError, match="is not the file that was looked at"):
        worker.ask("load", models=[Checked(model.weights, "0" * 64).request()], **request)


def test_images_with_noise_take_the_paths_that_they_took(finished: Finished) -> None:
    run = stored.read(finished.folder)
    (model,) = (model for model in run.models if model.method == "earlyexit")
    data, network = run.data(None), load(model.weights)
    images = Images.of(data.test, data.mean, data.std, torch.device("cpu"))
    inputs = images.inputs(images.take(np.arange(len(data.test.labels))))
    seen = Unseen([inputs], network.mean, network.std)[0]
    for point in (point for point in model.points if model.decisions[point.name] == "per-sample"):
        with torch.inference_mode():
            before, after = (network.execute(x, point.router).answer for x in (inputs, seen))
        assert (before != after).float().mean() < 0.03


def test_a_worker_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((1, 3, 8, 8), dtype=np.float32))
    request = {"images": str(tmp_path / "images.npy"), "batch": 1, "threads": 1, "cores": []}
    with started([HERE]) as (worker,), pytest.raises(WorkerError, match=r"there is no weights file .*nowhere"):
        worker.ask("load", models=[Checked(Path("nowhere"), "0" * 64).request()], **request)


def test_the_latency_of_a_run_has_a_row_a_point_and_scenario(tmp_path: Path, short: None) -> None:
    _, outcome = do(small(tmp_path, methods="earlyexit", points=4, latency="quick"))
    found = pd.read_csv(tmp_path / "latency.csv")
    assert not outcome.failures
    assert found.columns.tolist() == list(COLUMNS)
    rows = pd.read_csv(tmp_path / "points.csv").query("kind == 'point'")
    assert len(found) == 2 * len(rows) == 2 * (1 + 4)
    assert set(found["point"]) == set(rows["point"])
    assert (found["p50_ms"] > 0).all()
    assert (found["low_ms"] <= found["p50_ms"]).all()
    assert (found["peak_bytes"] > 0).all()
    assert (found.loc[found["method"] == "plain", "ratio_to_plain"] == 1).all()
    timing = json.loads((tmp_path / "run.json").read_text())["timing"]
    assert [one["batch_size"] for one in timing] == [1, 64]


def test_each_condition_is_timed_once_and_kept_beside_the_others(folder: Path, invented: Invented) -> None:
    first = again(folder, SINGLE)
    both = again(folder, SINGLE, BATCHED)
    assert invented.asked == [SINGLE, BATCHED]
    assert len(both) == 2 * len(first)
    assert both[: len(first)].equals(first)
    timing = json.loads((folder / "run.json").read_text())["timing"]
    assert [(one["batch_size"], one["unsupported"]) for one in timing] == [(1, []), (4, [])]


def test_only_what_was_asked_is_timed_and_the_plain_network(folder: Path, invented: Invented) -> None:
    found = again(folder, SINGLE)
    assert found["method"].unique().tolist() == ["plain", "earlyexit"]
    assert found["method"].value_counts().to_dict() == {"plain": 1, "earlyexit": 3}
    costs = (
        pd.read_csv(folder / "points.csv").query("kind == 'point' and method == 'earlyexit'").set_index("point")["macs"]
    )
    timed = found.loc[found["method"] == "earlyexit", "point"]
    assert {costs[timed].min(), costs[timed].max()} == {costs.min(), costs.max()}
    with pytest.raises(UsageError, match="no 'earlyexitt'"):
        again(folder, SINGLE, asked=Asked(("earlyexitt",)))


def test_what_is_timed_again_with_more_points_replaces_what_was_there(folder: Path, invented: Invented) -> None:
    again(folder, SINGLE)
    found = again(folder, SINGLE, asked=Asked(("earlyexit",), points=5))
    assert not found.duplicated(["method", "point", "batch_size"]).any()
    assert len(invented.asked) == 2


def test_a_later_run_keeps_what_was_timed_of_unchanged_models_and_nothing_else(
    tmp_path: Path, invented: Invented
) -> None:
    do(small(tmp_path, methods="earlyexit,sdpoint"))
    again(tmp_path, SINGLE, asked=Asked())
    do(small(tmp_path, methods="earlyexit"))
    kept = pd.read_csv(tmp_path / "latency.csv")
    assert set(kept["method"]) == {"plain", "earlyexit", "sdpoint"}
    do(small(tmp_path, methods="earlyexit", points=5))  # other points: another model file
    assert set(pd.read_csv(tmp_path / "latency.csv")["method"]) == {"plain"}


def test_in_a_folder_of_its_own_a_timing_is_a_readable_run_and_leaves_the_first_alone(
    folder: Path, invented: Invented, tmp_path: Path
) -> None:
    from reports.data import records

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again(folder, SINGLE, output=tmp_path / "other")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    read = records.read(tmp_path / "other")
    assert len(read.latency) == 4
    assert read.entries("timing")


def test_further_thresholds_are_composed_and_their_validation_is_recorded(folder: Path, invented: Invented) -> None:
    found = again(folder, SINGLE, BATCHED, asked=Asked(("earlyexit",), compose=2))
    composed = found[found["execution"] == "composed"]
    assert len(composed) == 2
    assert composed["scenario"].unique().tolist() == ["single"]
    timing = json.loads((folder / "run.json").read_text())["timing"]
    (made,) = timing[0]["compositions"]
    assert len(made["executed"]) == 3
    assert not made["holds"]  # invented latencies have nothing to do with trails
    assert (composed["flags"].str.contains("composition")).all()
    assert timing[1]["compositions"] == []


def test_two_full_measurements_are_compared_by_point(folder: Path, invented: Invented, tmp_path: Path) -> None:
    full = Condition(1, 1, "cpu", protocol=FULL.name)
    outputs = [tmp_path / "a", tmp_path / "b"]
    for output in outputs:
        again(folder, full, output=output)
    found = differences(*outputs)
    assert {one.key["method"] for one in found} == {"earlyexit"}
    assert len(found) == 3
    assert all(abs(one.shift) < 0.01 and one.contains_zero and one.high - one.low < 0.07 for one in found)
    with pytest.raises(UsageError, match="time --protocol full"):
        differences(outputs[0], folder)


def test_a_condition_that_cannot_be_measured_is_reported_and_is_not_the_others(
    folder: Path, invented: Invented, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sometimes(task: Task, condition: Condition) -> Generator[Progress, None, Measured]:
        if condition == SINGLE:
            raise WorkerError("a timing process ended early: Killed")
        return invented(task, condition)

    monkeypatch.setattr(bench, "measure", sometimes)
    run = stored.read(folder)
    said = time_again(run, run.data(None), ASKED, [SINGLE, BATCHED], folder, silent)
    assert said.failures == ["batch 1, 1 thread, cpu, eager float32, quick-3: a timing process ended early: Killed"]
    assert pd.read_csv(folder / "latency.csv")["batch_size"].unique().tolist() == [4]


def test_what_is_left_out_is_said_once_a_reason() -> None:
    points = [{"method": "m", "variant": "default", "point": f"p{k}", "reason": "no such thing"} for k in range(3)]
    made = {"method": "m", "variant": "default", "holds": True, "executed": [{"point": "t", "deviation": 0.012}]}
    left, validated = remarks({"unsupported": points, "compositions": [made]})
    assert left == "left out: 3 points (m:default p0, ...): no such thing"
    assert "t +1.2%" in validated
