"""One process' part of every protocol: all points interleaved, round after round, on the same images.

The images come from `worker.Unseen`: the same for all points of a round but for noise, so that none is executed twice.
A sample, the calls of one point in one round, follows a random order of the points, so that drift hits all alike.
Samples of one process are not independent: they share its memory layout, clock and neighbours.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.progress import Progress
from benchmarks.timing.worker import Call, seconds_of, warmed

SAMPLE_S = 0.010
"""A sample lasts at least this long."""
GOLDEN = 0.6180339887
"""Multiples of it, modulo one, are evenly spread however many there are: processes begin that far apart."""


class Watcher(Protocol):
    """What `signs.Signs` offers."""

    def look(self) -> None: ...
    def others(self) -> float: ...
    def flags(self, others: float) -> list[str]: ...


@dataclass(frozen=True)
class Session:
    """`seconds` [rounds, points, calls], and on which batch each call was, `batches` [rounds, calls].

    `others`: the share that others took of its cores; `flags`: `loaded`, `throttled`, `gpu-shared`.
    """

    seconds: NDArray[np.float64]
    batches: NDArray[np.int64]
    others: float = 0.0
    flags: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As another process is told; seconds to the nanosecond."""
        seconds, batches = self.seconds.round(9).tolist(), self.batches.tolist()
        return {"seconds": seconds, "batches": batches, "others": self.others, "flags": list(self.flags)}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """What another process told."""
        return cls(np.array(told["seconds"]), np.array(told["batches"]), told["others"], tuple(told["flags"]))


def session(
    calls: Sequence[Call], images: Sequence[Any], cuda: Any, budget_s: float, rounds: tuple[int, int],
    seed: int, signs: Watcher,
) -> Generator[Progress, None, Session]:  # fmt: skip
    """Time `calls` on batches `images`, as many rounds as fit into `budget_s`, within `rounds`.

    A batch is looked up once for every call, outside of what is timed.
    As many calls in a round as make a sample of the fastest point SAMPLE_S long, the same for all points. `seed`,
    a small number, says which batch comes first and in which order the points are timed.
    """
    one = [warmed(call, images, cuda) for call in calls]
    each = max(1, int(np.ceil(SAMPLE_S / min(one))))
    turns = int(np.clip(budget_s / (each * sum(one)), *rounds))
    rng = np.random.default_rng(seed)
    first = int(seed * GOLDEN % 1 * len(images))
    batches = (first + np.arange(turns * each).reshape(turns, each)) % len(images)
    seconds = np.zeros((turns, len(calls), each))
    for turn in range(turns):
        for which in rng.permutation(len(calls)):
            chosen = [images[batch] for batch in batches[turn]]
            seconds[turn, which] = seconds_of(calls[which], chosen, cuda)
        signs.look()
        yield Progress(turn + 1, turns)
    others = signs.others()
    return Session(seconds, batches, others, tuple(signs.flags(others)))
