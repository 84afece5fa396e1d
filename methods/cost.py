"""What the work of a method costs: the MACs of every node of its graph, counted by executing it.

One multiply-accumulate of a convolution, linear layer or matrix product is one MAC; FLOPs are twice
that. Pooling, resizing, batch norm, activations and additions are outside this convention: they are
listed by name in `Costs.uncounted`, never silently zero. Operators that are not known are refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods.backbones.base import Step
from methods.counting import Count
from methods.graph import IMAGES, Graph, Node, Run, State, length
from methods.metering import Meter, fixed

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Costs:
    """What every node of a method's graph costs, and which answers and probes execute it.

    `work` [w] names the nodes, `macs` [w] are their MACs per image, `uses` [outputs, w] has the answers
    first, then the probes; `uncounted` names the operators that ran and are outside the convention. `varying` [v] are
    the positions of nodes whose cost depends on the image: their `macs` are 0, and what each image `spent` [v, n]
    there is measured when a path table is made.
    """

    work: tuple[str, ...]
    macs: Integers
    uses: NDArray[np.bool_]
    uncounted: tuple[str, ...] = ()
    varying: tuple[int, ...] = ()

    def outputs(self) -> Integers:
        """MACs per image of each answer and probe alone, without nodes that vary, [outputs]."""
        macs: Integers = self.uses.astype(np.int64) @ self.macs
        return macs

    def vary(self, output: int) -> bool:
        """Whether the cost of this answer or probe depends on the image."""
        return bool(self.uses[output, list(self.varying)].any())

    def trails(self, visited: NDArray[np.bool_], spent: Integers | None = None) -> Integers:
        """MACs of each sample's trail, [n], from what it went through, [n, outputs].

        A trail costs the union of the nodes of its answers and probes: shared work is paid once. ValueError where
        nodes on it vary and what each sample `spent` there, [v, n], is not given.
        """
        packed = np.packbits(visited, axis=1)  # whole rows as single keys: sorting rows of booleans is slow
        keys = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        which = which.reshape(-1)
        fixed, varying = self._unions(visited[first])
        if not varying.any():
            return fixed[which]
        more: Integers = (varying[which].T * measured(spent)).sum(axis=0)
        return fixed[which] + more

    def along(self, trails: Sequence[Sequence[int]], spent: Integers | None = None) -> Integers:
        """MACs of every image along each of these trails, [t, n], or [t, 1] where they are the same for all images.

        ValueError where nodes on a trail vary and `spent` [v, n] is not given.
        """
        visited = np.zeros((len(trails), len(self.uses)), dtype=bool)
        for row, trail in zip(visited, trails, strict=True):
            row[list(trail)] = True
        fixed, varying = self._unions(visited)
        return fixed[:, None] + varying @ measured(spent) if varying.any() else fixed[:, None]

    def _unions(self, visited: NDArray[np.bool_]) -> tuple[Integers, Integers]:
        """MACs of the nodes of each trail that do not vary [t], and which of those that do are on it [t, v]."""
        union: Integers = (visited.astype(np.int64) @ self.uses.astype(np.int64) > 0).astype(np.int64)
        return union @ self.macs, union[:, list(self.varying)]


def measured(spent: Integers | None) -> Integers:
    """What was spent, [v, n]; ValueError where it is not given."""
    if spent is None:
        raise ValueError("what these trails cost depends on the image: give what each spent")
    return spent


def count_graph(graph: Graph, run: Run, image: Tensor) -> Costs:
    """MACs of every node, by executing all of them on one image [1, c, h, w].

    A step on shapes that were counted before is executed again but not counted again.
    """
    counting = _Counted(run)
    for _ in graph.sweep(counting, {IMAGES: image}):
        pass
    macs = np.array(counting.macs, dtype=np.int64)
    labels = tuple(node.label for node in graph.nodes)
    return Costs(labels, macs, graph.uses, tuple(sorted(counting.uncounted)), tuple(counting.varying))


Shape: TypeAlias = torch.Size | tuple["Shape", ...]


def _shape(state: State) -> Shape:
    return state.shape if isinstance(state, Tensor) else tuple(map(_shape, state))


class _Counted:
    """Runs nodes in their order on one image and takes down what they cost."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.macs: list[int] = []
        self.uncounted: set[str] = set()
        self.varying: list[int] = []
        self._known: dict[tuple[Step, Shape], int] = {}

    def __call__(self, node: Node, x: State) -> State:
        key = (node.step, _shape(x))
        if key in self._known:
            self.macs.append(self._known[key])
            return self.run(node, x)
        meter = Meter(1)
        y = meter.run(lambda: self.run(node, x))
        self.uncounted |= meter.outside.keys()
        macs = 0 if meter.varied else sum(meter.products.values())
        self.macs.append(macs)
        if meter.varied:
            self.varying.append(node.index)
        else:
            self._known[key] = macs
        return y


class Metered:
    """Runs nodes as `run` does, and takes down what those that vary spend on each image.

    Batches are put behind each other. MethodError where a node varies that did not when `costs` were counted.
    """

    def __init__(self, run: Run, costs: Costs) -> None:
        self.run = run
        self._spent: dict[int, list[Integers]] = {index: [] for index in costs.varying}
        self._distance: dict[int, list[NDArray[np.float32]]] = {index: [] for index in costs.varying}

    def __call__(self, node: Node, x: State) -> State:
        if node.index not in self._spent:
            with fixed(node.label):
                return self.run(node, x)
        meter = Meter(length(x))
        y = meter.run(lambda: self.run(node, x))
        self._spent[node.index].append(meter.spent)
        self._distance[node.index].append(meter.distance)
        return y

    @property
    def spent(self) -> Integers:
        """MACs of each image in each node that varies, int64 [v, n]."""
        return _rows(self._spent.values(), np.int64)

    @property
    def distance(self) -> NDArray[np.float32]:
        """How near each image came to another decision in each node that varies, float32 [v, n]; inf: it made none."""
        return _rows(self._distance.values(), np.float32)


def _rows(columns: Iterable[Sequence[NDArray[Any]]], kind: type[np.generic]) -> NDArray[Any]:
    found = [np.concatenate(batches) for batches in columns]
    return np.stack(found) if found else np.zeros((0, 0), dtype=kind)


PTFLOPS = frozenset({"convolution", "mm", "addmm", "bmm", "linear"})
"""Operators whose products ptflops knows as well: to all others it is blind."""


def convolutional(counted: Count[Tensor]) -> bool:
    """Whether a network's products are convolutions, linear layers and plain matrix products alone."""
    return counted.products.keys() <= PTFLOPS


def ptflops_macs(module: nn.Module, image_shape: tuple[int, int, int]) -> int | None:
    """MACs of one image by ptflops (operator backend), for convolutional networks; None where it gives up.

    Real zeros are passed in: left to itself, ptflops feeds uninitialised memory.
    """
    from ptflops import get_model_complexity_info

    device = next(module.parameters()).device
    macs, _ = get_model_complexity_info(
        module,
        image_shape,
        input_constructor=lambda shape: torch.zeros(1, *shape, device=device),
        print_per_layer_stat=False,
        as_strings=False,
        backend="aten",
    )
    return None if macs is None else int(macs)
