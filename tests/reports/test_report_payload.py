"""What travels to the page agrees with the tables of the terminal and of the papers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from unpacked import rows

from benchmarks.stats.frontier import accuracy_at
from reports.data import tables
from reports.data.records import Run, read
from reports.data.series import gather
from reports.html.payload import IN_FAMILY, MEASURED, ON_FRONTIER, SELECTED, payload


def of(run: Run) -> dict[str, list[dict]]:
    return {
        name: rows(table)
        for name, table in payload(gather([run]), ()).items()
        if isinstance(table, dict) and "rows" in table
    }


def test_every_operating_point_travels_once_with_its_marks(one_seed: Path) -> None:
    run = read(one_seed)
    own = run.points[run.points["kind"] == "point"].reset_index(drop=True)
    found = pd.DataFrame(of(run)["points"])
    assert found["point"].tolist() == own["point"].tolist()
    assert found["accuracy"].to_numpy() == pytest.approx(own["accuracy"].to_numpy(), abs=5e-5)
    assert found["macs"].to_numpy() == pytest.approx(own["macs"].to_numpy(), rel=1e-3)
    marks = found["marks"].astype(int)
    assert ((marks & SELECTED) > 0).tolist() == own["selected"].tolist()
    assert ((marks & ON_FRONTIER) > 0).tolist() == own["on_frontier"].tolist()
    assert not (marks & MEASURED).any()


@pytest.mark.parametrize("fixture", ["one_seed", "three_seeds"])
def test_budgets_and_summaries_are_those_of_the_run(fixture: str, request: pytest.FixtureRequest) -> None:
    run = read(request.getfixturevalue(fixture))
    found = of(run)
    expected = tables.budgets(run)
    expected = expected[expected["point"] != ""]
    assert [row["accuracy"] for row in found["budgets"]] == pytest.approx(expected["accuracy"].tolist(), abs=5e-5)
    summed = tables.summaries(run)
    assert [row["summary"] for row in found["lines"]] == pytest.approx(summed["summary"].tolist(), abs=5e-5)
    assert [row["training_cost"] for row in found["lines"]] == pytest.approx(summed["training"].tolist(), abs=5e-3)


def test_a_point_has_the_budget_at_which_it_is_picked_to_the_last_mac(one_seed: Path) -> None:
    run = read(one_seed)
    found = of(run)["points"]
    chosen = run.points[run.points["selected"]]
    picked = [row for row in found if row["asked"] is not None]
    assert len(picked) >= 3
    for row in picked:
        best = accuracy_at(row["asked"], chosen["calibration_macs"], chosen["calibration_accuracy"])
        assert chosen.iloc[best]["point"] == row["point"]
    assert {row["parameters"] for row in found} == {272_474}


def test_controls_know_their_point(one_seed: Path) -> None:
    run = read(one_seed)
    found = of(run)
    expected = tables.controls(run).set_index("point")
    for control in found["controls"]:
        if control["kind"] == "oracle":
            assert control["of"] is None
        else:
            point = found["points"][int(control["of"])]
            assert control["accuracy"] == pytest.approx(expected.loc[point["point"], control["kind"]], abs=5e-5)


def test_points_above_their_controls_are_counted_before_anything_is_rounded(one_seed: Path) -> None:
    run = read(one_seed)
    routed = tables.controls(run)
    point, low = routed.iloc[0][["accuracy", "accuracy_low"]]
    place = (run.points["kind"] == "random") & (run.points["point"] == routed.iloc[0]["point"])
    for random, over, clear in ((low - 1e-7, 1, 1), (low + 1e-7, 1, 0), (point - 1e-7, 1, 0), (point + 1e-7, 0, 0)):
        moved = replace(run, points=run.points.assign(accuracy=run.points["accuracy"].mask(place, random)))
        expected = tables.controls(moved)
        (line,) = (row for row in of(moved)["lines"] if row["method"] == routed.iloc[0]["method"])
        for kind in ("random", "mixture"):
            assert line[f"over_{kind}"] == expected[f"beats_{kind}"].sum()
            assert line[f"clear_{kind}"] == expected[f"clear_{kind}"].sum()
        first = expected[expected["point"] == routed.iloc[0]["point"]].iloc[0]
        assert (first["beats_random"], first["clear_random"]) == (over, clear)


def test_latencies_know_their_point_and_composed_ones_bring_their_own(one_seed: Path) -> None:
    run = read(one_seed)
    last = run.latency[run.latency["method"] == "earlyexit"].iloc[[-1]]
    composed = last.assign(point="made of paths", execution="composed", macs=1e6)
    found = of(replace(run, latency=pd.concat([run.latency, composed], ignore_index=True)))
    assert len(found["times"]) == len(run.latency) + 1
    [own] = [row for row in found["times"] if row["of"] is None]
    assert (own["point"], own["macs"]) == ("made of paths", pytest.approx(1e6))
    for row in found["times"]:
        if row["of"] is not None:
            point = found["points"][int(row["of"])]["point"]
            assert row["p50"] == pytest.approx(run.latency.set_index("point").loc[[point], "p50_ms"].iloc[0], rel=1e-3)


def family_run(run: Run) -> Run:
    """Plain and three networks of fixed cost; the dear small one is worse than the cheap one."""
    plain = run.points[run.points["method"] == "plain"]
    figures = {"cheap": (0.25, 0.70), "worse": (0.40, 0.65), "good": (0.60, 0.80)}
    own = [
        plain.assign(
            method="static", point=name, macs=plain["macs"] * share, calibration_macs=plain["macs"] * share,
            accuracy=right, calibration_accuracy=right, selected=name != "worse",
        )
        for name, (share, right) in figures.items()
    ]  # fmt: skip
    return replace(run, points=pd.concat([plain, *own], ignore_index=True))


def test_the_family_of_plain_networks_is_the_frontier_of_plain_and_static_on_calibration_images(one_seed: Path) -> None:
    found = of(family_run(read(one_seed)))
    marked = [row["point"] for row in found["points"] if int(row["marks"]) & IN_FAMILY]
    assert marked == ["full", "cheap", "good"]
    assert {row["share"]: row["point"] for row in found["family"]} == {
        0.25: "static cheap", 0.5: "static cheap", 0.75: "static good", 1.0: "plain full",
    }  # fmt: skip


def test_pairs_are_compared_where_there_are_several_seeds(one_seed: Path, three_seeds: Path) -> None:
    assert of(read(one_seed))["versus"] == []
    found = of(read(three_seeds))["versus"]
    assert {row["seeds"] for row in found} == {3}
    assert {row["verdict"] for row in found} == {"fewer than 5 seeds"}
    lines = of(read(three_seeds))["lines"]
    shares = {(lines[int(r["first"])]["name"], lines[int(r["second"])]["name"], r["share"]): r for r in found}
    budgets = tables.budgets(read(three_seeds)).set_index(["series", "share"])["accuracy"]
    (one, other, share), row = next((key, row) for key, row in shares.items() if key[2] == 0.5)
    assert row["difference"] == pytest.approx(budgets[one, share] - budgets[other, share], abs=1e-4)


def test_a_run_that_names_no_classes_has_no_summaries(one_seed: Path) -> None:
    run = read(one_seed)
    found = of(replace(run, record=run.record | {"data": {"name": "shapes"}}))
    assert {row["summary"] for row in found["lines"]} == {None}
    assert np.isfinite([row["accuracy"] for row in found["budgets"]]).all()
