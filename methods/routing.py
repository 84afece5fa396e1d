"""The one loop that follows a router: over a path table (simulated) or over images (executed)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from methods.routers import SCORES, STOP, Heard, Router, Said
from methods.table import PathTable


class Group(Protocol):
    """Samples that have gone the same way so far."""

    @property
    def rows(self) -> Tensor:
        """Their positions in the batch or table, [n]."""

    def ask(self, output: int) -> Said:
        """Compute (or look up) an answer or probe for these samples."""

    def keep(self, chosen: Tensor) -> Self:
        """The samples where `chosen` [n] is true, with what is already known of them."""


G = TypeVar("G", bound=Group)


@dataclass(frozen=True)
class Stopped(Generic[G]):
    """Samples (`chosen` [n] of `group`; None: all) whose prediction is the last answer on `heard`."""

    heard: Heard
    group: G
    chosen: Tensor | None

    @property
    def trail(self) -> tuple[int, ...]:
        """The answers and probes these samples went through, the first one first."""
        return tuple(self.heard)

    @property
    def rows(self) -> Tensor:
        """Positions in the batch or table of those who stopped."""
        return self.group.rows if self.chosen is None else self.group.rows[self.chosen]


def route(router: Router, everyone: G) -> Iterator[Stopped[G]]:
    """Follow `router` from its first answer until everybody has stopped.

    Samples that go on together stay together; those that stop leave the group, so the remaining
    work runs on what is left.
    """
    todo: list[tuple[int, Heard, G]] = [(router.start, {}, everyone)]
    while todo:
        output, before, group = todo.pop()
        heard = {**before, output: group.ask(output)}
        goes = router.decide(output, heard, len(group.rows))
        if goes is None:
            yield Stopped(heard, group, None)
            continue
        targets = sorted(set(goes.tolist()))
        for target in targets:
            chosen = None if len(targets) == 1 else goes == target
            if target == STOP:
                yield Stopped(heard, group, chosen)
            elif chosen is None:
                todo.append((target, heard, group))
            else:
                todo.append((target, {at: _of(said, chosen) for at, said in heard.items()}, group.keep(chosen)))


def _of(said: Said, chosen: Tensor) -> Said:
    """What was said to the chosen samples only, looked up when it is asked for."""
    return lambda name: said(name)[chosen]


@dataclass(frozen=True)
class Routing:
    """Where every sample went, and what deciding cost.

    `answer` [n] is the final answer, `visited` [n, outputs] all answers and probes on the way, `router_macs`
    [n] the MACs of the decisions themselves.
    """

    answer: NDArray[np.int64]
    visited: NDArray[np.bool_]
    router_macs: NDArray[np.int64]


@dataclass(frozen=True)
class _Rows:
    """Samples of a path table."""

    table: PathTable
    rows: Tensor

    def ask(self, output: int) -> Said:
        return lambda name: torch.from_numpy(self._column(output, name))[self.rows]

    def _column(self, output: int, name: str) -> NDArray[np.float32]:
        if name == SCORES:
            return list(self.table.probes.values())[output - len(self.table.answers)]
        column: NDArray[np.float32] = getattr(self.table, name)[output]
        return column

    def keep(self, chosen: Tensor) -> "_Rows":
        return _Rows(self.table, self.rows[chosen])


def simulate(table: PathTable, router: Router) -> Routing:
    """Follow `router` through a path table: the routing that `execute` would do, by look-up."""
    n = len(table.labels)
    answer = np.full(n, STOP, dtype=np.int64)
    visited = np.zeros((n, len(table.costs.uses)), dtype=bool)
    router_macs = np.zeros(n, dtype=np.int64)
    for stopped in route(router, _Rows(table, torch.arange(n))):
        rows, trail = stopped.rows.numpy(), stopped.trail
        answer[rows] = trail[-1]
        visited[np.ix_(rows, np.array(trail))] = True
        router_macs[rows] = sum(router.macs(at) for at in trail)
    return Routing(answer, visited, router_macs)


def trail_macs(table: PathTable, routing: Routing) -> NDArray[np.int64]:
    """MACs each sample pays, [n]: the distinct work of its trail, and the decisions on the way."""
    macs: NDArray[np.int64] = table.costs.trails(routing.visited, table.spent) + routing.router_macs
    return macs


def closest(table: PathTable, router: Router) -> NDArray[np.float64]:
    """How near each sample came to another decision anywhere on its trail, [n], in units of the signals.

    Decisions inside of nodes whose work depends on the image are among them.
    """
    found = np.full(len(table.labels), np.inf)
    within = table.costs.uses[:, list(table.costs.varying)]
    for stopped in route(router, _Rows(table, torch.arange(len(table.labels)))):
        rows, places = stopped.rows, stopped.rows.numpy()
        so_far: Heard = {}
        for at in stopped.trail:
            so_far = {**so_far, at: _Rows(table, rows).ask(at)}
            near = router.closeness(at, so_far, len(rows)).numpy()
            found[places] = np.minimum(found[places], near)
        for node in np.flatnonzero(within[list(stopped.trail)].any(axis=0)):
            found[places] = np.minimum(found[places], table.distance[node, places])
    return found
