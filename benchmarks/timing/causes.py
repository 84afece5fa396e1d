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
from methods.routers import Router
from methods.routing import simulate
from methods.table import PathTable
from methods.tree import Node

WARM, PASSES = 2, 15
_RESIZES = ("pool", "stem_pool", "resize")
"""First words of steps that only change the size of maps: on 1x1 maps there is nothing for them to do."""


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
    """Seconds of every node in one pass over the tree."""
    tree = model.tree
    seconds = np.zeros(len(tree.nodes))
    stack = [(root, images) for root in reversed(tree.roots)]
    while stack:
        index, x = stack.pop()
        node = tree.nodes[index]
        if shrink and x.ndim == 4:
            x = x[..., :1, :1].contiguous(memory_format=torch.channels_last)
        _wait(x)
        begun = time.perf_counter()
        y = _resized(model, node, x) if shrink else model.run_node(node, x)
        _wait(x)
        seconds[index] = time.perf_counter() - begun
        stack.extend((child, y) for child in reversed(node.children))
    return seconds


def _resized(model: AdjustableModel, node: Node, x: Tensor) -> Tensor:
    """A node on 1x1 maps."""
    if node.step[0] in _RESIZES:
        return x
    try:
        return model.run_node(node, x)
    except MethodError as error:
        raise RuntimeError(str(error)) from None


def _wait(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
