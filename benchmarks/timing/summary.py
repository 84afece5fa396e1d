"""From samples to rows of latency.csv and latency-samples.csv. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.inference import median_interval
from benchmarks.timing.conditions import Condition
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Timed

P99_CALLS = 100
SPREAD = 0.25
"""Share of its median that the quartiles of a point's rounds may lie apart, in the middle process."""
PROCESS_SPREAD = 0.10
"""The same of the medians of its processes."""
MIX = 0.05
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampled:
    """One point in one process, in milliseconds: its `calls` [m] with `weights` [m] that sum to one, and what each
    round says of it: `medians` [rounds], `means` [rounds]."""

    calls: Floats
    weights: Floats
    medians: Floats
    means: Floats

    @property
    def mean(self) -> float:
        """Of a call."""
        return float(self.calls @ self.weights)


def executed(session: Session, *which: int) -> Sampled:
    """The point at position `which` in one process, as it was executed; at several, all of its calls."""
    ms = 1e3 * np.concatenate([session.seconds[:, place] for place in which], axis=1)
    calls = ms.ravel()
    return Sampled(calls, np.full(calls.size, 1 / calls.size), np.median(ms, axis=1), ms.mean(axis=1))


def row(
    key: dict[str, Any], macs: NDArray[np.int64], condition: Condition, samples: Sequence[Sampled],
    plain: Sequence[Sampled] | None, flags: Sequence[str], execution: str = "executed", peak: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One point under one condition, from every process; `macs` [n] is what it costs each test image.

    Figures are medians over processes of what each process says: its percentiles over calls, its mean, its median
    over rounds of the ratio to plain in the same round. Intervals are over processes; where there is one only, over
    its rounds. p99 is left out where a process made fewer than P99_CALLS calls.
    """
    p50, p90, p99 = (_middle(quantile(s.calls, s.weights, share) for s in samples) for share in (0.5, 0.9, 0.99))
    low, high = _interval([s.medians for s in samples], [quantile(s.calls, s.weights, 0.5) for s in samples])
    found = {
        **key, **condition.columns(), "execution": execution, "p50_ms": p50, "p90_ms": p90,
        "p99_ms": p99 if min(s.calls.size for s in samples) >= P99_CALLS else None,
        "low_ms": min(low, p50), "high_ms": max(high, p50),  # the median of calls need not be one of rounds
        "images_per_s": 1e3 * condition.batch_size / _middle(s.mean for s in samples),
        **dict.fromkeys(("ratio_to_plain", "ratio_low", "ratio_high")),
        "macs": float(macs.mean()), "peak_bytes": peak, "processes": len(samples),
        "calls": sum(s.calls.size for s in samples), "flags": "+".join(flags),
    }  # fmt: skip
    if plain is not None:
        ratios = [s.means / p.means for s, p in zip(samples, plain, strict=True)]
        middles = [float(np.median(each)) for each in ratios]
        found["ratio_to_plain"] = _middle(middles)
        found["ratio_low"], found["ratio_high"] = _interval(ratios, middles)
    return found


def rows(
    timed: Sequence[Timed], condition: Condition, sessions: Sequence[Session], batches: NDArray[np.int64],
    peaks: Sequence[int | None],
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for every point that is to have one. `batches` [m, size]: the images of each batch."""
    plain, found = plain_of(timed, sessions), []
    images = np.concatenate([batches[session.batches].ravel() for session in sessions])
    for which, point in enumerate(timed):
        if point.extra:
            continue
        samples = plain if point.plain and plain else [executed(session, which) for session in sessions]
        flags = [*of_processes(sessions), *["spread"] * uneven(samples), *["mix"] * other_mix(point, images)]
        found.append(row(point.key, point.macs, condition, samples, plain, flags, peak=peaks[which]))
    return found


def raw_rows(timed: Sequence[Timed], condition: Condition, sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """All calls, one row a point, process and round."""
    return [
        {
            **point.key, **condition.columns(), "process": process, "round": turn,
            "calls_ms": " ".join(f"{1e3 * seconds:.4f}" for seconds in calls),
        }
        for which, point in enumerate(timed)
        for process, session in enumerate(sessions)
        for turn, calls in enumerate(session.seconds[:, which])
    ]  # fmt: skip


def plain_of(timed: Sequence[Timed], sessions: Sequence[Session]) -> list[Sampled] | None:
    """What ratios are to, process by process; None where the plain network was not timed."""
    which = [place for place, point in enumerate(timed) if point.plain]
    return [executed(session, *which) for session in sessions] if which else None


def of_processes(sessions: Sequence[Session]) -> list[str]:
    """Flags of all points: those that more processes have than the interval of their median leaves out.

    Of nine processes that is one; of fewer none.
    """
    flags = [flag for session in sessions for flag in session.flags]
    return [flag for flag in dict.fromkeys(flags) if flags.count(flag) > len(sessions) // 9]


def uneven(samples: Sequence[Sampled]) -> bool:
    """Whether rounds, or processes, are far apart."""
    within = _middle(_quartiles(s.means) for s in samples)
    return within > SPREAD or _quartiles(np.array([np.median(s.means) for s in samples])) > PROCESS_SPREAD


def other_mix(timed: Timed, images: NDArray[np.int64]) -> bool:
    """Whether the images that were timed cost otherwise than the split, at this point."""
    return bool(abs(timed.macs[images].mean() / timed.macs.mean() - 1) > MIX)


def quantile(values: Floats, weights: Floats, share: float) -> float:
    """The smallest of `values` [m] that has, with those below it, `share` of the weights."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))])


def _quartiles(values: Floats) -> float:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / middle)


def _interval(rounds: Sequence[Floats], processes: Sequence[float]) -> tuple[float, float]:
    """Of the median over processes; of one process over its rounds."""
    return median_interval(rounds[0] if len(processes) == 1 else processes)


def _middle(values: Iterable[float]) -> float:
    return float(np.median(list(values)))
