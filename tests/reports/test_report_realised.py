"""Speed-up in time against speed-up in MACs, and the causes of what is lost, on numbers made by hand.

Plain costs 100 MACs and takes 10 ms, 4 of them whatever the size of its maps. The point costs 50 MACs: it should take
5 ms, 2 of them fixed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.data import time_saved
from reports.data.records import Run, read

CONDITION = {"batch_size": 1, "threads": 1, "device": "cpu", "backend": "eager", "precision": "float32",
             "protocol": "full-1"}  # fmt: skip
COMMON = {"variant": "default", "backbone": "tiny", "dataset": "shapes", "seed": 0, "decision": "static",
          "execution": "executed", "flags": "", "session": "s1", **CONDITION}  # fmt: skip
PLAIN = {"method": "plain", "series": "plain", "point": "full", "share": 1.0, "ratio_to_plain": 1.0,
         "ratio_low": 1.0, "ratio_high": 1.0, "nodes_ms": 10.0, "fixed_ms": 4.0}  # fmt: skip


def point(ratio: float, nodes: float = np.nan, fixed: float = np.nan, share: float = 0.5, **more: Any) -> dict:
    """A timed point of method m, its interval 10% to either side."""
    own = {"method": "m", "series": "m", "point": "p", "share": share, "ratio_to_plain": ratio,
           "ratio_low": 0.9 * ratio, "ratio_high": 1.1 * ratio, "nodes_ms": nodes, "fixed_ms": fixed}  # fmt: skip
    return own | more


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([COMMON | row for row in rows])


def found(*rows: dict[str, Any]) -> pd.DataFrame:
    return time_saved.realised(table(PLAIN, *rows))


def only(*rows: dict[str, Any]) -> pd.Series:
    [(_, row)] = found(*rows).iterrows()
    return row


def test_realised_is_the_speed_up_in_time_over_that_in_macs_with_its_interval() -> None:
    row = only(point(ratio=0.625))
    assert (row["macs_speedup"], row["time_speedup"], row["realised"]) == pytest.approx((2.0, 1.6, 0.8))
    assert (row["time_speedup_low"], row["time_speedup_high"]) == pytest.approx((1.6 / 1.1, 1.6 / 0.9))
    assert (row["realised_low"], row["realised_high"]) == pytest.approx((0.8 / 1.1, 0.8 / 0.9))


def test_what_is_fixed_and_does_not_shrink_is_launch_overhead() -> None:
    row = only(point(ratio=0.7, nodes=7.0, fixed=4.0))  # 3 ms of 6 are saved on maps, nothing of 4 ms fixed
    assert (row["cause"], row["launch"], row["maps"]) == ("launch overhead", pytest.approx(1.0), pytest.approx(0.0))


def test_what_was_not_timed_together_with_plain_has_no_cause() -> None:
    assert only(point(ratio=0.7, nodes=7.0, fixed=4.0, session="s2"))["cause"] == time_saved.UNKNOWN


def test_work_on_maps_that_takes_longer_per_mac_is_small_maps() -> None:
    row = only(point(ratio=0.7, nodes=7.0, fixed=2.0))  # 5 ms on maps where 3 would do
    assert (row["cause"], row["launch"], row["maps"]) == ("small maps", pytest.approx(0.0), pytest.approx(1.0))


def test_of_several_causes_the_largest_is_named_with_its_share() -> None:
    row = only(point(ratio=0.8, nodes=8.0, fixed=4.0))  # of 3 ms lost 2 are fixed
    assert (row["cause"], row["cause_share"]) == ("launch overhead", pytest.approx(2 / 3))


@pytest.mark.parametrize(
    ("batch", "decision", "cause"),
    [(1, "per-sample", "router"), (64, "per-sample", "small groups"), (1, "static", "not explained")],
)
def test_what_no_node_takes_is_the_router_one_by_one_and_small_groups_in_batches(
    batch: int, decision: str, cause: str
) -> None:
    plain = PLAIN | {"batch_size": batch}
    row = point(ratio=0.7, nodes=5.0, fixed=2.0, batch_size=batch, decision=decision)
    [(_, row)] = time_saved.realised(table(plain, row)).iterrows()
    assert (row["cause"], row["cause_share"]) == (cause, pytest.approx(1.0))


def test_a_part_that_got_faster_than_its_macs_is_no_cause() -> None:
    row = only(point(ratio=0.8, nodes=8.0, fixed=1.0))  # 1 ms less than expected fixed, 4 ms more on maps
    assert (row["cause"], row["maps"], row["launch"]) == ("small maps", pytest.approx(1.0), 0.0)


def test_where_nothing_is_lost_there_is_no_cause() -> None:
    assert only(point(ratio=0.52, nodes=5.2, fixed=2.2))["cause"] == "none"
    faster = only(point(ratio=0.4, nodes=4.0, fixed=2.0))
    assert (faster["cause"], faster["realised"]) == ("none", 1.25)


@pytest.mark.parametrize("missing", [{}, {"nodes_ms": 7.0}])
def test_without_node_times_the_cause_is_not_known(missing: dict[str, float]) -> None:
    assert only(point(ratio=0.7) | missing)["cause"] == "not known"
    assert only(point(ratio=0.51) | missing)["cause"] == "none"


def test_without_node_times_of_plain_the_cause_is_not_known() -> None:
    rows = time_saved.realised(table(PLAIN | {"nodes_ms": np.nan}, point(ratio=0.7, nodes=7.0, fixed=4.0)))
    assert rows["cause"].tolist() == ["not known"]


def test_every_condition_is_compared_with_its_own_plain() -> None:
    two = {"threads": 2}
    rows = time_saved.realised(table(
        PLAIN, point(0.7, nodes=7.0, fixed=4.0),
        PLAIN | two | {"nodes_ms": 5.0, "fixed_ms": 2.0}, point(0.7, nodes=3.5, fixed=1.0) | two,
        PLAIN | {"backend": "onnx", "nodes_ms": np.nan}, point(0.7, nodes=7.0, fixed=4.0) | {"backend": "onnx"},
    ))  # fmt: skip
    assert rows["cause"].tolist() == ["launch overhead", "small maps", "not known"]
    assert [name.rpartition(",")[0] for name in rows["condition"]] == [
        "batch 1, 1 thread, cpu, eager float32",
        "batch 1, 2 threads, cpu, eager float32",
        "batch 1, 1 thread, cpu, onnx float32",
    ]


def test_the_headline_is_a_single_image_on_the_fewest_threads_in_eager_float32() -> None:
    others = [{"batch_size": 64}, {"threads": 2}, {"backend": "onnx"}, {"precision": "bfloat16"}, {}]
    rows = found(*(point(0.5, point=str(place)) | other for place, other in enumerate(others)))
    assert time_saved.headline(rows)["point"].tolist() == ["4"]
    assert len(rows) == 5


def test_points_without_macs_or_ratio_are_left_out() -> None:
    assert found(point(0.7, share=np.nan), point(np.nan)).empty
    assert time_saved.realised(table(PLAIN)[:0]).empty
    assert time_saved.headline(found()).empty


@settings(max_examples=30)
@given(
    ratio=st.floats(0.1, 5), share=st.floats(0.05, 1.2), nodes=st.floats(0.1, 20), fixed=st.floats(0, 1),
    speed=st.floats(0.5, 2),
)  # fmt: skip
def test_shares_of_the_loss_sum_to_one_and_no_drift_between_the_two_measurements_matters(
    ratio: float, share: float, nodes: float, fixed: float, speed: float
) -> None:
    def shares(speed: float) -> np.ndarray:
        rows = table(PLAIN, point(ratio, nodes, fixed * nodes, share, decision="per-sample"))
        drifted = rows.assign(nodes_ms=rows["nodes_ms"] * speed, fixed_ms=rows["fixed_ms"] * speed)
        return time_saved.realised(drifted)[list(time_saved.CAUSES)].to_numpy()

    if ratio > share + 1e-3:
        assert shares(1.0).sum() == pytest.approx(1.0)
        assert shares(speed) == pytest.approx(shares(1.0), abs=1e-6)


def test_the_summary_speaks_of_points_that_save_a_fifth_of_the_macs() -> None:
    says = time_saved.summary(found(
        point(0.625, nodes=6.25, fixed=3.25), point(0.8, nodes=8.0, fixed=4.0), point(0.5),
        point(3.0, share=0.81), point(1.0, share=0.8, nodes=10.0, fixed=5.2),
    ))  # fmt: skip
    assert says == {
        "points": 4, "enough": 3, "least": pytest.approx(0.625), "median": pytest.approx(0.8),
        "cause": "launch overhead", "lose": 3, "left_out": 0, "doubtful": False,
    }  # fmt: skip
    assert time_saved.summary(found(point(3.0, share=0.81))) is None


def test_flagged_and_composed_points_are_left_out_of_the_summary_unless_there_are_no_others() -> None:
    flagged, composed = point(5.0, flags="loaded"), point(5.0, execution="composed")
    says = time_saved.summary(found(point(0.5), flagged, composed))
    assert says is not None
    assert (says["points"], says["left_out"], says["least"], says["doubtful"]) == (1, 2, 1.0, False)
    alone = time_saved.summary(found(flagged))
    assert alone is not None
    assert (alone["points"], alone["least"], alone["doubtful"]) == (1, pytest.approx(0.1), True)


def test_flags_of_plain_are_flags_of_all_that_is_divided_by_it() -> None:
    rows = time_saved.realised(table(PLAIN | {"flags": "loaded+spread"}, point(0.5, flags="loaded"), point(0.6)))
    assert rows["flags"].tolist() == ["loaded+plain spread", "plain loaded+plain spread"]


def test_summaries_keep_methods_decisions_and_conditions_apart() -> None:
    rows = found(
        point(0.5, series="b", batch_size=64), point(0.5, series="b"), point(0.6, series="b", decision="per-sample"),
        point(0.7, series="a"), point(0.8, series="a"),
    )  # fmt: skip
    says = time_saved.summaries(rows)
    assert [(one["series"], one["decision"], one["points"]) for one in says] == [
        ("b", "static", 1), ("b", "per-sample", 1), ("a", "static", 2), ("b", "static", 1),
    ]  # fmt: skip
    assert [one["condition"].startswith("batch 64") for one in says] == [False, False, False, True]
    assert time_saved.cells(says[2]) == ["a", "static", "2", "0.67", "0.62", "0", "not known (2)"]
    assert time_saved.cells(says[0]) == ["b", "static", "1", "1.00", "1.00", "1", "none"]


def test_markdown_is_a_table_a_condition_that_escapes_what_would_break_it(one_seed: Path) -> None:
    run = read(one_seed)
    latency = pd.concat([run.latency, run.latency.assign(backend="a|b<c")])
    text = time_saved.markdown(Run(run.folder, run.record, run.points, latency))
    assert text.count("| method | decision | points | median | least | at least 0.80 | mostly lost to |") == 2
    assert text.count("| sdpoint | static | ") == 2
    assert r"a\|b&lt;c" in text
    assert time_saved.markdown(Run(run.folder, run.record, run.points, run.latency[:0])) == ""
