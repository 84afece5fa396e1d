"""Timing of executed points: the protocol, with points whose seconds are known beforehand."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from harness import do, small
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import latency
from benchmarks.latency import Timed, others_share, quick, timing_images
from benchmarks.progress import Progress, drive
from methods.routers import Constant, OperatingPoint

COLUMNS = [
    "method",
    "variant",
    "backbone",
    "dataset",
    "seed",
    "point",
    "scenario",
    "backend",
    "precision",
    "device",
    "threads",
    "batch_size",
    "protocol",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "low_ms",
    "high_ms",
    "images_per_s",
    "ratio_to_plain",
    "ratio_low",
    "ratio_high",
    "flags",
]
POINT = OperatingPoint(name="full", router=Constant(answer=0))


class Clock:
    """Time that passes only where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(latency, "others_share", lambda: 0.0)


class Fake(torch.nn.Module):
    """A model that takes `seconds` a call, in turn, and counts the images it is given."""

    def __init__(self, clock: Clock, *seconds: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.clock, self.seconds = clock, seconds
        self.calls: list[tuple[int, ...]] = []

    def execute(self, images: torch.Tensor, router: Any) -> None:
        self.clock.now += self.seconds[len(self.calls) % len(self.seconds)]
        self.calls.append(tuple(images[:, 0].int().tolist()))


def timed(model: Fake, name: str = "m", plain: bool = False, macs: Any = (1, 1, 1, 1)) -> Timed:
    key = dict.fromkeys(latency.KEY, "x") | {"method": name}
    return Timed(key, model, POINT, np.array(macs), plain)  # type: ignore[arg-type]


def measure(*points: Timed, samples: Any = (0, 1, 2, 3)) -> tuple[Any, Any, list[Progress]]:
    shown: list[Progress] = []

    def pixels(chunk: Any) -> torch.Tensor:
        return torch.from_numpy(np.asarray(chunk))[:, None].float()

    rows, raw = drive(quick(points, pixels, np.array(samples), seed=0), shown.append)
    return {(row["method"], row["scenario"]): row for row in rows}, raw, shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_rows_have_the_contracts_columns_whether_plain_is_there_or_not(clock: Clock) -> None:
    alone, _, _ = measure(timed(Fake(clock, 0.02)))
    assert set(alone["m", "single"]) == set(COLUMNS)
    assert alone["m", "single"]["ratio_to_plain"] is None


def test_ratios_are_to_the_plain_network_and_its_own_is_one(clock: Clock) -> None:
    rows, _, _ = measure(timed(Fake(clock, 0.02), "plain", plain=True), timed(Fake(clock, 0.05)))
    for scenario in ("single", "batched"):
        assert [rows["plain", scenario][f"ratio_{c}"] for c in ("to_plain", "low", "high")] == [1, 1, 1]
        assert rows["m", scenario]["ratio_to_plain"] == pytest.approx(2.5)
        assert rows["m", scenario]["p50_ms"] == pytest.approx(50)
        assert rows["m", scenario]["flags"] == ""
    assert rows["m", "single"]["images_per_s"] == pytest.approx(20)
    assert rows["m", "batched"]["images_per_s"] == pytest.approx(64 / 0.05)
    assert [rows["m", s]["batch_size"] for s in ("single", "batched")] == [1, 64]


def test_a_call_shorter_than_a_sample_is_repeated_and_divided(clock: Clock) -> None:
    model = Fake(clock, 0.001)  # ten calls make a sample of 10 ms
    rows, raw, _ = measure(timed(model))
    assert rows["m", "single"]["p50_ms"] == pytest.approx(1)
    assert len(model.calls) == 2 * (10 + 31 * 10)  # a warm-up of ten, then as many rounds as there may be
    assert len(raw) == 2 * 31


def test_every_point_is_timed_equally_often_on_the_same_images(clock: Clock) -> None:
    models = [Fake(clock, 0.02), Fake(clock, 0.003), Fake(clock, 0.1)]
    _, raw, _ = measure(*(timed(model, str(i)) for i, model in enumerate(models)))
    assert len(set(Counter((row["method"], row["scenario"]) for row in raw).values())) <= 2
    for size in (1, 64):
        rounds = [[call for call in model.calls if len(call) == size][10:] for model in models]
        assert rounds[0] == rounds[1] == rounds[2]
        assert len(rounds[0]) >= 9


def test_slow_points_are_timed_nine_rounds_and_no_fewer(clock: Clock) -> None:
    _, raw, _ = measure(timed(Fake(clock, 60.0)))
    assert len(raw) == 2 * 9


def test_uneven_samples_are_flagged_as_spread(clock: Clock) -> None:
    rows, _, _ = measure(timed(Fake(clock, 0.02, 0.04), "uneven"), timed(Fake(clock, 0.02), "even"))
    assert rows["uneven", "single"]["flags"] == "spread"
    assert rows["even", "single"]["flags"] == ""


def test_timed_images_that_cost_other_than_the_split_are_flagged_as_a_mix(clock: Clock) -> None:
    rows, _, _ = measure(timed(Fake(clock, 0.02), macs=(1, 1, 9, 9)), samples=(0, 1))
    assert rows["m", "batched"]["flags"] == "mix"
    rows, _, _ = measure(timed(Fake(clock, 0.02), macs=(1, 1, 9, 9)), samples=(0, 2))
    assert rows["m", "batched"]["flags"] == ""


def test_a_busy_machine_is_flagged_as_loaded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "others_share", lambda: 0.5)
    rows, _, _ = measure(timed(Fake(clock, 0.02)))
    assert {row["flags"] for row in rows.values()} == {"loaded"}


def test_progress_ends_at_its_total_and_never_goes_back(clock: Clock) -> None:
    _, _, shown = measure(timed(Fake(clock, 0.02)))
    done = [progress.done for progress in shown]
    assert done == sorted(done)
    assert shown[-1].done == shown[-1].total


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


def test_the_share_of_others_is_a_share() -> None:
    assert 0 <= others_share(0.02) <= 1


def test_the_share_of_others_is_counted_from_the_kernels_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["cpu  10 0 0 80 10 0 0 0 0 0\ncpu0 1", "cpu  40 0 0 140 20 0 0 0 0 0\ncpu0 1"])
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self: next(lines))
    assert others_share(0.0) == pytest.approx(30 / 100)


def test_the_latency_of_a_run_has_a_row_a_point_and_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "BUDGET_S", 0.1)
    monkeypatch.setattr(latency, "SAMPLE_S", 0.001)
    _, outcome = do(small(tmp_path, methods="earlyexit", points=4, latency="quick"))
    found = pd.read_csv(tmp_path / "latency.csv")
    assert not outcome.failures
    assert sorted(found.columns) == sorted(COLUMNS)
    rows = pd.read_csv(tmp_path / "points.csv").query("kind == 'point'")
    assert len(found) == 2 * len(rows) == 2 * (1 + 4)
    assert set(found["point"]) == set(rows["point"])
    assert (found["p50_ms"] > 0).all()
    assert (found["low_ms"] <= found["p50_ms"]).all()
    plain = found[found["method"] == "plain"]
    assert (plain["ratio_to_plain"] == 1).all()
    raw = pd.read_csv(tmp_path / "latency-samples.csv")
    assert len(set(raw.groupby(["method", "point", "scenario"]).size()[:, :, "single"])) == 1


def test_percentiles_are_over_calls_so_that_a_rare_slow_call_shows(clock: Clock) -> None:
    rows, _, _ = measure(timed(Fake(clock, *[0.001] * 19, 0.021)))
    row = rows["m", "single"]
    assert row["p50_ms"] == pytest.approx(1)
    assert row["p90_ms"] == pytest.approx(1)
    assert row["p99_ms"] == pytest.approx(21)
    assert row["images_per_s"] == pytest.approx(1000 / 2, rel=0.1)


def test_p99_is_left_out_where_there_are_too_few_calls(clock: Clock) -> None:
    rows, _, _ = measure(timed(Fake(clock, 0.02)))
    assert rows["m", "batched"]["p99_ms"] is None


def test_a_slow_point_is_warmed_up_for_a_bounded_time(clock: Clock) -> None:
    model = Fake(clock, 1.0)
    measure(timed(model))
    assert len([call for call in model.calls if len(call) == 1]) == 2 + 10  # two warm it up, ten fill BUDGET_S
