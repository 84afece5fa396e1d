"""Whether two `full` measurements of the same models agree, by their ratios to the plain network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks import vouched
from benchmarks.core.errors import UsageError
from benchmarks.timing.conditions import COLUMNS as CONDITION
from benchmarks.timing.conditions import VERSIONS
from benchmarks.timing.history import KEY

AGREE = 0.90
"""Of the points, whose interval has to contain no difference. Of two measurements that differ in nothing it is 95%."""
SESSIONS = 0.01
"""Standard deviation of a log ratio to plain from one session to another, on one machine, beyond its processes'.

Clock, neighbours and what they leave of the caches differ by the hour, for all processes of a session alike, and do not
slow all layers alike. Nine processes in three minutes cannot see that: over an hour it was 0.008, and 0.014.
"""
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """Of one point under one condition, `key`: log ratio to plain in the second measurement less that in the first,
    with its 95% interval."""

    key: dict[str, Any]
    shift: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        return self.low <= 0 <= self.high


def differences(first: Path, second: Path) -> list[Difference]:
    """Of all points but plain's that both folders have of several processes. UsageError where there is none."""
    both = [log_ratios(samples(folder)) for folder in (first, second)]
    common = [key for key in both[0] if key in both[1]]
    if not common:
        raise UsageError(f"{first} and {second} share no point that `time --protocol full` timed together with plain")
    names = (*KEY, *CONDITION)
    return [
        Difference(dict(zip(names, key, strict=True)), *welch(both[0][key], both[1][key]))
        for key in common
        if key[0] != "plain" or key[1] != "default"
    ]


def welch(
    first: NDArray[np.float64], second: NDArray[np.float64], sessions: float = SESSIONS, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of `second [m]` less mean of `first [n]`, and Welch's t interval of it.

    `sessions`: a standard deviation that all values of either share, taken as known.

    A value is one process: fresh, so independent of the others, and itself a median over many rounds, so that it is
    about normal however skewed calls are. The two variances may differ, as the neighbours of another hour do. (The
    distribution-free interval of Hodges and Lehmann needs equal shapes for both, and of nine processes each is
    hardly wider or narrower.)
    """
    shift = float(second.mean() - first.mean())
    parts = [float(values.var(ddof=1)) / len(values) for values in (first, second)]
    total = sum(parts) + 2 * sessions**2
    if sum(parts) == 0:
        freedom = math.inf
    else:
        freedom = total**2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (first, second), strict=True))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(total)
    return shift, shift - half, shift + half


def log_ratios(table: pd.DataFrame) -> Mapping[Key, NDArray[np.float64]]:
    """By point and condition: of every process the median over rounds of the log ratio to plain in that round."""
    found: dict[Key, NDArray[np.float64]] = {}
    means = table["calls_ms"].map(lambda text: float(np.mean([float(part) for part in text.split()])))
    table, place = table.assign(mean=means), [*CONDITION, "session", "process", "round"]
    is_plain = (table["method"] == "plain") & (table["variant"] == "default")
    plain = table[is_plain].groupby(place)["mean"].mean().rename("plain")
    joined = table.join(plain, on=place, how="inner")
    joined["ratio"] = np.log(joined["mean"] / joined["plain"])
    for key, rows in joined.groupby([*KEY, *CONDITION], sort=False):
        found[key] = rows.groupby("process")["ratio"].median().to_numpy()
    return found


def samples(folder: Path) -> pd.DataFrame:
    """The samples in `folder` of protocols with several processes; trails are no points."""
    path = folder / "latency-samples.csv"
    needed = f"{path} is not there or of another version: run `time --protocol full` first"
    if not path.is_file():
        raise UsageError(needed)
    content = vouched.table(folder, path.name)
    try:
        table = pd.read_csv(StringIO(content), keep_default_na=False, dtype={"calls_ms": str})
        several = [name for name, protocol in VERSIONS.items() if protocol.processes > 1]
        return table[table["protocol"].isin(several) & ~table["point"].str.match(r"trail \d+$")]
    except (KeyError, ValueError):
        raise UsageError(needed) from None
