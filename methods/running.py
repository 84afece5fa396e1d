"""Executing a router on images: what is not needed is not run, and groups are compacted."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from methods.graph import IMAGES, Graph, Run, State, rows, single
from methods.routers import SCORES, Constant, Router, Said
from methods.routing import route
from methods.table import signal


class Routed(NamedTuple):
    """Logits float32 [n, classes] and the index of the answer that gave them, int64 [n]."""

    logits: Tensor
    answer: Tensor


def execute(graph: Graph, run: Run, images: Tensor, router: Router, classes: int) -> Routed:
    """Follow `router` on images [n, c, h, w], with `run` executing a node of `graph`.

    Samples that stop leave the batch; the remaining work runs on the compacted group.
    """
    if isinstance(router, Constant):
        for _, said in graph.sweep(run, {IMAGES: images}, graph.plan((router.answer,))):  # noqa: B007  # the last counts
            pass
        logits = single(said, graph.names[router.answer])
        return Routed(logits.float(), torch.full((len(images),), router.answer, device=images.device))
    group = _Running(graph, run, router.outputs, torch.arange(len(images), device=images.device), {IMAGES: images})
    logits = images.new_empty(len(images), classes, dtype=torch.float32)
    answer = torch.empty(len(images), dtype=torch.int64, device=images.device)
    for stopped in route(router, group):
        places, said = stopped.rows, stopped.group.output
        logits[places] = (said if stopped.chosen is None else said[stopped.chosen]).float()
        answer[places] = stopped.trail[-1]
    return Routed(logits, answer)


@dataclass
class _Running:
    """Samples on their way through a model: what they were asked, and the states that work can go on from."""

    graph: Graph
    run: Run
    outputs: tuple[int, ...]  # all that may be asked
    rows: Tensor
    states: dict[int, State]
    trail: tuple[int, ...] = ()
    output: Tensor = field(init=False)  # of the last answer or probe asked

    def ask(self, output: int) -> Said:
        plan = self.graph.plan((output,), self.trail, self.outputs)
        said = self.states.get(self.graph.ends[output])  # run before where another answer goes on from it
        for _, said in self.graph.sweep(self.run, self.states, plan):  # noqa: B007  # the last is the answer's
            pass
        self.trail = (*self.trail, output)
        self.output = logits = single(said, self.graph.outputs[output].name)
        return lambda name: logits.float() if name == SCORES else signal(name, logits)

    def keep(self, chosen: Tensor) -> "_Running":
        states = {node: rows(state, chosen) for node, state in self.states.items()}
        return _Running(self.graph, self.run, self.outputs, self.rows[chosen], states, self.trail)
