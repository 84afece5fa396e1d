"""Many runs as one set of tables."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up import many_runs

from reports.data.records import Run, read
from reports.data.series import gather
from reports.data.tables import timed
from reports.data.time_saved import realised
from reports.html.payload import names, payload


def named(run: Run, name: str, **of_points: Any) -> Run:
    return replace(run, record=run.record | {"name": name}, points=run.points.assign(**of_points))


@pytest.fixture(scope="module")
def first(one_seed: Path) -> Run:
    return read(one_seed)


def test_seeds_of_several_runs_are_one_series(first: Run) -> None:
    gathered = gather([named(first, "a"), named(first, "b", seed=1, accuracy=first.points["accuracy"] - 0.01)])
    assert gathered.lines["method"].tolist() == ["plain", "sdpoint", "earlyexit"]
    assert gathered.points.groupby("line")["seed"].nunique().tolist() == [2, 2, 2]


def test_the_same_training_in_two_runs_counts_once(first: Run) -> None:
    gathered = gather([named(first, "a"), named(first, "b")])
    assert len(gathered.lines) == 3
    assert len(gathered.points) == len(first.points)
    assert len(gathered.timed) == 2 * len(first.latency)  # of the same points, measured twice


def test_the_same_seed_with_other_figures_is_another_series_with_its_run_in_its_name(first: Run) -> None:
    other = named(first, "b", accuracy=first.points["accuracy"].where(first.points["method"] != "sdpoint", 0.5))
    gathered = gather([named(first, "a"), other])
    assert names(gathered.lines, ["a", "b"]).tolist() == ["plain", "sdpoint", "earlyexit", "sdpoint (b)"]


def test_data_sets_of_one_name_and_other_images_are_told_apart(first: Run) -> None:
    data = first.section("data") | {"test_fingerprint": "ffffffffffff"}
    other = replace(first, record=first.record | {"data": data})
    assert set(gather([first, other]).lines["dataset"]) == {"shapes (0b52c4)", "shapes (ffffff)"}
    assert set(gather([first]).lines["dataset"]) == {"shapes"}


def test_other_epochs_are_another_training(first: Run) -> None:
    configuration = first.section("configuration") | {"epochs": 200, "set": {"recipe.lr": "0.1", "sdpoint.every": "2"}}
    other = replace(first, record=first.record | {"configuration": configuration})
    assert gather([first, other]).lines["training"].drop_duplicates().tolist() == [
        "cifar, 8 epochs",
        "cifar, 200 epochs, lr=0.1",
    ]


def test_a_run_without_plain_uses_the_plain_network_of_another_run_of_its_place(first: Run) -> None:
    is_plain = first.points["method"] == "plain"
    own = [replace(first, points=first.points[keep].reset_index(drop=True)) for keep in (is_plain, ~is_plain)]
    assert gather(own).points["plain_macs"].notna().all()
    assert gather(own[1:]).points["plain_macs"].isna().all()


def test_what_was_lost_is_what_the_run_alone_says(first: Run) -> None:
    latency = first.latency.assign(nodes_ms=1.0, fixed_ms=0.4)
    run = replace(first, latency=latency)
    both = gather([run, named(run, "b", seed=1)]).timed.dropna(subset=["cause"])
    alone = realised(timed(run))
    found = both[both["run"] == 0].set_index(["method", "point"])[["cause", "cause_share"]]
    expected = alone.set_index(["method", "point"])[["cause", "cause_share"]]
    pd.testing.assert_frame_equal(found.sort_index(), expected.sort_index(), check_dtype=False)


def test_conditions_of_several_machines_name_them(first: Run) -> None:
    other = named(first, "b", seed=1)
    machine = replace(other, record=other.record | {"environment": {"cpu": "Another CPU"}})
    labels = set(gather([first, replace(machine, latency=first.latency.assign(seed=1))]).timed["condition"])
    assert {label.rpartition(", ")[2] for label in labels} == {"Generic CPU @ 2.60GHz", "Another CPU"}


def test_memory_is_stored_weights_and_the_peak_where_it_was_measured(first: Run) -> None:
    latency = first.latency.assign(peak_bytes=1000.0)
    points = gather([replace(first, latency=latency)]).points
    measured = points["memory"] > points["storage_bytes"]
    assert measured.sum() == len(latency)
    assert (points.loc[measured, "memory"] == points.loc[measured, "storage_bytes"] + 1000).all()


def test_facts_say_something_of_a_series(first: Run) -> None:
    gathered = gather([named(first, "a", tier="reproduced", stale="")], ["tier", "stale", "missing"])
    assert set(gathered.lines["tier"]) == {"reproduced"}
    assert payload(gathered, ["tier", "stale", "missing"])["facts"] == ["tier", "stale"]


def test_many_runs_keep_their_own_series() -> None:
    runs = many_runs(30)
    gathered = gather(runs)
    own = sum(run.points["method"].nunique() - 1 for run in runs)
    assert (gathered.lines["method"] != "plain").sum() == own
