"""One common threshold for all exits of a cascade: swept, and spread evenly over cost."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from methods.cost import Costs
from methods.routers import OperatingPoint, Signal, Threshold
from methods.table import PathTable

_NEVER: dict[Signal, float] = {"entropy": 0.0, "max_prob": 2.0, "margin": 2.0}
"""Thresholds that no sample passes (entropy is never below 0, a probability never reaches 2)."""

Floats = NDArray[np.floating]


def cascade_macs(
    costs: Costs, cascade: Sequence[int], spent: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:  # fmt: skip
    """MACs of each image that stops at each place of the cascade, [k, n] or [k, 1]: every earlier answer is paid."""
    return costs.along([cascade[: place + 1] for place in range(len(cascade))], spent)


def _running(table: PathTable, signal: Signal, cascade: Sequence[int]) -> Floats:
    """The most confident value so far at each exit but the last, [k - 1, n], larger = more confident.

    A sample has stopped by exit k exactly if this passes the threshold.
    """
    values = getattr(table, signal)[list(cascade[:-1])]
    running: Floats = np.maximum.accumulate(-values if signal == "entropy" else values, axis=0)
    return running


def sweep(
    table: PathTable, signal: Signal, cascade: Sequence[int], thresholds: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and mean MACs of `cascade` at every common threshold, each [t].

    Sorting once per exit and looking up cumulative sums, so that t thresholds on n samples cost
    O((n + t) log n), not O(n t).
    """
    correct = table.correct[list(cascade)].astype(np.int64)
    n = correct.shape[1]
    macs = np.broadcast_to(cascade_macs(table.costs, cascade, table.spent), correct.shape)
    strict = signal == "entropy"
    wanted = (-thresholds if strict else thresholds).astype(np.float32)
    right = np.full(len(wanted), correct[-1].sum(), dtype=np.float64)
    total = np.full(len(wanted), macs[-1].sum(), dtype=np.float64)
    for place, running in enumerate(_running(table, signal, cascade)):
        order = np.argsort(running)
        stays = np.searchsorted(running[order], wanted, side="right" if strict else "left")
        right += _behind(correct[place] - correct[place + 1], order)[stays]
        total += _behind(macs[place] - macs[place + 1], order)[stays]
    return right / n, total / n


def _behind(values: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of `values` [n] over all but the first 0, 1, ... n in this order, [n + 1]."""
    sums: NDArray[np.int64] = np.concatenate([[0], np.cumsum(values[order])])
    rest: NDArray[np.int64] = sums[-1] - sums
    return rest


def candidates(table: PathTable, signal: Signal, cascade: Sequence[int]) -> NDArray[np.float32]:
    """Every common threshold that decides differently on this table, loosest last for entropy.

    Thresholds lie midway between neighbouring values, so that the rounding of another batch shape
    does not decide.
    """
    values = np.unique(_running(table, signal, cascade)).astype(np.float64)
    middle = (values[:-1] + values[1:]) / 2
    found = np.unique(np.float32(-middle if signal == "entropy" else middle))
    return np.append(found, np.float32(_NEVER[signal]))


def spread(costs: Floats, count: int) -> list[int]:
    """Positions of at most `count` of `costs`, as evenly spread between lowest and highest as there are.

    Both ends are taken when count is at least 2; a position is never taken twice, and of equal costs the last
    is taken: the full model comes last.
    """
    places = len(costs) - 1 - np.unique(costs[::-1], return_index=True)[1]  # rising cost, the last of equals
    distinct = costs[places]
    targets = np.linspace(distinct[0], distinct[-1], count) if count > 1 else distinct[-1:]
    return sorted({int(places[np.abs(distinct - target).argmin()]) for target in targets})


def threshold_points(table: PathTable, signal: Signal, cascade: Sequence[int], count: int) -> list[OperatingPoint]:
    """At most `count` per-sample points, spread evenly over the reachable mean cost on `table`.

    The cheap end (everybody stops at the first exit) is left out: it is a static point. The dear
    end (nobody stops early) is kept: it shows what the heads cost.
    """
    if count < 1 or len(cascade) < 2:
        return []
    thresholds = candidates(table, signal, cascade)
    _, macs = sweep(table, signal, cascade, thresholds)
    cheap_end = table.macs[cascade[0]]
    chosen = spread(np.append(macs, float(cheap_end)), count + 1)
    values = sorted(float(thresholds[i]) for i in chosen if i < len(thresholds))
    sign = "<" if signal == "entropy" else ">="
    return [
        OperatingPoint(
            name=f"{signal}{sign}{name}",
            router=Threshold(signal=signal, cascade=tuple(cascade), thresholds=(value,) * (len(cascade) - 1)),
        )
        for name, value in zip(short(values), values, strict=True)
    ]


def short(values: Sequence[float]) -> list[str]:
    """The shortest decimals, three digits or more, that tell the values apart."""
    for digits in range(3, 10):
        names = [f"{value:.{digits}g}" for value in values]
        if len(set(names)) == len(names):
            return names
    return [repr(value) for value in values]
