"""Runs whose choices come from other images than training images: networks trained elsewhere, folders of the user's."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Finished, do, job_keys, points, silent, small, tables
from PIL import Image
from rich.console import Console

import benchmarks.data
from benchmarks import stored
from benchmarks.core.errors import UsageError
from benchmarks.data.base import Split
from benchmarks.plan import Plan, prepare
from benchmarks.runner import Runner
from methods.storage import load_tensors
from reports.console import overview
from reports.html import render

NETWORKS = '''
"""A network of the user's, with its own weights and batch norm."""
import torch
from torch import nn

def mine():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
'''
BACKBONE = "resnet8:width=4"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "nets.py"
    path.write_text(NETWORKS)
    return path


def bringing(folder: Path, file: Path, **changes: Any) -> Any:
    """A small run that compares a network of the user's with early exits."""
    networks = {"netselect.networks": f"{file}:mine"}
    return small(folder, **{"backbone": BACKBONE, "methods": "netselect,earlyexit", "set": networks, **changes})


@pytest.fixture(scope="module")
def halved(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("halved") / "run"
    return Finished(folder, *do(bringing(folder, file)))


def test_half_of_the_test_images_chooses_where_a_network_was_trained_elsewhere(halved: Finished) -> None:
    whole = set(benchmarks.data.load("digits").test.ids.tolist())
    calibrating, tested = (
        {frozenset(table.sample_id.tolist()) for table in tables(halved.folder, split).values()}
        for split in ("calibration", "test")
    )
    ((one,), (other,)) = calibrating, tested  # the same for every method
    assert one | other == whole
    assert not one & other
    assert set(points(halved.folder)["samples"]) == {len(other)} == {179}


def test_all_training_images_train_where_none_calibrates(halved: Finished) -> None:
    data = json.loads((halved.folder / "run.json").read_text())["data"]
    assert (data["train_images"], data["calibration_images"], data["test_images"]) == (1438, 180, 179)
    assert data["split"] is None
    assert "1,438 training images, 180 other images to calibrate, 179 test images" in halved.runner.plan.about_data


def test_run_record_report_and_page_say_so(halved: Finished) -> None:
    record = json.loads((halved.folder / "run.json").read_text())
    assert record["data"]["calibration_source"] == "half of the test images"
    (said,) = (line for line in record["warnings"] if "trained elsewhere" in line)
    assert said.startswith("a part of netselect:networks=")
    assert "half of the 359 test images calibrates (half of every class), and figures come from the other 179" in said
    assert said in halved.runner.plan.data.warnings  # which a run prints before it trains
    printed = StringIO()
    overview.show(halved.folder, Console(file=printed, width=1000))
    assert said in printed.getvalue()
    render.write(halved.folder)
    assert "no training image may choose points" in (halved.folder / "report.html").read_text()


def noise(split: Split) -> Split:
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, split.images.shape, dtype=np.uint8)
    return Split(images, draws.permutation(split.labels), split.ids)


def chosen(folder: Path) -> Any:
    """What a run chose: the points of every model, and which of them are selected."""
    table = points(folder)
    own = table[table["kind"] == "point"][["method", "point", "selected", "calibration_macs", "calibration_accuracy"]]
    record = json.loads((folder / "run.json").read_text())
    return [model["points"] for model in record["models"]], own.to_dict("records")


def test_nothing_chosen_or_trained_has_seen_the_half_that_figures_come_from(
    file: Path, halved: Finished, tmp_path: Path
) -> None:
    plan = prepare(bringing(tmp_path / "run", file))
    poisoned: Plan = replace(plan, data=replace(plan.data, test=noise(plan.data.test)))
    runner = Runner(poisoned, silent)
    outcome = runner.run()
    assert not outcome.failures
    assert chosen(tmp_path / "run") == chosen(halved.folder)
    before, after = job_keys(halved.outcome), job_keys(outcome)
    assert {kind for name, kind in before if before[name, kind] != after[name, kind]} == {"table-test", "execution"}


def test_the_half_that_calibrates_does_choose_and_trains_nothing(file: Path, halved: Finished, tmp_path: Path) -> None:
    plan = prepare(bringing(tmp_path / "run", file))
    calibration = plan.data.calibration
    assert calibration is not None
    runner = Runner(replace(plan, data=replace(plan.data, calibration=noise(calibration))), silent)
    outcome = runner.run()
    assert chosen(tmp_path / "run") != chosen(halved.folder)
    before, after = job_keys(halved.outcome), job_keys(outcome)
    changed = {kind for name, kind in before if before[name, kind] != after.get((name, kind))}
    assert not changed & {"train", "statistics", "table-test"}


def test_the_tested_half_of_a_run_is_found_again(halved: Finished) -> None:
    run = stored.read(halved.folder)
    assert np.array_equal(run.data(None).test.ids, halved.runner.plan.data.test.ids)
    for model in run.models:
        fit, select = model.calibration()
        assert (len(fit.labels), len(select.labels)) == (90, 90)


def test_networks_of_the_suite_calibrate_on_training_images(tmp_path: Path) -> None:
    plan = prepare(
        small(tmp_path, backbone=BACKBONE, methods="netselect", set={"netselect.networks": "resnet8:width=2"})
    )
    assert plan.data.calibration is None
    assert plan.parts.version == 2


def test_weights_that_a_method_begins_with_were_trained_elsewhere(halved: Finished, tmp_path: Path) -> None:
    plain = next((halved.folder / "checkpoints").glob("plain-*.safetensors"))
    plan = prepare(small(tmp_path, backbone=BACKBONE, methods=f"earlyexit:init={plain}"))
    assert plan.data.calibration is not None
    assert any("a part of earlyexit:init=" in line for line in plan.data.warnings)


def test_a_class_with_one_test_image_is_said_not_to_be_divided(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = benchmarks.data.load("digits")
    ninth = np.flatnonzero(whole.test.labels == 9)
    few = whole.test.part(np.setdiff1d(np.arange(len(whole.test)), ninth[1:]))
    monkeypatch.setattr(benchmarks.data, "load", lambda *_: replace(whole, test=few))
    plan = prepare(bringing(tmp_path / "run", file))
    (said,) = (line for line in plan.data.warnings if "trained elsewhere" in line)
    assert "calibrates (drawn whatever the classes are, since one has a single image)" in said


# A folder of the user's -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training digits with one pixel changed: six of each class, as anybody may have more of the same."""
    root, data = tmp_path_factory.mktemp("more") / "mine", benchmarks.data.load("digits")
    for label in range(10):
        (root / str(label)).mkdir(parents=True)
        for k, row in enumerate(np.flatnonzero(data.train.labels == label)[:6]):
            image = data.train.images[row].copy()
            image[:, 0, 0] = 100
            Image.fromarray(image.transpose(1, 2, 0)).save(root / str(label) / f"{k}.png")
    return root


def test_a_folder_calibrates_and_all_test_images_are_tested_on(file: Path, folder: Path, tmp_path: Path) -> None:
    _, outcome = do(bringing(tmp_path / "run", file, methods="netselect", calibration=folder))
    assert not outcome.failures
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["data"]["calibration_source"] == "a folder"
    assert record["configuration"]["calibration"] == "CALIBRATION"
    assert str(folder) not in json.dumps(record)
    sizes = [record["data"][f"{part}_images"] for part in ("train", "calibration", "test")]
    assert sizes == [1438, 60, 359]
    for table in tables(tmp_path / "run", "calibration").values():
        assert {name.partition("/")[0] for name in table.sample_id.tolist()} == {"mine"}
        assert np.bincount(table.part(np.arange(30)).labels).tolist() == [3] * 10
    assert set(points(tmp_path / "run")["samples"]) == {359}
    assert not any("trained elsewhere" in line for line in record["warnings"])


def test_another_folder_repeats_no_training(folder: Path, tmp_path: Path) -> None:
    whole = prepare(small(tmp_path / "run", methods="plain", calibration=folder))
    calibration = whole.data.calibration
    assert calibration is not None
    part = calibration.part(np.arange(0, 60, 2))
    other = prepare(small(tmp_path / "run", methods="plain"))
    assert whole.split_keys() != other.split_keys()  # there some training images are set aside
    assert replace(whole, data=replace(whole.data, calibration=part)).split_keys() == whole.split_keys()


def test_training_images_to_set_aside_and_a_folder_contradict_each_other(
    file: Path, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--calibration-images: because of the folder .* leave it out"):
        prepare(small(tmp_path, calibration=folder, calibration_images=100))
    with pytest.raises(UsageError, match=r"--calibration-images: because of what netselect.* leave it out"):
        prepare(bringing(tmp_path / "run", file, calibration_images=100))


# Statistics -----------------------------------------------------------------------------------------


def test_networks_that_keep_their_statistics_are_not_swept_for_them(
    file: Path, halved: Finished, tmp_path: Path
) -> None:
    plan = prepare(bringing(tmp_path / "run", file))
    candidate = next(one for one in plan.candidates if one.name == "netselect")
    model = plan.model(candidate, 0)
    seen = {"mine": 0, "backbone": 0}

    def counting(name: str) -> Any:
        return lambda module, given, result: seen.update({name: seen[name] + len(given[0])})

    model.get_submodule("networks.0").register_forward_hook(counting("mine"))
    next(m for m in model.backbone.modules() if type(m).__name__ == "Conv2d").register_forward_hook(
        counting("backbone")
    )
    batches = [inputs for inputs, _ in plan.train_images.batches(np.arange(512), 128)]
    model.collect_statistics(batches)
    assert seen == {"mine": 2, "backbone": 512 + 2}


def test_statistics_of_the_others_are_what_they_are_alone(halved: Finished) -> None:
    models = {path.name.partition("-")[0]: load_tensors(path)[0] for path in (halved.folder / "models").iterdir()}
    own = {
        name: value
        for name, value in models["netselect"].items()
        if name.startswith("statistics/") and "/full/" in name
    }
    assert own
    for name, value in own.items():
        assert (value == models["plain"][name]).all()
