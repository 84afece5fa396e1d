"""What the tables say, derived by hand on a few points."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.data import tables
from reports.data.records import Run, read


def run_of(rows: list[dict[str, object]]) -> Run:
    """A run of the given points; plain costs 100 MACs; the interval is the accuracy ± 0.01."""
    common = {"variant": "default", "backbone": "tiny", "dataset": "shapes", "seed": 0, "kind": "point",
              "decision": "static", "selected": True, "train_macs": 1e12}  # fmt: skip
    plain = {"method": "plain", "point": "full", "macs": 100.0, "accuracy": 0.9}
    seeds = {row.get("seed", 0) for row in rows}
    table = pd.DataFrame([common | plain | {"seed": seed} for seed in seeds] + [common | row for row in rows])
    table["accuracy_low"], table["accuracy_high"] = table["accuracy"] - 0.01, table["accuracy"] + 0.01
    for name in ("macs", "accuracy"):
        column = f"calibration_{name}"
        table[column] = table[column].fillna(table[name]) if column in table else table[name]
    return Run(Path("made-up"), {"data": {"classes": 10, "chance": 0.1}}, table, pd.DataFrame())


def at(run: Run, series: str, share: float) -> pd.Series:
    budgets = tables.budgets(run)
    return budgets[(budgets["series"] == series) & (budgets["share"] == share)].iloc[0]


def test_budget_chooses_on_calibration_and_reports_on_test() -> None:
    small = {"method": "m", "point": "small", "macs": 40.0, "accuracy": 0.7, "calibration_accuracy": 0.6}
    wide = {"method": "m", "point": "wide", "macs": 50.5, "accuracy": 0.6, "calibration_accuracy": 0.8}
    row = at(run_of([small, wide | {"calibration_macs": 50.0}]), "m", 0.5)
    # wide is better on calibration images and within 50 there; on test it is worse and costs 50.5.
    assert (row["point"], row["accuracy"], row["macs"]) == ("wide", 0.6, 50.5)
    assert row["picked"] == 0.7


def test_budget_buys_only_selected_points() -> None:
    rows = [
        {"method": "m", "point": "a", "macs": 40.0, "accuracy": 0.7, "selected": False},
        {"method": "m", "point": "b", "macs": 20.0, "accuracy": 0.5},
    ]
    assert at(run_of(rows), "m", 0.5)["point"] == "b"


def test_budget_below_the_cheapest_point_is_missing() -> None:
    row = at(run_of([{"method": "m", "point": "a", "macs": 60.0, "accuracy": 0.8}]), "m", 0.5)
    assert row["point"] == ""
    assert np.isnan(row["accuracy"])


def test_seeds_are_averaged_with_their_range() -> None:
    rows = [
        {"method": "m", "point": "a", "macs": 50.0, "accuracy": accuracy, "seed": seed}
        for seed, accuracy in enumerate((0.6, 0.7, 0.8))
    ]
    row = at(run_of(rows), "m", 0.5)
    assert (row["accuracy"], row["low"], row["high"]) == pytest.approx((0.7, 0.6, 0.8))


def test_summary_of_a_run_counts_chance_below_the_cheapest_point() -> None:
    run = run_of([{"method": "m", "point": "a", "macs": 25.0, "accuracy": 0.7}])
    scores = tables.summaries(run).set_index("series")["summary"]
    assert scores["m"] == pytest.approx((0.1 + 0.7 + 0.7) / 3)
    assert scores["plain"] == pytest.approx(0.1)


def test_training_cost_is_stated_relative_to_the_plain_backbone() -> None:
    run = run_of([{"method": "m", "point": "a", "macs": 25.0, "accuracy": 0.7, "train_macs": 0.6e12}])
    assert tables.summaries(run).set_index("series")["training"].to_dict() == pytest.approx({"plain": 1.0, "m": 0.6})


def test_without_a_plain_backbone_the_counted_macs_of_the_network_are_the_reference() -> None:
    run = run_of([{"method": "m", "point": "a", "macs": 25.0, "accuracy": 0.7}])
    record = {**run.record, "plain_macs": {"torch": 50, "ptflops": 50}}
    alone = Run(run.folder, record, run.points[run.points["method"] != "plain"], run.latency)
    assert tables.labelled(alone)["share"].tolist() == [0.5]
    assert at(alone, "m", 0.5)["accuracy"] == pytest.approx(0.7)


def test_without_a_plain_backbone_there_are_no_budgets_and_no_shares() -> None:
    run = run_of([{"method": "m", "point": "a", "macs": 25.0, "accuracy": 0.7}])
    alone = Run(run.folder, run.record, run.points[run.points["method"] != "plain"], run.latency)
    assert tables.budgets(alone).empty
    assert tables.summaries(alone).empty
    assert tables.labelled(alone)["share"].isna().all()


def test_step_line_over_seeds_is_the_mean_of_their_step_lines() -> None:
    rows = [
        {"method": "m", "point": "a", "macs": 10.0, "accuracy": 0.5, "seed": 0},
        {"method": "m", "point": "b", "macs": 30.0, "accuracy": 0.7, "seed": 0},
        {"method": "m", "point": "a", "macs": 20.0, "accuracy": 0.6, "seed": 1},
    ]
    steps = tables.mean_steps(tables.labelled(run_of(rows)))
    line = steps[steps["series"] == "m"]
    assert line["macs"].tolist() == [20.0, 30.0]
    assert line["accuracy"].tolist() == pytest.approx([0.55, 0.65])


def test_controls_stand_beside_the_point_they_control() -> None:
    per_sample = {"method": "m", "point": "t<1", "macs": 50.0, "decision": "per-sample"}
    controls = [
        {**per_sample, "kind": kind, "accuracy": accuracy, "selected": False}
        for kind, accuracy in (("random", 0.60), ("mixture", 0.695))
    ]
    row = tables.controls(run_of([{**per_sample, "accuracy": 0.7}, *controls])).iloc[0]
    assert (row["random"], row["mixture"]) == (0.60, 0.695)
    # The interval begins at 0.69: above random as a whole, above the mixture only in part.
    assert (row["clear_random"], row["beats_mixture"], row["clear_mixture"]) == (True, True, False)


def test_series_name_variants_and_backbones_only_where_they_differ() -> None:
    base = {"method": ["a", "a"], "variant": ["default", "bn=uniform"], "backbone": ["n", "n"]}
    assert tables.with_series(pd.DataFrame(base))["series"].tolist() == ["a", "a:bn=uniform"]
    two = pd.DataFrame(base | {"backbone": ["n", "w"]})
    assert tables.with_series(two)["series"].tolist() == ["a n", "a:bn=uniform w"]


def test_every_timed_point_finds_its_cost(one_seed: Path) -> None:
    run = read(one_seed)
    timed = tables.timed(run)
    assert len(timed) == len(run.latency)
    assert timed["share"].notna().all()


def test_composed_points_bring_their_own_cost_and_nothing_else_is_timed_without_a_point(one_seed: Path) -> None:
    run = read(one_seed)
    last = run.latency[run.latency["method"] == "earlyexit"].iloc[[-1]]
    unknown = last.assign(point="unknown", macs=1e6)
    composed = last.assign(point="entropy<0.3 (composed)", execution="composed", macs=1e6)
    latency = pd.concat([run.latency, unknown, composed], ignore_index=True)
    timed = tables.timed(Run(run.folder, run.record, run.points, latency))
    assert len(timed) == len(run.latency) + 1
    row = timed.set_index("point").loc["entropy<0.3 (composed)"]
    assert (row["series"], row["macs"], row["decision"]) == ("earlyexit", 1e6, "per-sample")
    assert row["share"] == pytest.approx(1e6 / row["plain_macs"])
