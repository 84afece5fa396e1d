"""Charts are valid specifications that show what they promise."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.data import tables
from reports.data.records import read
from reports.figures import charts


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


@given(st.floats(1e-3, 1e5), st.floats(1.15, 500))
def test_log_axes_have_round_ticks_within_their_domain(low: float, ratio: float) -> None:
    ticks = charts.log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 30
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] <= ticks[-1] <= low * ratio
