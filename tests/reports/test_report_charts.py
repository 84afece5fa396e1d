"""Charts are valid specifications that show what they promise."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import charts, tables
from reports.realised import realised
from reports.records import read


def layers_with(spec: dict, mark: str) -> list[dict]:
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == mark]


@pytest.mark.parametrize("fixture", ["one_seed", "three_seeds"])
def test_frontier_is_valid_vega_lite(fixture: str, request: pytest.FixtureRequest) -> None:
    run = read(request.getfixturevalue(fixture))
    spec = charts.frontier(tables.labelled(run), ("a", "b")).to_dict(validate=True)
    assert "MMACs per image" in str(spec["layer"][-1]["encoding"]["x"]["title"])


def test_frontier_of_the_plain_backbone_alone_and_of_no_plain_backbone(one_seed: Path) -> None:
    points = tables.labelled(read(one_seed))
    charts.frontier(points[points["method"] == "plain"]).to_dict()
    run = read(one_seed)
    alone = run.points[run.points["method"] != "plain"].reset_index(drop=True)
    without = type(run)(run.folder, run.record, alone, run.latency)
    charts.frontier(tables.labelled(without)).to_dict()


def test_step_lines_go_through_selected_points_only(one_seed: Path) -> None:
    points = tables.labelled(read(one_seed))
    spec = charts.frontier(points).to_dict()
    [steps] = [line for line in layers_with(spec, "line") if line["mark"].get("interpolate")]
    rows = spec["datasets"][steps["data"]["name"]]
    chosen = points[points["selected"] & (points["method"] != "plain")]
    assert sorted(row["accuracy"] for row in rows) == pytest.approx(sorted(chosen["accuracy"] * 100))


def test_interval_bars_are_drawn_for_one_seed_only(one_seed: Path, three_seeds: Path) -> None:
    def bars(folder: Path) -> int:
        spec = charts.frontier(tables.labelled(read(folder))).to_dict()
        rules = [layer for layer in layers_with(spec, "rule") if "y2" in layer["encoding"]]
        return len([layer for layer in rules if "color" in layer["encoding"]])

    assert (bars(one_seed), bars(three_seeds)) == (1, 0)


def drawn(rows: pd.DataFrame) -> tuple[dict, list[dict]]:
    """The chart of speed-ups and the rows of its points."""
    spec = charts.speedup(rows, ["sdpoint", "earlyexit"]).to_dict(validate=True)
    return spec, spec["datasets"][spec["layer"][-1]["data"]["name"]]


def test_flagged_timings_are_hollow_and_speed_ups_are_over_plain(one_seed: Path) -> None:
    timed = tables.timed(read(one_seed))
    _, rows = drawn(realised(timed))
    assert [row["fill"] for row in rows if row["flags"]] == [0.0]
    first = timed[timed["method"] != "plain"].iloc[0]
    assert rows[0]["time_speedup"] == pytest.approx(1 / first["ratio_to_plain"], abs=1e-4)
    assert rows[0]["macs_speedup"] == pytest.approx(first["plain_macs"] / first["macs"], abs=1e-4)


def test_of_several_conditions_one_is_seen_until_another_is_chosen(one_seed: Path) -> None:
    own = tables.timed(read(one_seed))
    spec, rows = drawn(realised(pd.concat([own.assign(threads=2), own])))
    [chosen] = [param for param in spec["params"] if param["name"] == "condition"]
    assert chosen["value"] == "batch 1, 1 thread, cpu, eager float32, quick-1"
    assert chosen["bind"]["options"] == [chosen["value"], chosen["value"].replace("1 thread", "2 threads")]
    assert {row["condition"] for row in rows} == set(chosen["bind"]["options"])
    filters = [layer["transform"][0]["filter"] for layer in spec["layer"] if "transform" in layer]
    assert filters == ["(datum.condition === condition)"] * 2
    [alone] = [param for param in drawn(realised(own))[0]["params"] if param["name"] == "condition"]
    assert "bind" not in alone


def test_composed_points_have_a_mark_of_their_own(one_seed: Path) -> None:
    own = tables.timed(read(one_seed))
    execution = own["execution"].where(own["point"] != "exit1", "composed")
    spec, rows = drawn(realised(own.assign(execution=execution)))
    assert {row["kind"] for row in rows if row["point"] == "exit1"} == {"composed"}
    assert spec["layer"][-1]["encoding"]["shape"]["scale"] == {
        "domain": ["static", "per-sample", "composed"],
        "range": ["circle", "triangle-up", "diamond"],
    }


@given(st.floats(1e-3, 1e5), st.floats(1.15, 500))
def test_log_axes_have_round_ticks_within_their_domain(low: float, ratio: float) -> None:
    ticks = charts.log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 30
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] <= ticks[-1] <= low * ratio
