"""Routers, and the one loop that follows them: over a table (simulated) or over images (executed)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from methods.table import PathTable

STOP = -1
Said = Callable[[str], Tensor]
"""What an answer said to the samples at hand: the name of a signal -> its values [n]."""
Signal = Literal["entropy", "max_prob", "margin"]


class Constant(BaseModel):
    """The same answer for everybody: a static operating point."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["constant"] = "constant"
    answer: int

    @property
    def answers(self) -> tuple[int, ...]:
        """All answers that a sample may be sent to."""
        return (self.answer,)

    @property
    def start(self) -> int:
        """The first answer of every sample."""
        return self.answer

    def decide(self, answer: int, said: Said, n: int) -> Tensor | None:
        """Where each of n samples goes after `answer`: STOP or the next answer, [n]; None: all stop."""
        return None


class Threshold(BaseModel):
    """A cascade that stops at the first answer confident enough (BranchyNet, Fig. 2).

    `entropy` stops where the entropy is below the threshold (strictly, as in the paper), `max_prob`
    and `margin` where the value reaches it. A threshold None is a disabled exit: it never fires.
    The last answer of the cascade has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["threshold"] = "threshold"
    signal: Signal
    cascade: tuple[int, ...]
    thresholds: tuple[float | None, ...]

    @model_validator(mode="after")
    def _one_threshold_for_every_answer_but_the_last(self) -> Self:
        if len(self.thresholds) != len(self.cascade) - 1 or len(set(self.cascade)) != len(self.cascade):
            raise ValueError("a cascade needs distinct answers, and a threshold for each but the last")
        return self

    @property
    def answers(self) -> tuple[int, ...]:
        """All answers that a sample may be sent to."""
        return self.cascade

    @property
    def start(self) -> int:
        """The first answer of every sample."""
        return self.cascade[0]

    def decide(self, answer: int, said: Said, n: int) -> Tensor | None:
        """Where each of n samples goes after `answer`: STOP or the next answer, [n]; None: all stop."""
        place = self.cascade.index(answer)
        if place == len(self.cascade) - 1:
            return None
        following, threshold = self.cascade[place + 1], self.thresholds[place]
        if threshold is None:
            return torch.full((n,), following)
        value = said(self.signal)
        stops = value < threshold if self.signal == "entropy" else value >= threshold
        return torch.where(stops, STOP, following)


Router = Annotated[Constant | Threshold, Field(discriminator="kind")]


class OperatingPoint(BaseModel):
    """One setting a user can choose: a name and a router with its parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    router: Router

    @property
    def decision(self) -> Literal["static", "per-sample"]:
        """Static: one answer for everybody. Per-sample: trails differ."""
        return "static" if isinstance(self.router, Constant) else "per-sample"


class Group(Protocol):
    """Samples that have gone the same way so far."""

    @property
    def rows(self) -> Tensor:
        """Their positions in the batch or table, [n]."""

    def ask(self, answer: int) -> Said:
        """Compute (or look up) an answer for these samples."""

    def keep(self, chosen: Tensor) -> Self:
        """The samples where `chosen` [n] is true, with what is already known of them."""


G = TypeVar("G", bound=Group)


@dataclass(frozen=True)
class Stopped(Generic[G]):
    """Samples (`chosen` [n] of `group`; None: all) whose prediction is the last answer `visited`."""

    visited: tuple[int, ...]
    group: G
    chosen: Tensor | None


def route(router: Constant | Threshold, everyone: G) -> Iterator[Stopped[G]]:
    """Follow `router` from its first answer until everybody has stopped.

    Samples that go on together stay together; those that stop leave the group, so the remaining
    work runs on what is left.
    """
    todo: list[tuple[int, tuple[int, ...], G]] = [(router.start, (), everyone)]
    while todo:
        answer, before, group = todo.pop()
        visited = (*before, answer)
        said = group.ask(answer)
        goes = router.decide(answer, said, len(group.rows))
        if goes is None:
            yield Stopped(visited, group, None)
            continue
        targets = sorted(set(goes.tolist()))
        for target in targets:
            chosen = None if len(targets) == 1 else goes == target
            if target == STOP:
                yield Stopped(visited, group, chosen)
            else:
                todo.append((target, visited, group if chosen is None else group.keep(chosen)))


@dataclass(frozen=True)
class Routing:
    """Where every sample went: its final answer [n] and all answers it went through [n, answers]."""

    answer: NDArray[np.int64]
    visited: NDArray[np.bool_]


@dataclass(frozen=True)
class _Rows:
    """Samples of a path table."""

    table: PathTable
    rows: Tensor

    def ask(self, answer: int) -> Said:
        return lambda name: torch.from_numpy(getattr(self.table, name)[answer])[self.rows]

    def keep(self, chosen: Tensor) -> "_Rows":
        return _Rows(self.table, self.rows[chosen])


def simulate(table: PathTable, router: Constant | Threshold) -> Routing:
    """Follow `router` through a path table: the routing that `execute` would do, by look-up."""
    n = len(table.labels)
    answer = np.full(n, STOP, dtype=np.int64)
    visited = np.zeros((n, len(table.answers)), dtype=bool)
    for stopped in route(router, _Rows(table, torch.arange(n))):
        rows = stopped.group.rows if stopped.chosen is None else stopped.group.rows[stopped.chosen]
        answer[rows.numpy()] = stopped.visited[-1]
        visited[np.ix_(rows.numpy(), np.array(stopped.visited))] = True
    return Routing(answer, visited)
