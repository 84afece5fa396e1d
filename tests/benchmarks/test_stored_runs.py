"""A finished run read back: what was written is what is found, and nothing else passes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import Finished, points, unsealed
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import stored
from benchmarks.core.errors import UsageError
from benchmarks.data.splits import partition


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """The records of a finished run, without its models, to be spoiled."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("models", "checkpoints", "jobs"))
    return unsealed(folder)


def test_every_model_is_found_with_its_method_seed_points_and_tables(finished: Finished) -> None:
    run = stored.read(finished.folder)
    expected = {(r.candidate.label, r.seed, r.job, tuple(r.points)) for r in finished.outcome.results}
    assert {(m.label, m.seed, m.job, m.points) for m in run.models} == expected
    for model, result in zip(run.models, finished.outcome.results, strict=True):
        assert model.weights.is_file()
        assert np.array_equal(model.test().prediction, result.tables.test.prediction)
        for half, expected in zip(model.calibration(), (result.tables.fit, result.tables.select), strict=True):
            assert np.array_equal(half.sample_id, expected.sample_id)


def test_observed_points_are_the_rows_of_points_csv(finished: Finished) -> None:
    rows = points(finished.folder)
    for model in stored.read(finished.folder).models:
        seen = model.observed()
        mine = rows[(rows["method"] == model.method) & (rows["variant"] == model.variant)]
        for kind, figure in (
            ("point", lambda p: p.right.mean()),
            ("random", lambda p: p.random.mean()),
            ("mixture", lambda p: p.mixture.mean()),
        ):
            told = mine[mine["kind"] == kind].set_index("point")
            of = [point for point in seen.points if kind == "point" or point.random is not None]
            assert len(told) == len(of)
            for point in of:
                assert figure(point) == pytest.approx(told.loc[point.name, "accuracy"])
                assert point.macs.mean() == pytest.approx(told.loc[point.name, "macs"]) or kind == "mixture"


@given(st.lists(st.integers(0, 4), min_size=40, max_size=400).filter(lambda labels: min(np.bincount(labels)) >= 4))
def test_the_halves_of_the_calibration_images_are_where_they_are_looked_for(labels: list[int]) -> None:
    parts = partition(np.array(labels, dtype=np.int64))
    assert stored.fit_images(len(parts.fit) + len(parts.select)) == len(parts.fit)


def test_the_images_of_a_run_are_loaded_again(finished: Finished) -> None:
    data = stored.read(finished.folder).data(None)
    assert data.test.fingerprint == finished.runner.plan.data.test.fingerprint


def test_other_images_are_refused(copy: Path) -> None:
    spoil(copy, lambda record: record["data"].update(test_fingerprint="0" * 64))
    with pytest.raises(UsageError, match="hashes differ"):
        stored.read(copy).data(None)


def test_a_folder_of_images_has_to_be_named(copy: Path) -> None:
    spoil(copy, lambda record: record["configuration"].update(data_root="DATA_ROOT"))
    run = stored.read(copy)
    assert run.needs_root
    with pytest.raises(UsageError, match="--data-root"):
        run.data(None)


@pytest.mark.parametrize("missing", ["run.json", "points.csv"])
def test_what_is_no_finished_run_is_said_in_one_line(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(UsageError, match=f"no finished run: it has no {missing}"):
        stored.read(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(schema_version=99), "schema version 99"),
        (lambda record: record.update(models=[]), "no trained model"),
        (lambda record: record.update(plain_macs={}), "another version"),
        (lambda record: record["models"][0].update(job="foreign-s0-00000000"), "another version"),
        (lambda record: record["models"][0].update(points=[{"name": "x"}]), "another version"),
    ],
)
def test_records_of_another_kind_are_refused(copy: Path, change: Callable[[dict], object], message: str) -> None:
    spoil(copy, change)
    with pytest.raises(UsageError, match=message):
        stored.read(copy)


def test_a_damaged_record_is_refused(copy: Path) -> None:
    (copy / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot read"):
        stored.read(copy)


def test_names_of_variants_and_data_sets_may_hold_dashes(copy: Path) -> None:
    rows = pd.read_csv(copy / "points.csv")
    rows.assign(dataset="my-data-s1").to_csv(copy / "points.csv", index=False)
    spoil(copy, lambda record: [m.update(job=m["job"].replace("digits", "my-data-s1")) for m in record["models"]])
    assert [model.method for model in stored.read(copy).models] == ["plain", "sdpoint", "sdpoint", "earlyexit"]


def test_places_find_samples_by_their_ids() -> None:
    ids = np.array(["c", "a", "b"])
    assert stored.places(ids, np.array(["a", "b", "c"])).tolist() == [1, 2, 0]
    with pytest.raises(UsageError, match="does not hold all images"):
        stored.places(ids, np.array(["a", "d"]))


def spoil(folder: Path, change: Callable[[dict], object]) -> None:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    change(record)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
