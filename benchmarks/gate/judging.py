"""From two runs, or two versions of the code, to a gate's record."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.core.progress import Progress
from benchmarks.data.base import DataSet
from benchmarks.gate.duel import Duel
from benchmarks.gate.exact import Seen, compare
from benchmarks.gate.latency import Race, Side, checks, write_images
from benchmarks.gate.tolerance import machine, tolerance
from benchmarks.gate.verdicts import Check, record
from benchmarks.timing.workers import HERE


@dataclass(frozen=True)
class Version:
    """What is compared: a name to show, what it said of its models, and what times them."""

    name: str
    seen: Seen
    side: Side


@dataclass(frozen=True)
class Timing:
    """How points are timed: images a call, threads, and points a method at most."""

    batch: int = 1
    threads: int = 1
    points: int = 8


def judge(
    base: Version, head: Version, data: DataSet, timing: Timing | None, asked: float | None
) -> Generator[Progress, None, dict[str, Any]]:
    """A gate's record: exact checks, and a latency check a timed point unless `timing` is None.

    `asked`: the tolerance of latency, else this host's. UsageError where base and head do not fit each other.
    """
    begun = time.perf_counter()
    found = compare(base.seen, head.seen)
    about: dict[str, Any] = {"base": base.name, "head": head.name}
    if timing is not None and _same_work(base.side, head.side):
        about["latency"] = "not timed: the same models and the same code on both sides; --base-ref compares code"
    elif timing is not None:
        bound, origin = tolerance(timing.batch, timing.threads, asked)
        more, duel = yield from _raced(base.side, head.side, data, timing, bound)
        found += more
        about |= measured(f"batch {timing.batch}, threads {timing.threads}", duel, bound, origin)
    else:
        about["latency"] = "not asked for"
    return record(found, about | surroundings(begun))


def measured(how: str, duel: Duel, bound: float, origin: str) -> dict[str, Any]:
    """What a record says of a duel: how it was held, at which tolerance from where, and every call of it."""
    return {
        "latency": f"{how}, tolerance {bound:.1%} ({origin}), "
        f"{len(duel.pairs)} pairs of fresh processes, {duel.seconds:.0f} s of measuring",
        "raw_seconds": [{name: np.round(blocks, 7).tolist() for name, blocks in pair.items()} for pair in duel.pairs],
    }


def surroundings(begun: float) -> dict[str, Any]:
    """On which machine, and how long since `time.perf_counter` said `begun`."""
    where = machine()
    return {"machine": f"{where['cpu']}, torch {where['torch']}", "seconds": time.perf_counter() - begun}


def _raced(
    base: Side, head: Side, data: DataSet, timing: Timing, bound: float
) -> Generator[Progress, None, tuple[list[Check], Duel]]:
    with TemporaryDirectory(prefix="gate-") as folder:
        images = Path(folder) / "images.npy"
        write_images(data, timing.batch, images)
        race = Race(base, head, images, timing.batch, timing.threads, timing.points)
        duel = Duel(race.start, np.random.default_rng())
        shifts = yield from duel.run(race.subjects, bound)
    return checks(race, shifts, duel, bound), duel


def _same_work(base: Side, head: Side) -> bool:
    hashes = [[entry["weights_sha256"] for entry in side.run.record["models"]] for side in (base, head)]
    return base.code == head.code == HERE and hashes[0] == hashes[1]
