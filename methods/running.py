"""Executing a router on images: what is not needed is not run, and groups are compacted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from methods.routers import SCORES, Constant, Router, Said
from methods.routing import route
from methods.table import signal
from methods.tree import Node, Tree

RunNode = Callable[[Node, Tensor], Tensor]


class Routed(NamedTuple):
    """Logits float32 [n, classes] and the index of the answer that gave them, int64 [n]."""

    logits: Tensor
    answer: Tensor


def execute(tree: Tree, run: RunNode, images: Tensor, router: Router, classes: int) -> Routed:
    """Follow `router` on images [n, c, h, w], with `run` executing a node of `tree`.

    Samples that stop leave the batch; the remaining work runs on the compacted group.
    """
    if isinstance(router, Constant):
        x = images
        for index in tree.paths[router.answer]:
            x = run(tree.nodes[index], x)
        return Routed(x.float(), torch.full((len(images),), router.answer, device=images.device))
    logits = images.new_empty(len(images), classes, dtype=torch.float32)
    answer = torch.empty(len(images), dtype=torch.int64, device=images.device)
    everyone = _Running(tree, run, torch.arange(len(images), device=images.device), {-1: images})
    for stopped in route(router, everyone):
        rows, said = stopped.rows, stopped.group.output
        logits[rows] = (said if stopped.chosen is None else said[stopped.chosen]).float()
        answer[rows] = stopped.trail[-1]
    return Routed(logits, answer)


@dataclass
class _Running:
    """Samples on their way through a model: their rows, and the states where work can part."""

    tree: Tree
    run: RunNode
    rows: Tensor
    states: dict[int, Tensor]  # node -> its output for these rows; -1: the images
    output: Tensor = None  # type: ignore[assignment]  # of the last answer or probe asked

    def ask(self, output: int) -> Said:
        path = (-1, *self.tree.paths[output])
        start = max(place for place, node in enumerate(path) if node in self.states)
        x = self.states[path[start]]
        for index in path[start + 1 :]:
            x = self.run(self.tree.nodes[index], x)
            if self.tree.parts_at(index):
                self.states[index] = x
        if not self.tree.parts_at(-1):
            self.states.pop(-1, None)
        self.output = x
        return lambda name: x.float() if name == SCORES else signal(name, x)

    def keep(self, chosen: Tensor) -> "_Running":
        states = {node: x[chosen] for node, x in self.states.items()}
        return _Running(self.tree, self.run, self.rows[chosen], states)
