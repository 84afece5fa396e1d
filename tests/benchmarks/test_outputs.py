"""What a run leaves behind: the contract's columns and files, and figures that follow from the tables."""

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from harness import Finished, points, tables

import benchmarks.data
from benchmarks.data.batches import Images
from benchmarks.data.splits import partition
from benchmarks.stats.frontier import on_frontier
from benchmarks.stats.inference import wilson
from methods.routers import OperatingPoint
from methods.routing import simulate
from methods.storage import load
from methods.table import PathTable

CONTRACT = """
    method variant backbone dataset seed point kind decision execution split macs macs_low macs_high macs_max flops
    parameters storage_bytes train_macs accuracy accuracy_low accuracy_high accuracy_top5 balanced_accuracy samples
    selected on_frontier calibration_macs calibration_accuracy
""".split()  # noqa: SIM905
KEY = ["method", "variant", "backbone", "dataset", "seed", "point"]


@pytest.fixture(scope="module")
def table(finished: Finished) -> pd.DataFrame:
    return points(finished.folder)


@pytest.fixture(scope="module")
def record(finished: Finished) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((finished.folder / "run.json").read_text())
    return found


def test_points_have_the_contracts_columns_in_its_order(table: pd.DataFrame) -> None:
    assert list(table.columns) == CONTRACT


def test_flops_are_twice_the_macs(table: pd.DataFrame) -> None:
    assert (table["flops"] == 2 * table["macs"]).all()


def test_every_row_has_a_key_of_its_own(table: pd.DataFrame) -> None:
    assert not table.duplicated([*KEY, "kind"]).any()
    assert not table[table["kind"] == "point"].duplicated(KEY).any()


def test_kinds_decisions_and_executions_are_the_contracts(table: pd.DataFrame) -> None:
    assert set(table["kind"]) == {"point", "random", "mixture", "oracle"}
    assert set(table["decision"]) == {"static", "per-sample"}
    assert set(table["execution"]) == {"executed", "simulated"}
    assert set(table["split"]) == {"test"}
    assert (table[table["kind"] == "point"]["execution"] == "executed").all()
    assert (table[table["kind"] != "point"]["execution"] == "simulated").all()


def test_every_per_sample_point_has_a_random_and_a_mixture_control_and_the_method_one_oracle(
    table: pd.DataFrame,
) -> None:
    routed = table[(table["kind"] == "point") & (table["decision"] == "per-sample")]
    assert set(routed["method"]) == {"earlyexit"}
    for kind in ("random", "mixture"):
        assert set(table[table["kind"] == kind]["point"]) == set(routed["point"])
    assert list(table[table["kind"] == "oracle"]["point"]) == ["oracle of 3 answers"]


def test_controls_are_never_selected_nor_on_a_frontier(table: pd.DataFrame) -> None:
    controls = table[table["kind"] != "point"]
    assert not controls[["selected", "on_frontier"]].any(axis=None)


def test_selected_is_the_frontier_of_select_and_on_frontier_that_of_test(table: pd.DataFrame) -> None:
    for _, own in table[table["kind"] == "point"].groupby(["method", "variant", "seed"]):
        chosen = on_frontier(own["calibration_macs"], own["calibration_accuracy"])
        assert (own["selected"] == chosen).all()
        assert (own["on_frontier"] == on_frontier(own["macs"], own["accuracy"])).all()
        assert own["selected"].any()


def test_no_method_has_more_points_than_asked_for(table: pd.DataFrame) -> None:
    sizes = table[table["kind"] == "point"].groupby(["method", "variant"]).size()
    assert sizes.to_dict() == {
        ("plain", "default"): 1,
        ("sdpoint", "default"): 7,  # three blocks, two ratios, and none
        ("sdpoint", "bn=uniform"): 7,
        ("earlyexit", "default"): 8,
    }


def rows_of(record: dict[str, Any], finished: Finished) -> Any:
    """Job, operating point, and its tables, from run.json and the path tables alone."""
    test, calibration = tables(finished.folder, "test"), tables(finished.folder, "calibration")
    for stored in record["models"]:
        job = stored["job"]
        for point in stored["points"]:
            yield (
                job,
                OperatingPoint.model_validate(point),
                test[f"{job}.test.npz"],
                calibration[f"{job}.calibration.npz"],
            )


def row_of(table: pd.DataFrame, job: str, point: OperatingPoint) -> pd.Series:
    own = (table["kind"] == "point") & (table["point"] == point.name)
    names = table["method"] + "-" + table["variant"].map(lambda variant: variant + "-resnet8-")
    (index,) = [i for i in table.index[own] if job.startswith(names[i])]
    return table.loc[index]


def figures(table: PathTable, point: OperatingPoint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, label rank and MACs of every sample, [n]; the MACs by hand from uses and work."""
    routing = simulate(table, point.router)
    samples = np.arange(len(table.labels))
    macs = [int(table.costs.macs[table.costs.uses[went].any(axis=0)].sum()) for went in routing.visited]
    return (
        table.prediction[routing.answer, samples],
        table.label_rank[routing.answer, samples],
        np.array(macs),
    )


def test_every_figure_follows_from_the_path_tables_and_the_routers_alone(
    table: pd.DataFrame, record: dict[str, Any], finished: Finished
) -> None:
    checked = 0
    for job, point, test, calibration in rows_of(record, finished):
        row = row_of(table, job, point)
        prediction, rank, macs = figures(test, point)
        right = int((prediction == test.labels).sum())
        assert row["samples"] == len(test.labels) == 359
        assert row["accuracy"] == right / 359
        assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(wilson(right, 359))
        assert row["accuracy_top5"] == (rank < 5).mean()
        classes = [(prediction == test.labels)[test.labels == label].mean() for label in range(10)]
        assert row["balanced_accuracy"] == pytest.approx(np.mean(classes))
        assert row["macs"] == pytest.approx(macs.mean(), rel=1e-12)
        assert row["macs_max"] == macs.max()
        assert row["macs_low"] <= row["macs"] <= row["macs_high"]
        half = calibration.part(np.arange(144, 287))
        prediction, _, macs = figures(half, point)
        assert row["calibration_accuracy"] == (prediction == half.labels).mean()
        assert row["calibration_macs"] == pytest.approx(macs.mean(), rel=1e-12)
        checked += 1
    assert checked == (table["kind"] == "point").sum()


def test_calibration_tables_hold_the_two_halves_and_no_test_image(finished: Finished) -> None:
    data = benchmarks.data.load("digits")
    parts = partition(data.train.labels)
    expected = data.train.ids[np.concatenate([parts.fit, parts.select])]
    for calibration in tables(finished.folder, "calibration").values():
        assert np.array_equal(calibration.sample_id, expected)
        assert not set(calibration.sample_id) & set(data.test.ids)
    for test in tables(finished.folder, "test").values():
        assert np.array_equal(test.sample_id, data.test.ids)


def test_the_record_says_what_was_run_on_what_and_how(record: dict[str, Any], finished: Finished) -> None:
    assert record["schema_version"] == 1
    assert record["configuration"]["dataset"] == "digits"
    assert record["configuration"]["seeds"] == [0]
    assert record["recipe"]["epochs"] == 2
    data = benchmarks.data.load("digits")
    assert record["data"]["train_fingerprint"] == data.train.fingerprint
    assert record["data"]["test_fingerprint"] == data.test.fingerprint
    sizes = [record["data"][f"{part}_images"] for part in ("train", "calibration", "test")]
    assert sizes == [1151, 287, 359]
    assert record["data"]["split"] == 2
    assert {"torch", "python", "cpu", "threads", "commit"} <= record["environment"].keys()
    assert record["failures"] == []
    assert {job["status"] for job in record["jobs"]} == {"done"}
    assert len({job["key"] for job in record["jobs"]}) == len(record["jobs"])
    for stored in record["models"]:
        weights = (finished.folder / "models" / f"{stored['job']}.safetensors").read_bytes()
        assert stored["weights_sha256"] == hashlib.sha256(weights).hexdigest()


def test_everything_a_run_writes_is_named_by_its_jobs(record: dict[str, Any], finished: Finished) -> None:
    jobs = {stored["job"] for stored in record["models"]}
    for folder, endings in (("models", [".safetensors"]), ("paths", [".calibration.npz", ".test.npz"])):
        found = {path.name for path in (finished.folder / folder).iterdir()}
        assert found == {job + ending for job in jobs for ending in endings}


def test_executed_routing_agrees_with_the_simulated_one(record: dict[str, Any]) -> None:
    checked = [row for stored in record["models"] for row in stored["executed_against_simulated"]]
    assert len(checked) == (1 + 7 + 7 + 8) * 3  # every point at three batch sizes
    assert all(row["different"] == row["near"] for row in checked)


@pytest.mark.parametrize("which", range(4))
def test_a_stored_model_answers_at_every_point_as_the_table_says(which: int, finished: Finished) -> None:
    result = finished.outcome.results[which]
    data = benchmarks.data.load("digits")
    images = Images.of(data.test, data.mean, data.std, torch.device("cpu"))
    model = load(result.model)
    samples = np.arange(len(data.test))
    for point in model.points:
        model.point = point.name
        with torch.inference_mode():
            routed = [model(inputs) for inputs, _ in images.batches(samples, 256)]
        expected = simulate(result.tables.test, point.router)
        assert np.array_equal(torch.cat([r.answer for r in routed]).numpy(), expected.answer)
        predictions = torch.cat([r.logits for r in routed]).argmax(1).numpy()
        assert np.array_equal(predictions, result.tables.test.prediction[expected.answer, samples])


def test_parameters_and_bytes_are_all_that_is_stored(table: pd.DataFrame, finished: Finished) -> None:
    for result in finished.outcome.results:
        name, variant = result.candidate.name, result.candidate.variant
        rows = table[(table["method"] == name) & (table["variant"] == variant)]
        model = load(result.model)
        assert set(rows["parameters"]) == {sum(p.numel() for p in model.parameters())}
        (size,) = set(rows["storage_bytes"])
        assert size <= result.model.stat().st_size < size * 1.3


def test_training_macs_are_three_forward_passes_an_image_an_epoch(table: pd.DataFrame) -> None:
    first = table.groupby(["method", "variant"]).first()
    plain = first.loc[("plain", "default")]
    steps = 1151 // 64
    assert plain["train_macs"] == pytest.approx(3 * plain["macs"] * steps * 64 * 2)
    own = table[(table["method"] == "sdpoint") & (table["variant"] == "default")].set_index("point")["macs"]
    mean = (2 * own["full"] + own.drop("full").sum()) / 8  # none is as likely as a point
    assert first.loc[("sdpoint", "default")]["train_macs"] == pytest.approx(3 * mean * steps * 64 * 2)
