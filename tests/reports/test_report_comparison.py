"""Several runs beside one another, against figures derived by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.data.comparison import Place, names, places
from reports.data.records import Run, read

MakeRun = Callable[..., Path]


def run_of(rows: list[dict[str, object]], name: str = "a") -> Run:
    """A run of points of one network of 100 MACs, trained with 1e12."""
    common = {
        "variant": "default", "backbone": "tiny", "dataset": "shapes", "kind": "point", "decision": "static",
        "selected": True, "train_macs": 1e12, "execution": "executed", "storage_bytes": 1,
    }  # fmt: skip
    seeds = {row["seed"] for row in rows}
    plain = [{"method": "plain", "point": "full", "macs": 100.0, "accuracy": 0.9, "seed": seed} for seed in seeds]
    table = pd.DataFrame([common | row for row in [*plain, *rows]])
    for column in ("macs", "accuracy"):
        table[f"calibration_{column}"] = table[column]
    table["accuracy_low"], table["accuracy_high"] = table["accuracy"] - 0.01, table["accuracy"] + 0.01
    return Run(Path("runs") / name, {"name": name, "data": {"classes": 10, "chance": 0.1}}, table, pd.DataFrame())


def point(seed: int, accuracy: float, **more: object) -> dict[str, object]:
    return {"method": "m", "point": "a", "macs": 25.0, "accuracy": accuracy, "seed": seed} | more


def only(runs: list[Run]) -> Place:
    (place,) = places(runs)
    return place


def test_seeds_of_several_runs_are_one_series_with_mean_and_standard_deviation() -> None:
    place = only([run_of([point(0, 0.6), point(1, 0.7)]), run_of([point(2, 0.8)], "b")])
    plain, line = place.lines
    assert (plain.series, line.series, line.seeds) == ("plain", "m", 3)
    assert line.budgets[0] == pytest.approx((0.7, 0.1))
    # Chance in the first octave of three, 0.7 in the others; the seeds differ by two thirds of their accuracies.
    assert line.summary == pytest.approx(((0.1 + 0.7 + 0.7) / 3, 0.1 * 2 / 3))
    assert plain.budgets[:3] == (None, None, None)


def test_one_seed_has_no_spread() -> None:
    line = only([run_of([point(0, 0.6)])]).lines[1]
    assert line.budgets[3] is not None
    assert np.isnan(line.budgets[3].spread)


def test_a_budget_that_one_seed_cannot_meet_has_no_figure() -> None:
    line = only([run_of([point(0, 0.6), point(1, 0.6, macs=60.0)])]).lines[1]
    assert [figure is None for figure in line.budgets] == [True, True, False, False]


def test_training_cost_is_relative_to_the_plain_network() -> None:
    assert only([run_of([point(0, 0.6, train_macs=2e12)])]).lines[1].training == pytest.approx(2.0)


def test_a_method_that_two_runs_answer_differently_for_one_seed_is_named_by_run() -> None:
    place = only([run_of([point(0, 0.6)]), run_of([point(0, 0.8)], "b")])
    named = [line.series for line in place.lines]
    assert named[0] == "plain"
    assert [name for name in named if "(b)" in name] == ["m (b)"]


def test_the_same_run_twice_is_there_once() -> None:
    run = run_of([point(0, 0.6)])
    assert [(line.series, line.seeds) for line in only([run, run]).lines] == [("plain", 1), ("m", 1)]


def test_runs_that_were_trained_otherwise_are_not_compared(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name) for name in ("short", "long")]
    record = json.loads((runs[1] / "run.json").read_text(encoding="utf-8"))
    record["configuration"]["epochs"] = 80
    (runs[1] / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert [place.training for place in places([read(run) for run in runs])] == ["cifar, 8 epochs", "cifar, 80 epochs"]


def test_runs_of_one_name_are_told_apart_by_their_folders() -> None:
    runs = [run_of([point(0, 0.6)], name) for name in ("a", "b")]
    assert names(runs) == ["a", "b"]
    alike = [Run(Path(f"runs/{k}"), {"name": "x"}, run.points, run.latency) for k, run in enumerate(runs)]
    assert names(alike) == ["runs/0", "runs/1"]
