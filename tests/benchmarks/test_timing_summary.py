"""Rows of latency.csv, from seconds that are known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.timing.conditions import FULL, QUICK, Condition, conditions, usual_batches
from benchmarks.timing.history import COLUMNS, KEY
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Timed, in_batches, plain_again, timing_images
from benchmarks.timing.summary import of_processes, quantile, raw_rows, rows
from methods.routers import Constant, OperatingPoint

POINT = OperatingPoint(name="full", router=Constant(answer=0))
QUICKLY, FULLY = Condition(1, 1, "cpu"), Condition(1, 1, "cpu", protocol=FULL.name)
IMAGES = np.array([[0], [1], [2], [3]])


def timed(name: str, macs: Any = (1, 1, 1, 1)) -> Timed:
    key = dict.fromkeys(KEY, "x") | {"method": name}
    return Timed(key, 0, POINT, np.array(macs), plain=name == "plain")


def process(*points: Any, flags: tuple[str, ...] = (), batches: Any = None) -> Session:
    """`points`: milliseconds [rounds, calls] each."""
    seconds = np.stack([np.array(point, dtype=float) for point in points], axis=1) / 1e3
    order = np.arange(seconds.shape[0] * seconds.shape[2]).reshape(len(seconds), -1) % 4
    return Session(seconds, order if batches is None else np.array(batches), 0.0, flags)


def summed(names: list[Timed], sessions: list[Session], condition: Condition = QUICKLY) -> dict[str, dict[str, Any]]:
    found = rows(names, condition, sessions, IMAGES, [None] * len(names))
    return {row["method"]: row for row in found}


def test_rows_have_the_columns_of_latency_csv_whether_plain_is_there_or_not() -> None:
    alone = summed([timed("m")], [process([[2, 2]] * 4)])["m"]
    assert set(alone) | {"session", "nodes_ms", "fixed_ms"} == set(COLUMNS)
    assert alone["ratio_to_plain"] is None
    assert (alone["scenario"], alone["protocol"], alone["execution"]) == ("single", "quick-3", "executed")


def test_ratios_are_to_the_plain_network_in_the_same_round_and_its_own_is_one() -> None:
    drift = np.array([[1, 1], [3, 3], [2, 2], [8, 8], [1, 1]])  # of the machine: hits both alike
    found = summed([timed("plain"), timed("m")], [process(drift, 2.5 * drift)])
    assert [found["plain"][f"ratio_{c}"] for c in ("to_plain", "low", "high")] == [1, 1, 1]
    assert [found["m"][f"ratio_{c}"] for c in ("to_plain", "low", "high")] == pytest.approx([2.5] * 3)
    assert found["m"]["images_per_s"] == pytest.approx(1000 / (2.5 * 3))


def test_plain_is_timed_several_times_a_round_and_all_of_it_is_below_the_line() -> None:
    points = [timed("plain"), timed("m")]
    more = plain_again(points)
    assert [point.key["point"] for point in more] == ["x again 1", "x again 2"]
    rounds = [[[ms] * 2] * 4 for ms in (1, 6, 2, 3)]
    found = rows([*points, *more], QUICKLY, [process(*rounds)], IMAGES, [None] * 4)
    plain, other = found
    assert plain["ratio_to_plain"] == 1
    assert plain["calls"] == 3 * 8
    assert plain["images_per_s"] == pytest.approx(500)
    assert other["ratio_to_plain"] == pytest.approx(6 / 2)


def test_percentiles_are_over_calls_so_that_a_rare_slow_call_shows() -> None:
    row = summed([timed("m")], [process([[1] * 19 + [21]] * 10)])["m"]
    assert (row["p50_ms"], row["p90_ms"], row["p99_ms"]) == (1, 1, 21)
    assert row["images_per_s"] == pytest.approx(500)
    assert row["calls"] == 200


def test_p99_is_left_out_where_there_are_too_few_calls() -> None:
    assert summed([timed("m")], [process([[1] * 9] * 11)])["m"]["p99_ms"] is None


def test_of_nine_processes_the_median_counts_and_one_outlier_moves_no_bound() -> None:
    each = [process([[ms] * 4] * 5) for ms in (1, 2, 3, 4, 5, 6, 7, 8, 900)]
    row = summed([timed("m")], each, FULLY)["m"]
    assert (row["low_ms"], row["p50_ms"], row["high_ms"]) == pytest.approx((2, 5, 8))
    assert row["processes"] == 9


def test_the_interval_of_a_full_ratio_is_over_processes_however_rounds_vary() -> None:
    rng = np.random.default_rng(0)
    plain = [rng.uniform(1, 2, (50, 3)) for _ in range(9)]
    each = [process(base, (1 + 0.1 * k) * base) for k, base in enumerate(plain)]
    row = summed([timed("plain"), timed("m")], each, FULLY)["m"]
    assert [row[f"ratio_{c}"] for c in ("low", "to_plain", "high")] == pytest.approx([1.1, 1.4, 1.7])


def test_uneven_rounds_and_uneven_processes_are_flagged_as_spread() -> None:
    assert summed([timed("m")], [process([[1, 1], [2, 2]] * 5)])["m"]["flags"] == "spread"
    assert summed([timed("m")], [process([[1, 1], [1.1, 1.1]] * 5)])["m"]["flags"] == ""
    apart = [process([[ms] * 4] * 5) for ms in (1, 1, 1, 1, 1.3, 1.3, 1.3, 1.3, 1.3)]
    assert summed([timed("m")], apart, FULLY)["m"]["flags"] == "spread"


def test_timed_images_that_cost_other_than_the_split_are_flagged_as_a_mix() -> None:
    dear = timed("m", macs=(1, 1, 9, 9))
    assert summed([dear], [process([[1, 1]] * 4, batches=[[0, 1]] * 4)])["m"]["flags"] == "mix"
    assert summed([dear], [process([[1, 1]] * 4, batches=[[0, 2]] * 4)])["m"]["flags"] == ""


def test_one_loaded_process_of_nine_is_what_the_interval_leaves_out_two_are_not() -> None:
    def flags(loaded: int, of: int) -> list[str]:
        return of_processes([process([[1]], flags=("loaded",) if k < loaded else ()) for k in range(of)])

    assert flags(1, of=1) == flags(2, of=9) == flags(1, of=5) == ["loaded"]
    assert flags(1, of=9) == flags(0, of=1) == []


def test_every_call_is_kept_with_its_process_and_round() -> None:
    found = raw_rows([timed("a"), timed("b")], FULLY, [process([[1, 2]], [[3, 4]]), process([[5, 6]], [[7, 8]])])
    kept = {(row["method"], row["process"], row["round"]): row["calls_ms"] for row in found}
    assert kept["a", 0, 0] == "1.0000 2.0000"
    assert kept["b", 1, 0] == "7.0000 8.0000"
    assert len(kept) == 4


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_of_even_weights_is_the_smallest_value_with_that_share_below_it(
    ms: list[float], share: float
) -> None:
    values = np.array(ms)
    found = quantile(values, np.full(len(ms), 1 / len(ms)), share)
    assert (values <= found).mean() >= share - 1e-9
    assert (values < found).mean() < share


def test_every_combination_is_one_condition() -> None:
    found = conditions(QUICK, [1, 64], [1, 2], "cpu", ["eager", "onnx"], ["float32"])
    assert len(set(found)) == 8
    assert len(conditions(QUICK, [1, 1], [2, 2], "cpu")) == 1
    assert {condition.scenario for condition in found} == {"single", "batched"}
    assert (usual_batches(32), usual_batches(224)) == ((1, 64), (1, 8))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 5))
def test_timing_images_take_every_class_in_turn(labels: list[int], seed: int) -> None:
    known = np.array(labels)
    order = timing_images(known, seed)
    assert sorted(order) == list(range(len(labels)))
    classes = len(set(labels))
    rarest = min(labels.count(label) for label in set(labels))
    assert list(known[order][: classes * rarest]) == sorted(set(labels)) * rarest


def test_timing_images_are_the_same_every_time_and_at_most_the_limit() -> None:
    labels = np.arange(3000) % 10
    assert len(timing_images(labels, 0)) == 1024
    assert np.array_equal(timing_images(labels, 0), timing_images(labels, 0))
    assert not np.array_equal(timing_images(labels, 0), timing_images(labels, 1))


@pytest.mark.parametrize(("images", "size", "bytes_each", "count"), [(10, 3, 1, 3), (2, 5, 1, 1), (1024, 8, 2**22, 8)])
def test_images_are_timed_in_whole_batches_that_fit_into_memory(
    images: int, size: int, bytes_each: int, count: int
) -> None:
    batches = in_batches(np.arange(images), size, bytes_each)
    assert batches.shape == (count, size)
    assert batches.ravel()[: min(images, count * size)].tolist() == list(range(min(images, count * size)))
