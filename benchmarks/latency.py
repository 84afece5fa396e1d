"""Wall-clock latency of executed operating points, protocol `quick`: one process, all points interleaved.

Round after round every point is timed once, in random order, on the same images, so that drift hits
all alike; a point's ratio to the plain network is taken within rounds. Samples of one process are
not independent: the intervals describe this run, not the machine.
"""

import gc
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.progress import Progress
from benchmarks.statistics import median_interval
from methods.base import AdjustableModel
from methods.routers import OperatingPoint

PROTOCOL = "quick-1"
SAMPLE_S = 0.010
"""A sample, the calls of one point in one round, lasts at least this long on a CPU."""
BUDGET_S = 10.0
"""Seconds of timing per scenario, within ROUNDS."""
ROUNDS = (9, 31)
WARM_S = 1.5
P99_CALLS = 100
SPREAD = 0.25
LOAD = 0.10
MIX = 0.05

KEY = ("method", "variant", "backbone", "dataset", "seed", "point")


@dataclass(frozen=True)
class Timed:
    """One operating point to time: its key in points.csv, the model that executes it, and what it costs.

    `macs` [n] is what each test image costs here, by which the mix of paths in the timed images is
    compared with that of the whole split.
    """

    key: dict[str, Any]
    model: AdjustableModel
    point: OperatingPoint
    macs: NDArray[np.int64]
    plain: bool


@dataclass(frozen=True)
class Scenario:
    """How many images go into one call."""

    name: str
    batch_size: int


def scenarios(side: int) -> tuple[Scenario, ...]:
    """One image at a time, and a batch: 64 images, or 8 of more than 64 pixels a side."""
    return Scenario("single", 1), Scenario("batched", 64 if side <= 64 else 8)


def quick(
    timed: Sequence[Timed],
    pixels: Callable[[NDArray[np.int64]], Tensor],
    samples: NDArray[np.int64],
    seed: int,
) -> Generator[Progress, None, tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Time all points in all scenarios on test images `samples`; `pixels` loads them as inputs.

    Returns rows of latency.csv and the raw samples, one row per point and round.
    """
    rows: list[dict[str, Any]] = []
    raw: list[dict[str, Any]] = []
    device = next(timed[0].model.parameters()).device
    planned = scenarios(pixels(samples[:1]).shape[-1])
    for number, scenario in enumerate(planned):
        rng = np.random.default_rng([seed, number])
        before = others_share()
        order = _order(timed, pixels, samples, scenario, device)
        seconds = np.zeros((len(order), len(timed), order.shape[1]))
        for turn, images in enumerate(order):
            inputs = [pixels(chunk) for chunk in images]
            for which in rng.permutation(len(timed)):
                seconds[turn, which] = _sample(timed[which], inputs, device)
            yield Progress(number * 1000 + (turn + 1) * 1000 // len(order), len(planned) * 1000)
        loaded = max(before, others_share()) > LOAD
        rows += _rows(timed, scenario, seconds, order, loaded, device)
        raw += [
            {**t.key, "scenario": scenario.name, "round": turn, "calls_ms": " ".join(f"{1e3 * s:.4f}" for s in calls)}
            for which, t in enumerate(timed)
            for turn, calls in enumerate(seconds[:, which])
        ]
    return rows, raw


def _order(
    timed: Sequence[Timed],
    pixels: Callable[[NDArray[np.int64]], Tensor],
    samples: NDArray[np.int64],
    scenario: Scenario,
    device: torch.device,
) -> NDArray[np.int64]:
    """Which images are timed in which round and call, [rounds, calls, batch].

    As many calls as make a sample of the fastest point SAMPLE_S long, and as many rounds as fit BUDGET_S.
    """
    one = [_warm(t, pixels(samples[: scenario.batch_size]), device) for t in timed]
    calls = max(1, int(np.ceil(SAMPLE_S / min(one))))
    rounds = int(np.clip(BUDGET_S / (calls * sum(one)), *ROUNDS))
    return np.resize(samples, rounds * calls * scenario.batch_size).reshape(rounds, calls, scenario.batch_size)


def _warm(timed: Timed, inputs: Tensor, device: torch.device) -> float:
    """Warm a point up; the seconds of one call.

    Until five calls agree with the five before (medians within a tenth), at most 30 calls or WARM_S.
    """
    seconds: list[float] = []
    while len(seconds) < 30 and sum(seconds) < WARM_S:
        seconds.append(float(_sample(timed, [inputs], device)[0]))
        if len(seconds) >= 10 and abs(np.median(seconds[-5:]) / np.median(seconds[-10:-5]) - 1) < 0.1:
            break
    return float(np.median(seconds[-5:]))


@torch.inference_mode()
def _sample(timed: Timed, inputs: Sequence[Tensor], device: torch.device) -> NDArray[np.float64]:
    """Seconds of executing the point on each of `inputs`; collector off, device idle at both ends of a call."""
    model, router = timed.model, timed.point.router
    seconds = np.zeros(len(inputs))
    enabled = gc.isenabled()
    gc.disable()
    for call, images in enumerate(inputs):
        _synchronise(device)
        started = time.perf_counter()
        model.execute(images, router)
        _synchronise(device)
        seconds[call] = time.perf_counter() - started
    if enabled:
        gc.enable()
    return seconds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rows(
    timed: Sequence[Timed], scenario: Scenario, seconds: NDArray[np.float64], order: NDArray[np.int64],
    loaded: bool, device: torch.device,
) -> list[dict[str, Any]]:  # fmt: skip
    """Percentiles are over calls; the interval of the median and the ratio are over rounds.

    p99 is left out where there are fewer than P99_CALLS calls.
    """
    reference = next((i for i, t in enumerate(timed) if t.plain), None)
    rows = []
    all_means = 1e3 * seconds.mean(axis=2)
    for which, t in enumerate(timed):
        calls, means = 1e3 * seconds[:, which], all_means[:, which]
        p50, p90, p99 = np.percentile(calls, [50, 90, 99])
        low, high = median_interval(np.median(calls, axis=1))
        p25, middle, p75 = np.percentile(means, [25, 50, 75])
        flags = ["loaded"] * loaded + ["spread"] * bool((p75 - p25) / middle > SPREAD)
        if abs(t.macs[order.ravel()].mean() / t.macs.mean() - 1) > MIX:
            flags.append("mix")
        row = {
            **t.key, "scenario": scenario.name, "backend": "eager", "precision": "float32",
            "device": device.type, "threads": torch.get_num_threads(), "batch_size": scenario.batch_size,
            "protocol": PROTOCOL, "p50_ms": p50, "p90_ms": p90, "p99_ms": p99 if calls.size >= P99_CALLS else None,
            "low_ms": low, "high_ms": high, "images_per_s": 1e3 * scenario.batch_size / calls.mean(),
            "flags": "+".join(flags),
        }  # fmt: skip
        row |= dict.fromkeys(("ratio_to_plain", "ratio_low", "ratio_high"))
        if reference is not None:
            ratios = means / all_means[:, reference]
            row["ratio_to_plain"] = float(np.median(ratios))
            row["ratio_low"], row["ratio_high"] = median_interval(ratios)
        rows.append(row)
    return rows


def others_share(wait_s: float = 0.3) -> float:
    """Share of the machine's processor time that others used while this process slept; 0 if unknown."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    before = _busy_and_total(stat)
    time.sleep(wait_s)
    after = _busy_and_total(stat)
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def _busy_and_total(stat: Path) -> tuple[int, int]:
    times = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def timing_images(labels: NDArray[np.int64], seed: int, limit: int = 1024) -> NDArray[np.int64]:
    """A fixed stratified order of test images: every class in turn, within a class at random."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    ordered = labels[shuffled]
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        where = np.flatnonzero(ordered == label)
        turn[where] = np.arange(len(where))
    return shuffled[np.lexsort((ordered, turn))][:limit]
