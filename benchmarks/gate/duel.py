"""Two versions of the same points timed against each other: fresh pairs of processes that take turns."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.progress import Progress
from benchmarks.gate.shift import SCREENING_PAIRS, Shift, fresh_pairs, judged, within

BLOCK_S = 0.020
"""A block, the calls of one version before the other's turn, lasts at least this long."""
PAIR_S = 1.0
"""Seconds of timing a pair, within ROUNDS."""
ROUNDS = (6, 40)
LEAST, WAITING = 12, 0.25
PATIENCE = 3
"""A pair goes on for up to this many times its rounds at points of which fewer than LEAST calls had the core alone."""


class Peer(Protocol):
    """A process that times points; `benchmarks.timing.workers.Worker` is one."""

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Answer a request."""


@dataclass(frozen=True)
class Subject:
    """A point that both versions have: its name in results, and where each of them keeps it."""

    name: str
    point: str
    base: int
    head: int


Blocks = list[tuple[list[float], list[float], list[bool], list[bool]]]
"""Block by block, of base and head: the seconds of every call, then whether it had the core to itself, [calls] each."""
Fresh = Callable[[], AbstractContextManager[Sequence[Peer]]]
"""A fresh pair of processes, base first, with everything loaded."""
Start = Callable[[], AbstractContextManager[Fresh]]
"""Starts what fresh pairs come from."""


@dataclass
class Duel:
    """Pairs timed so far, every call of theirs, and how long all of them measured."""

    start: Start
    rng: np.random.Generator
    pairs: list[dict[str, Blocks]] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, subjects: Sequence[Subject], tolerance: float) -> Generator[Progress, None, dict[str, Shift]]:
        """Screen all subjects, try suspects again on fresh pairs, and judge."""
        screening: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        yield from self.add(subjects, screening, SCREENING_PAIRS)
        suspects = [subject for subject in subjects if not within(screening[subject.name], tolerance)]
        fresh: dict[str, list[float]] = {subject.name: [] for subject in suspects}
        if suspects:
            yield from self.add(suspects, fresh, fresh_pairs(len(suspects)))
        return judged(screening, fresh, tolerance)

    def add(
        self, subjects: Sequence[Subject], shifts: Mapping[str, list[float]], pairs: int
    ) -> Generator[Progress, None, None]:
        """Time fresh pairs and append their log ratios."""
        with self.start() as fresh:
            for turn in range(pairs):
                with fresh() as (base, head):
                    begun = time.perf_counter()
                    blocks = _blocks(base, head, subjects, self.rng)
                    self.seconds += time.perf_counter() - begun
                self.pairs.append(blocks)
                for subject in subjects:
                    shifts[subject.name].append(log_ratio(blocks[subject.name]))
                yield Progress(turn + 1, pairs)


def log_ratio(blocks: Blocks) -> float:
    """log(head / base) of the time that all calls take together, without the tenth of them at either end of the ratio.

    Call by call on the same images: a slowdown of the path that a few images take counts for what it is. Only calls
    that had the core to themselves in both versions are used, which favours neither; but all of them if they are fewer
    than LEAST, or if one version has clearly fewer of them: then it waits for something, which is its own time.
    """
    base, head, base_alone, head_alone = _calls(blocks)
    alone = base_alone & head_alone
    if alone.sum() < LEAST or abs(base_alone.mean() - head_alone.mean()) > WAITING:
        alone[:] = True
    base, head = base[alone], head[alone]
    low, high = np.quantile(head / base, [0.1, 0.9])
    middle = (low <= head / base) & (head / base <= high)
    return math.log(head[middle].sum() / base[middle].sum())


def _blocks(base: Peer, head: Peer, subjects: Sequence[Subject], rng: np.random.Generator) -> dict[str, Blocks]:
    """Both versions in turns, block by block; points and turns in random order, the same images within a block."""
    calls: dict[str, int] = {}
    total = 0.0
    for subject in subjects:
        warm = [peer.ask("warm", model=at, point=subject.point)["seconds"] for peer, at in _sides(base, head, subject)]
        calls[subject.name] = max(1, math.ceil(BLOCK_S / max(warm)))
        total += (calls[subject.name] + 1) * sum(warm)
    rounds = int(np.clip(PAIR_S / total, *ROUNDS))
    found: dict[str, Blocks] = {subject.name: [] for subject in subjects}
    for turn in range(PATIENCE * rounds):
        due = [subject for subject in subjects if turn < rounds or _disturbed(found[subject.name])]
        for place in rng.permutation(len(due)):
            subject = due[place]
            sides, told, number = _sides(base, head, subject), {}, turn * len(subjects) + int(place)
            for side in rng.permutation(2):
                peer, at = sides[side]
                asked = {"model": at, "point": subject.point, "calls": calls[subject.name], "number": number}
                told[side] = peer.ask("block", start=turn * asked["calls"], **asked)
            base_told, head_told = told[0], told[1]
            found[subject.name].append(
                (base_told["seconds"], head_told["seconds"], base_told["alone"], head_told["alone"])
            )
    return found


def _calls(blocks: Blocks) -> tuple[NDArray[Any], ...]:
    return tuple(np.concatenate(part) for part in zip(*blocks, strict=True))


def _disturbed(blocks: Blocks) -> bool:
    """Whether too few calls were left alone in both versions; when to stop depends on no time of any call."""
    _, _, base, head = _calls(blocks)
    alone = base & head
    return not alone.all() and int(alone.sum()) < LEAST


def _sides(base: Peer, head: Peer, subject: Subject) -> list[tuple[Peer, int]]:
    return [(base, subject.base), (head, subject.head)]
