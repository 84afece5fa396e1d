"""Commands in one folder add up: what lies there and fits stays, what does not is refused or left out, and said."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from harness import do, points, silent, small

from benchmarks import stored
from benchmarks.config import RunConfig, configure
from benchmarks.core.errors import UsageError
from benchmarks.outputs import write_record
from benchmarks.plan import prepare
from benchmarks.provenance import TIMING, sources
from benchmarks.runner import Runner
from benchmarks.store import Store
from benchmarks.timing.bench import KIND, machine
from benchmarks.timing.conditions import Condition
from reports.data import records

TINY = "resnet8:width=2"


def tiny(folder: Path, **changes: Any) -> RunConfig:
    return small(folder, **{"backbone": TINY, **changes})


def said_by(config: RunConfig) -> tuple[Runner, list[str]]:
    """Run, and what the runner says on the way."""
    said: list[str] = []
    runner = Runner(prepare(config), silent, said.append)
    runner.run()
    return runner, said


def series(folder: Path) -> list[tuple[str, str, int]]:
    """Method, variant and seed of all rows, in the order of points.csv."""
    rows = points(folder)[["method", "variant", "seed"]].drop_duplicates()
    return [tuple(row) for row in rows.itertuples(index=False)]


def asked(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())["configuration"]
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a first command: sdpoint and the plain network, seed 0."""
    folder = tmp_path_factory.mktemp("first") / "run"
    do(tiny(folder, methods="sdpoint"))
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "run"))


def test_other_methods_and_seeds_stay_beside_those_asked_for(folder: Path) -> None:
    before = points(folder)
    runner, said = said_by(tiny(folder, methods="earlyexit", seeds="1"))
    assert series(folder) == [
        ("plain", "default", 0), ("sdpoint", "default", 0), ("plain", "default", 1), ("earlyexit", "default", 1),
    ]  # fmt: skip
    pd.testing.assert_frame_equal(points(folder).iloc[: len(before)], before)
    assert said == [f"{folder} holds results of other commands, which stay: plain (seed 0); sdpoint (seed 0)"]
    made = {(record.kind, record.name.partition("-")[0]) for record in runner.outcome.records
            if record.key not in runner.store.reused}  # fmt: skip
    assert {name for kind, name in made if kind == "train"} == {"plain", "earlyexit"}
    assert [(model.label, model.seed) for model in stored.read(folder).models] == [
        ("plain", 0), ("sdpoint", 0), ("plain", 1), ("earlyexit", 1),
    ]  # fmt: skip
    assert records.read(folder).seeds == [0, 1]


def test_the_command_of_a_folder_repeats_all_that_lies_there_and_makes_what_is_missing(folder: Path) -> None:
    do(tiny(folder, methods="earlyexit", seeds="1"))
    before = points(folder)
    configuration = asked(folder)
    assert (configuration["methods"], configuration["seeds"]) == (["sdpoint", "earlyexit"], [0, 1])
    assert configuration["reference"] is True
    do(configure({**configuration, "output": folder}))
    assert len(series(folder)) == 6
    again = points(folder).merge(before, how="inner")
    assert len(again) == len(before)
    assert asked(folder) == configuration


def test_variants_of_several_commands_stand_behind_their_methods(folder: Path) -> None:
    do(tiny(folder, methods="sdpoint", set={"sdpoint.every": "2"}))
    assert series(folder) == [("plain", "default", 0), ("sdpoint", "default", 0), ("sdpoint", "every=2", 0)]
    assert (asked(folder)["methods"], asked(folder)["set"]) == (["sdpoint", "sdpoint:every=2"], {})


def test_other_points_are_for_all_that_lies_there_and_that_is_said(folder: Path) -> None:
    _, said = said_by(tiny(folder, methods="plain", points=3))
    assert said[0] == (
        f"{folder}: --points 3 is for all that lies there, which had 8; what was timed at other points is left out, "
        "time it again"
    )
    rows = points(folder).query("method == 'sdpoint' and kind == 'point'")
    assert len(rows) == 3
    assert stored.read(folder).models[1].weights.is_file()


def test_the_same_command_again_says_nothing_and_changes_no_digit(folder: Path) -> None:
    before = (folder / "points.csv").read_bytes(), asked(folder)
    _, said = said_by(tiny(folder, methods="sdpoint"))
    assert said == []
    assert ((folder / "points.csv").read_bytes(), asked(folder)) == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dataset_name": "mine"}, "data set digits, and this command has mine"),
        (
            {"dataset": "shapes", "dataset_name": "digits", "set": {"shapes.train": "600", "shapes.test": "20"}},
            "images",
        ),
        ({"backbone": "resnet8:width=4"}, f"network {TINY}, and this command has resnet8:width=4"),
        ({"epochs": 2}, "recipe epochs 1, warmup 0.14.*, and this command has epochs 2"),
        ({"set": {"recipe.lr": "0.01"}}, "recipe lr .*, and this command has lr 0.01"),
        ({"threads": 2}, "number of threads 1, and this command has 2"),
        ({"calibration_images": 300}, "number of calibration images 287, and this command has 300"),
        ({"cross_fit": 2}, "--cross-fit None, and this command has 2"),
    ],
)
def test_a_folder_of_something_else_is_refused_by_name_before_anything_is_trained(
    folder: Path, change: dict[str, Any], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    with pytest.raises(UsageError, match=what) as told:
        Runner(prepare(tiny(folder, methods="earlyexit", **change)), silent)
    assert str(told.value).startswith(f"{folder} holds results with the ")
    assert str(told.value).endswith("choose another --output")
    assert "\n" not in str(told.value)
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_what_was_made_by_other_code_is_left_out_and_named(folder: Path) -> None:
    (record,) = (folder / "jobs").glob("sdpoint-*-train-*.json")
    record.unlink()  # other code has other keys
    _, said = said_by(tiny(folder, methods="plain"))
    assert said[0].startswith("left out: sdpoint (seed 0): made by other code or another torch; name it in --methods")
    assert series(folder) == [("plain", "default", 0)]
    assert asked(folder)["methods"] == ["plain"]
    assert list((folder / "models").glob("sdpoint-*"))


def test_a_damaged_file_of_another_command_is_made_again(folder: Path) -> None:
    before = (folder / "points.csv").read_bytes()
    for name in ("models", "checkpoints", "paths"):
        damaged = next((folder / name).glob("sdpoint-*"))
        content = bytearray(damaged.read_bytes())
        content[-20] ^= 4
        damaged.write_bytes(content)
        _, said = said_by(tiny(folder, methods="plain"))
        assert said[1] == f"made again: {damaged} is damaged, or of a run that was stopped"
        assert (folder / "points.csv").read_bytes() == before


def test_a_damaged_run_json_is_said_and_the_command_does_what_it_was_asked(folder: Path) -> None:
    for content in ("{", '{"configuration": 3}', (folder / "run.json").read_text().replace('"smoke"', '"smoky"')):
        (folder / "run.json").write_text(content)
        _, said = said_by(tiny(folder, methods="plain"))
        assert said[0].startswith(f"{folder / 'run.json'} is damaged (")
        assert said[0].endswith("is left out; repeat them")
    assert series(folder) == [("plain", "default", 0)]
    do(tiny(folder, methods="sdpoint"))
    assert len(series(folder)) == 2


def test_networks_of_a_file_that_is_not_named_are_not_executed(folder: Path, tmp_path: Path) -> None:
    file, marker = tmp_path / "nets.py", tmp_path / "executed"
    file.write_text(f"open({str(marker)!r}, 'w')\n")
    record = json.loads((folder / "run.json").read_text())
    del record["seal"]
    record["models"][1] |= {"method": "netselect", "settings": {"networks": ["resnet8", f"{file}:make"]}}
    (folder / "run.json").write_text(json.dumps(record))
    _, said = said_by(tiny(folder, methods="plain"))
    assert "takes a network from" in said[0]
    assert said[0].startswith("left out: sdpoint-")
    assert not marker.exists()


def test_what_was_timed_of_another_command_stays(folder: Path) -> None:
    model = json.loads((folder / "run.json").read_text())["models"][1]
    identity = {"method": "sdpoint", "variant": "default", "backbone": TINY, "dataset": "digits", "seed": 0}
    condition = Condition(1, 1, "cpu").columns()
    inputs = {
        "models": [{"identity": identity, "job": model["job"], "sha256": model["weights_sha256"]}],
        "machine": machine(json.loads((folder / "run.json").read_text())["environment"]),
        "methods": ["sdpoint"], "sources": sources(TIMING, ("sdpoint",)), "condition": condition,
    }  # fmt: skip
    row = {**identity, **condition, "point": "full", "p50_ms": 3.25}
    result = {"rows": [row], "raw": [], "finished": "2026", "others": [], "unsupported": [], "compositions": []}

    def work() -> Any:
        yield from ()
        return result

    list(Store(folder).do(KIND, "batch 1", inputs, work))
    record = json.loads((folder / "run.json").read_text())
    there = {**record["environment"], "onnxruntime": "of then"}
    write_record(folder, record | {"timing_environment": there})
    do(tiny(folder, methods="plain"))
    assert json.loads((folder / "run.json").read_text())["timing_environment"] == there
    assert pd.read_csv(folder / "latency.csv")["p50_ms"].tolist() == [3.25]
