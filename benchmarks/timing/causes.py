"""Where the time of a point goes: its nodes one by one, and what each of them takes whatever the size of its maps.

The report names by it what is lost between saved work and saved time.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.graph import IMAGES, Node, State
from methods.routers import Router
from methods.routing import simulate
from methods.table import PathTable

WARM, PASSES = 2, 15


@dataclass(frozen=True)
class NodeTimes:
    """Median seconds of every node of a model's tree on one batch, [nodes].

    `whole`: as it is. `fixed`: on maps of 1x1, so that what remains is launching kernels and loading weights; None
    where the network does not take such maps.
    """

    whole: NDArray[np.float64]
    fixed: NDArray[np.float64] | None

    def of(self, shares: NDArray[np.float64]) -> tuple[float, float | None]:
        """Seconds of a point whose nodes are executed by these shares of the images, whole and fixed."""
        return float(self.whole @ shares), None if self.fixed is None else float(self.fixed @ shares)

    def json(self) -> dict[str, Any]:
        """As another process is told."""
        return {"whole": self.whole.tolist(), "fixed": None if self.fixed is None else self.fixed.tolist()}

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Self:
        """What another process told."""
        return cls(np.array(told["whole"]), None if told["fixed"] is None else np.array(told["fixed"]))


def node_shares(table: PathTable, router: Router) -> NDArray[np.float64]:
    """The share of the table's samples that execute each node at an operating point, [nodes]."""
    visited = simulate(table, router).visited
    executed = (visited.astype(np.float32) @ table.costs.uses.astype(np.float32)) > 0
    shares: NDArray[np.float64] = executed.mean(axis=0)
    return shares


@torch.inference_mode()
def node_times(models: Sequence[AdjustableModel], draw: Callable[[], Tensor]) -> list[NodeTimes]:
    """Time all nodes on inputs [n, c, h, w] in whole passes, so that each finds the caches as in a real execution.

    Every pass is on a batch of its own from `draw`.

    Models take turns pass by pass, so that drift hits all alike.
    """
    passes: list[list[tuple[NDArray[np.float64], NDArray[np.float64] | None]]] = [[] for _ in models]
    for _ in range(WARM + PASSES):
        for model, seen in zip(models, passes, strict=True):
            seen.append((_pass(model, draw(), shrink=False), _shrunk(model, draw())))
    return [_median(seen[WARM:]) for seen in passes]


def _median(passes: Sequence[tuple[NDArray[np.float64], NDArray[np.float64] | None]]) -> NodeTimes:
    whole = np.median([one for one, _ in passes], axis=0)
    fixed = [one for _, one in passes if one is not None]
    return NodeTimes(whole, np.median(fixed, axis=0) if fixed else None)


def _shrunk(model: AdjustableModel, images: Tensor) -> NDArray[np.float64] | None:
    """A pass over 1x1 maps; None where convolutions or poolings need more than one pixel."""
    try:
        return _pass(model, images, shrink=True)
    except RuntimeError:
        return None


def _pass(model: AdjustableModel, images: Tensor, shrink: bool) -> NDArray[np.float64]:
    """Seconds of every node in one pass over the graph."""
    graph, seconds = model.graph, np.zeros(len(model.graph.nodes))

    def timed(node: Node, x: State) -> State:
        x = _pixels(x) if shrink else x
        _wait(images)
        begun = time.perf_counter()
        y = _shrunken(model, node, x) if shrink else model.run_node(node, x)
        _wait(images)
        seconds[node.index] = time.perf_counter() - begun
        return y

    for _ in graph.sweep(timed, {IMAGES: images}):
        pass
    return seconds


def _pixels(x: State) -> State:
    """The first pixel of maps; other tensors as they are."""
    if not isinstance(x, Tensor):
        return tuple(map(_pixels, x))
    return x[..., :1, :1].contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _shrunken(model: AdjustableModel, node: Node, x: State) -> State:
    """A node on 1x1 maps: where it only changes their size, there is nothing for it to do."""
    if model.kind(node.step) == "size":
        return x
    try:
        return model.run_node(node, x)
    except MethodError as error:
        raise RuntimeError(str(error)) from None


def _wait(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
