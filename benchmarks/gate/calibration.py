"""What a gate is worth on this host: identical code, and known slowdowns, sent through it many times."""

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import Progress, drive
from benchmarks.core.written import write_text
from benchmarks.gate.duel import Duel
from benchmarks.gate.latency import Race
from benchmarks.gate.shift import SCREENING_PAIRS, Verdict, fresh_pairs, judged, within
from benchmarks.gate.tolerance import machine
from benchmarks.provenance import sources
from benchmarks.stats.inference import rate_bound

PILOT_PAIRS = 12
INSTRUMENT = ("benchmarks/gate/calibration.py", "benchmarks/timing/worker.py", "methods/storage.py")
SPREADS = 4
"""The tolerance is at least so many standard deviations of a pair, so that screening rarely has suspects."""
NORMAL = 1.4826
"""Standard deviation over the median size of a normal variable."""
LEAST = 0.03
"""Nor is it smaller than this share: other builds of the same code differ by a percent or two."""
POWER = 0.8


class Trial(BaseModel):
    """One gate of the calibration: log ratios of its pairs by point, and its verdicts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    screening: dict[str, list[float]]
    fresh: dict[str, list[float]]
    verdicts: dict[str, Verdict]
    measured_s: float
    total_s: float


class Pilot(BaseModel):
    """Pairs of identical code that set the tolerance, and the inserted work that slows the dearest point down."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    about: dict[str, Any]
    shifts: dict[str, list[float]]
    tolerance: float
    dearest: str
    extra_per_percent: float


@dataclass(frozen=True)
class Calibration:
    """A race of a run against itself, and the folder of its raw data; what is there is not measured again."""

    race: Race
    folder: Path
    asked: float | None = None
    """The tolerance to use whatever the pilot says."""

    def pilot(self) -> Generator[Progress, None, Pilot]:
        """The pilot of this folder, or a new one; UsageError where the folder holds another calibration."""
        path, about = self.folder / "pilot.json", self._about()
        if path.exists():
            return _same(path, about)
        subjects, dearest, some = self.race.subjects, self.race.dearest(), 256
        shifts: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        yield from Duel(self.race.start, np.random.default_rng(0)).add(subjects, shifts, PILOT_PAIRS)
        slowed = {dearest.name: list[float]()}
        race = replace(self.race, extra=some)
        yield from Duel(race.start, np.random.default_rng(1)).add([dearest], slowed, PILOT_PAIRS // 2)
        slower = 100 * math.expm1(float(np.median(slowed[dearest.name])))
        if slower < 1:
            raise UsageError("inserted work was not seen: nothing can be calibrated while this host is so busy")
        bound = tolerance(shifts) if self.asked is None else self.asked
        extra = some / slower
        pilot = Pilot(about=about, shifts=shifts, tolerance=bound, dearest=dearest.name, extra_per_percent=extra)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(path, pilot.model_dump_json(indent=1) + "\n")
        return pilot

    def _about(self) -> dict[str, Any]:
        """What a calibration is of."""
        race = self.race
        return {
            "batch": race.batch,
            "threads": race.threads,
            "points": race.points,
            "weights": [entry["weights_sha256"] for entry in race.base.run.record["models"]],
            "machine": machine(),
            "tolerance": self.asked,
            "sources": sources(INSTRUMENT),
        }

    def trials(self, pilot: Pilot, count: int, slowdown: float) -> Generator[Progress, None, list[Trial]]:
        """`count` gates with head slower by the share `slowdown` at the dearest point, each written as it ends."""
        race = replace(self.race, extra=round(100 * slowdown * pilot.extra_per_percent))
        path = self.folder / f"gates-{100 * slowdown:g}.jsonl"
        done = read_trials(path)[:count]
        for turn in range(len(done), count):
            begun = time.perf_counter()
            duel = Duel(race.start, np.random.default_rng([round(1000 * slowdown), turn]))
            subjects = race.subjects
            found = drive(duel.run(subjects, pilot.tolerance))
            trial = Trial(
                screening={name: list(shift.screening) for name, shift in found.items()},
                fresh={name: list(shift.fresh) for name, shift in found.items() if shift.fresh},
                verdicts={name: shift.verdict for name, shift in found.items()},
                measured_s=duel.seconds,
                total_s=time.perf_counter() - begun,
            )
            done.append(trial)
            write_text(path, "".join(one.model_dump_json() + "\n" for one in done))
            yield Progress(turn + 1, count)
        return done


def tolerance(shifts: Mapping[str, Sequence[float]]) -> float:
    """The tolerance for a host where pairs of identical code differ so much, a share in half percents.

    The standard deviation is taken from the median of the sizes: a single disturbed pair does not set it.
    """
    spread = max(NORMAL * float(np.median(np.abs(values))) for values in shifts.values())
    return max(LEAST, math.ceil(200 * math.expm1(SPREADS * spread)) / 200)


def _same(path: Path, about: dict[str, Any]) -> Pilot:
    """The pilot in a file, if it is of the same thing."""
    try:
        pilot = Pilot.model_validate_json(received.text(path, received.RECORD))
    except (OSError, ValueError):
        raise UsageError(f"{path} is no calibration of this version: choose another --output") from None
    differs = [name for name, value in about.items() if pilot.about.get(name) != value]
    if differs:
        raise UsageError(f"{path.parent} holds a calibration with other {', '.join(differs)}: choose another --output")
    return pilot


def read_trials(path: Path) -> list[Trial]:
    """The gates in a file, one a line; a line that was cut off is left out."""
    found = []
    for line in received.text(path, received.TABLE).splitlines() if path.exists() else ():
        try:
            found.append(Trial.model_validate_json(line))
        except ValidationError:
            continue
    return found


def summary(trials: Sequence[Trial], pilot: Pilot) -> dict[str, float]:
    """What identical code gave: false alarms with the exact 95% bound of their rate, spread, power, seconds.

    `smallest_slowdown`: what POWER of the gates would catch at the dearest point, the observed pairs of identical code
    shifted and drawn with replacement; NaN if it is above a half.
    """
    alarms = sum("regression" in trial.verdicts.values() for trial in trials)
    names = list(trials[0].screening)
    pairs = {name: np.concatenate([trial.screening[name] for trial in trials]) for name in names}
    seconds = [trial.measured_s for trial in trials]
    return {
        "gates": len(trials),
        "false_alarms": alarms,
        "rate_at_most": rate_bound(alarms, len(trials)),
        "inconclusive": sum("inconclusive" in trial.verdicts.values() for trial in trials),
        "confirmed_again": sum(bool(trial.fresh) for trial in trials),
        "points": len(names),
        "tolerance": pilot.tolerance,
        "pair_sd": max(float(values.std(ddof=1)) for values in pairs.values()),
        "smallest_slowdown": smallest_slowdown(pairs[pilot.dearest], pilot.tolerance),
        "measured_s_median": float(np.median(seconds)),
        "measured_s_most": max(seconds),
        "total_s_median": float(np.median([trial.total_s for trial in trials])),
    }


def caught(trials: Sequence[Trial], dearest: str) -> dict[str, float]:
    """What a known slowdown of the dearest point gave: how many gates said so, and how slow it really was."""
    slower = [math.expm1(float(np.median(trial.fresh.get(dearest, trial.screening[dearest])))) for trial in trials]
    seconds = [trial.measured_s for trial in trials]
    return {
        "gates": len(trials),
        "caught": sum(trial.verdicts[dearest] == "regression" for trial in trials),
        "inconclusive": sum(trial.verdicts[dearest] == "inconclusive" for trial in trials),
        "slowdown_measured": float(np.median(slower)),
        "measured_s_median": float(np.median(seconds)),
        "measured_s_most": max(seconds),
        "total_s_median": float(np.median([trial.total_s for trial in trials])),
    }


def smallest_slowdown(pairs: np.ndarray, bound: float, gates: int = 400) -> float:
    """The smallest of 1%, 2%, ... 50% that POWER of simulated gates catch at one point; see `summary`."""
    rng = np.random.default_rng(0)
    for percent in range(1, 51):
        shifted = pairs - np.median(pairs) + math.log1p(percent / 100)
        found = [_caught(rng, shifted, bound) for _ in range(gates)]
        if np.mean(found) >= POWER:
            return percent / 100
    return math.nan


def _caught(rng: np.random.Generator, pairs: np.ndarray, bound: float) -> bool:
    screening = rng.choice(pairs, SCREENING_PAIRS).tolist()
    if within(screening, bound):
        return False
    fresh = rng.choice(pairs, fresh_pairs(1)).tolist()
    return judged({"": screening}, {"": fresh}, bound)[""].verdict == "regression"
