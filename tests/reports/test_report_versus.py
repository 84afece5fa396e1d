"""Pairs of methods at equal cost, against figures derived by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.data import tables
from reports.data.pairs import COLUMNS, FIRST, NEITHER, SECOND, TOO_FEW, versus
from reports.data.records import read

Row = dict[str, object]


def point(series: str, seed: int, accuracy: float, macs: float = 50.0, **more: object) -> Row:
    """One selected point of a series on a network of 100 MACs."""
    return {
        "series": series, "method": series, "dataset": "shapes", "backbone": "tiny", "kind": "point", "seed": seed,
        "macs": macs, "accuracy": accuracy, "calibration_macs": macs, "calibration_accuracy": accuracy,
        "selected": True, "plain_macs": 100.0,
    } | more  # fmt: skip


def compared(rows: list[Row], share: float = 0.5) -> pd.Series:
    table = versus(pd.DataFrame(rows))
    return table[table["share"] == share].iloc[0]


def two(first: list[float], second: list[float], **more: object) -> list[Row]:
    """Series `a` and `b` with one point a seed."""
    return [point(name, seed, x, **more) for name, xs in (("a", first), ("b", second)) for seed, x in enumerate(xs)]


def test_the_interval_is_that_of_students_t_over_the_differences_of_seeds() -> None:
    row = compared(two([0.71, 0.72, 0.73], [0.70, 0.70, 0.70]))
    # Differences 0.01, 0.02, 0.03: mean 0.02, standard error 0.01 / sqrt(3), t of 2 degrees of freedom 4.302653.
    half = 4.302653 * 0.01 / np.sqrt(3)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((0.02, 0.02 - half, 0.02 + half))
    # Two-sided p of t = 2 sqrt(3) at 2 degrees of freedom: 1 - t / sqrt(2 + t^2).
    assert row["p"] == pytest.approx(1 - np.sqrt(12 / 14))
    assert row["seeds"] == 3


def test_holm_is_over_all_pairs_and_budgets_of_a_data_set_and_backbone() -> None:
    table = versus(pd.DataFrame(two([0.71, 0.72, 0.73], [0.70] * 3)))
    p = 1 - np.sqrt(12 / 14)
    # Points of 50 MACs answer at 50, 75 and 100%: three comparisons with the same p.
    assert table["share"].tolist() == [0.5, 0.75, 1.0]
    assert table["p_holm"].tolist() == pytest.approx([3 * p] * 3)


def test_data_sets_and_backbones_are_families_of_their_own_and_never_mixed() -> None:
    rows = two([0.71, 0.72, 0.73], [0.70] * 3)
    elsewhere = [*two([0.71, 0.72, 0.73], [0.7] * 3, dataset="digits"), point("c", 0, 0.5, backbone="wide")]
    alone, both = versus(pd.DataFrame(rows)), versus(pd.DataFrame(rows + elsewhere))
    pd.testing.assert_frame_equal(both[both["dataset"] == "shapes"], alone)
    assert "wide" not in set(both["backbone"])


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([0.75, 0.76, 0.74, 0.75, 0.75], [0.7] * 5, FIRST),
        ([0.7] * 5, [0.75, 0.76, 0.74, 0.75, 0.75], SECOND),
        ([0.7, 0.8, 0.7, 0.8, 0.7], [0.8, 0.7, 0.8, 0.7, 0.8], NEITHER),
        ([0.7] * 5, [0.7] * 5, NEITHER),
        ([0.75, 0.76, 0.74, 0.75], [0.7] * 4, TOO_FEW),
        ([0.75], [0.7], TOO_FEW),
    ],
)
def test_a_verdict_needs_five_seeds_and_an_adjusted_p_below_five_in_a_hundred(
    first: list[float], second: list[float], verdict: str
) -> None:
    assert compared(two(first, second))["verdict"] == verdict


def test_a_p_value_that_holm_lifts_above_five_in_a_hundred_separates_nothing() -> None:
    rows = two([0.72, 0.72, 0.72, 0.72, 0.72 - 0.049], [0.7] * 5)
    noise = np.random.default_rng(0).uniform(0.6, 0.8, (4, 5))
    more = [point(f"noise{k}", seed, float(x)) for k, xs in enumerate(noise) for seed, x in enumerate(xs)]
    borderline = two([0.72, 0.725, 0.715, 0.73, 0.705], [0.7] * 5)
    alone, among = compared(borderline), compared(borderline + more)
    assert alone["p"] == among["p"] < 0.05 / 3
    assert (alone["verdict"], among["verdict"]) == (FIRST, NEITHER)
    assert compared(rows)["verdict"] == NEITHER


def test_one_seed_has_a_difference_and_no_interval() -> None:
    row = compared(two([0.75], [0.7]))
    assert row["difference"] == pytest.approx(0.05)
    assert np.isnan([row["low"], row["high"], row["p"], row["p_holm"]]).all()


def test_points_are_chosen_on_calibration_within_a_hundredth_of_the_budget_on_both_and_compared_on_test() -> None:
    rows = [
        *(point("a", seed, 0.6, macs=50.4, calibration_macs=50.0, calibration_accuracy=0.9) for seed in (0, 1)),
        *(point("a", seed, 0.7, macs=51.0, calibration_macs=50.0, calibration_accuracy=0.95) for seed in (0, 1)),
        *(point("a", seed, 0.8, macs=40.0, calibration_accuracy=0.8) for seed in (0, 1)),
        *(point("a", seed, 0.95, macs=30.0, selected=False) for seed in (0, 1)),
        *(point("b", seed, 0.5) for seed in (0, 1)),
    ]
    assert compared(rows)["difference"] == pytest.approx(0.1)


def test_seeds_are_paired_by_name_and_those_of_one_series_alone_do_not_count() -> None:
    rows = [point("a", seed, accuracy) for seed, accuracy in ((3, 0.9), (1, 0.7), (2, 0.8))]
    rows += [point("b", seed, accuracy) for seed, accuracy in ((1, 0.6), (2, 0.6), (7, 0.1))]
    row = compared(rows)
    assert (row["difference"], row["seeds"]) == (pytest.approx(0.15), 2)


def test_a_budget_that_one_seed_cannot_meet_is_not_compared_at_all() -> None:
    rows = two([0.7, 0.7], [0.6, 0.6])
    rows[3] = point("b", 1, 0.6, macs=60.0)
    assert versus(pd.DataFrame(rows))["share"].tolist() == [0.75, 1.0]


def test_controls_are_no_competitors_and_without_plain_macs_there_is_no_budget() -> None:
    rows = two([0.7, 0.7], [0.6, 0.6])
    controls = [point("b", seed, 0.9, kind="random", selected=False) for seed in (0, 1)]
    assert compared(rows + controls)["difference"] == pytest.approx(0.1)
    assert versus(pd.DataFrame([row | {"plain_macs": np.nan} for row in rows])).empty


def test_the_columns_are_the_same_with_and_without_rows() -> None:
    assert versus(pd.DataFrame([point("a", 0, 0.7)])).columns.tolist() == COLUMNS
    assert versus(pd.DataFrame(two([0.7], [0.6]))).columns.tolist() == COLUMNS


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=7))
def test_turning_a_pair_round_turns_the_difference_round_and_nothing_else(pairs: list[tuple[float, float]]) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    there, back = compared(two(first, second)), compared(two(second, first))
    assert there["difference"] == pytest.approx(-back["difference"], abs=1e-12)
    assert there["p"] == pytest.approx(back["p"], nan_ok=True)
    assert {FIRST: SECOND, SECOND: FIRST}.get(there["verdict"], there["verdict"]) == back["verdict"]


def test_a_run_is_compared_at_the_accuracies_of_its_budget_table(three_seeds: Path) -> None:
    run = read(three_seeds)
    table = versus(tables.labelled(run))
    accuracies = tables.budgets(run).set_index(["series", "share"])["accuracy"]
    expected = [accuracies[row["first"], row["share"]] - accuracies[row["second"], row["share"]]
                for _, row in table.iterrows()]  # fmt: skip
    assert len(table) > 3
    assert table["difference"].tolist() == pytest.approx(expected)
    assert set(table["verdict"]) == {TOO_FEW}
