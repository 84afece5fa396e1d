"""What the work of a method costs: the MACs of every node of its tree, counted by executing it.

One multiply-accumulate of a convolution, linear layer or matrix product is one MAC; FLOPs are twice
that. Pooling, resizing, batch norm, activations and additions are outside this convention: they are
listed by name in `Costs.uncounted`, never silently zero. Operators that are not known are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods.backbones.base import Step
from methods.counting import Count, count
from methods.tree import Node, Tree


@dataclass(frozen=True)
class Costs:
    """What every node of a method's tree costs, and which answers and probes execute it.

    `work` [w] names the nodes, `macs` [w] are their MACs per image, `uses` [outputs, w] has the answers
    first, then the probes; `uncounted` names the operators that ran and are outside the convention.
    """

    work: tuple[str, ...]
    macs: NDArray[np.int64]
    uses: NDArray[np.bool_]
    uncounted: tuple[str, ...] = ()

    def outputs(self) -> NDArray[np.int64]:
        """MACs per image of each answer and probe alone, [outputs]."""
        macs: NDArray[np.int64] = self.uses.astype(np.int64) @ self.macs
        return macs

    def trails(self, visited: NDArray[np.bool_]) -> NDArray[np.int64]:
        """MACs of each sample's trail, [n], from what it went through, [n, outputs].

        A trail costs the union of the nodes of its answers and probes: shared work is paid once.
        """
        packed = np.packbits(visited, axis=1)  # whole rows as single keys: sorting rows of booleans is slow
        keys = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        union = (visited[first].astype(np.int64) @ self.uses.astype(np.int64)) > 0
        macs: NDArray[np.int64] = (union.astype(np.int64) @ self.macs)[which.reshape(-1)]
        return macs


def count_tree(tree: Tree, run: Callable[[Node, Tensor], Tensor], image: Tensor) -> Costs:
    """MACs of every node, by executing all of them on one image [1, c, h, w].

    A step on a shape that was counted before is executed again but not counted again.
    """
    known: dict[tuple[Step, torch.Size], int] = {}
    uncounted: frozenset[str] = frozenset()
    macs = np.zeros(len(tree.nodes), dtype=np.int64)
    stack = [(root, image) for root in tree.roots]
    while stack:
        index, x = stack.pop()
        node = tree.nodes[index]
        key = (node.step, x.shape)
        if key in known:
            y = run(node, x)
        else:
            counted = count(lambda node=node, x=x: run(node, x))  # type: ignore[misc]
            y, known[key] = counted.result, counted.macs
            uncounted |= counted.outside.keys()
        macs[index] = known[key]
        stack.extend((child, y) for child in node.children)
    return Costs(tuple(node.label for node in tree.nodes), macs, tree.uses, tuple(sorted(uncounted)))


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
