"""Reading a run folder, and what is said when it is none."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from reports.data.records import LATENCY_COLUMNS, RecordError, read


@pytest.fixture
def folder(one_seed: Path, tmp_path: Path) -> Path:
    """A run folder of its own, to be spoiled."""
    return Path(shutil.copytree(one_seed, tmp_path / "run"))


def test_a_run_is_read_with_its_types(one_seed: Path) -> None:
    run = read(one_seed)
    assert run.points["selected"].dtype == bool
    assert run.points.loc[run.points["kind"] != "point", "calibration_macs"].isna().all()
    assert (run.seeds, run.chance) == ([0], 0.1)
    assert (run.latency["flags"] != "").sum() == 1


def test_figures_are_read_as_they_were_written(folder: Path) -> None:
    share = 354 / 359  # read otherwise in the last digit where a reader is in a hurry
    pd.read_csv(folder / "points.csv").assign(accuracy=share).to_csv(folder / "points.csv", index=False)
    assert (read(folder).points["accuracy"] == share).all()


@pytest.mark.parametrize("content", [None, "", ",".join(LATENCY_COLUMNS) + "\n"])
def test_missing_and_empty_latency_is_no_rows(folder: Path, content: str | None) -> None:
    (folder / "latency.csv").unlink()
    if content is not None:
        (folder / "latency.csv").write_text(content)
    assert read(folder).latency.empty


def test_a_run_without_the_plain_backbone_has_latencies_and_no_ratios(folder: Path) -> None:
    table = pd.read_csv(folder / "latency.csv").drop(columns=["ratio_to_plain", "ratio_low", "ratio_high"])
    table.to_csv(folder / "latency.csv", index=False)
    run = read(folder)
    assert len(run.latency) == len(table)
    assert run.latency["ratio_to_plain"].isna().all()


def test_a_variant_named_nan_stays_text(folder: Path) -> None:
    text = (folder / "points.csv").read_text().replace(",sdpoint,default,", ",sdpoint,nan,")
    (folder / "points.csv").write_text(text)
    assert "nan" in set(read(folder).points["variant"])


def test_chance_is_what_the_record_says_of_the_commonest_class_whatever_the_number_of_classes(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["data"] |= {"classes": ["cat", "dog"], "chance": 0.99}
    (folder / "run.json").write_text(json.dumps(record))
    assert read(folder).chance == 0.99
    del record["data"]["chance"]
    (folder / "run.json").write_text(json.dumps(record))
    assert read(folder).chance is None


def test_a_folder_without_run_json_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no run folder: it has no run\.json"):
        read(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 2}', '{"name": "old"}'])
def test_a_broken_or_foreign_run_json_is_named_in_one_line(folder: Path, content: str) -> None:
    (folder / "run.json").write_text(content)
    with pytest.raises(RecordError, match=r"run\.json") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_a_run_without_points_says_that_it_did_not_finish(folder: Path) -> None:
    (folder / "points.csv").unlink()
    with pytest.raises(RecordError, match="did not finish"):
        read(folder)


def test_missing_columns_are_named(folder: Path) -> None:
    (folder / "points.csv").write_text("method,point\nplain,full\n")
    with pytest.raises(RecordError, match="lacks the columns variant, backbone"):
        read(folder)


def test_latencies_that_do_not_say_how_they_were_made_were_executed(one_seed: Path) -> None:
    latency = read(one_seed).latency
    assert set(latency["execution"]) == {"executed"}
    assert latency[["macs", "peak_bytes", "nodes_ms", "fixed_ms"]].isna().all(axis=None)
