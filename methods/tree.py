"""Answers and probes as sequences of work, and the tree of their shared prefixes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from methods.backbones.base import Step
from methods.errors import MethodError


@dataclass(frozen=True)
class Answer:
    """One computation that ends in logits.

    Two answers whose `work` begins with the same steps share that work: it is executed once and
    counted once.
    """

    name: str
    work: tuple[Step, ...]


@dataclass(frozen=True)
class Probe:
    """The same, but ending in features [n, m] for routing only."""

    name: str
    work: tuple[Step, ...]


@dataclass(frozen=True)
class Node:
    """One piece of work in one context: the last step of a prefix of at least one answer or probe.

    `owner` is the last (dearest) answer that passes through; it names the batch-norm statistics
    of this node, so work before a point where answers part has one set, shared by all of them.
    """

    index: int
    parent: int  # -1: the images
    step: Step
    owner: str
    output: int | None  # the answer or probe that ends here
    children: tuple[int, ...]

    @property
    def label(self) -> str:
        """Readable and unique within the tree, for example `p1_r0.5: body 2`."""
        return f"{self.owner}: " + " ".join(str(part) for part in self.step)


class Tree:
    """The tree of prefixes of answers and probes, in depth-first order (a parent before its children).

    `outputs` are the answers, then the probes; everything else refers to them by position.
    """

    def __init__(self, answers: Sequence[Answer], probes: Sequence[Probe] = ()) -> None:
        self.outputs: tuple[Answer | Probe, ...] = (*answers, *probes)
        names = [output.name for output in self.outputs]
        if not answers or len(set(names)) != len(names):
            raise MethodError(f"a method needs answers with distinct names, got {names}")
        self.names = tuple(answer.name for answer in answers)
        self.probes = tuple(probe.name for probe in probes)
        prefixes = _depth_first(self.outputs)
        index = {prefix: i for i, prefix in enumerate(prefixes)}
        dearest_last = (*self.outputs[len(answers) :], *self.outputs[: len(answers)])
        owner = {o.work[:k]: o.name for o in dearest_last for k in range(1, len(o.work) + 1)}
        ends = {output.work: i for i, output in enumerate(self.outputs)}
        if len(ends) != len(names):
            raise MethodError("two answers are the same sequence of work")
        children: dict[int, list[int]] = {i: [] for i in range(-1, len(prefixes))}
        for prefix, i in index.items():
            children[index.get(prefix[:-1], -1)].append(i)
        self.roots = tuple(children[-1])
        self.nodes = tuple(
            Node(i, index.get(p[:-1], -1), p[-1], owner[p], ends.get(p), tuple(children[i])) for p, i in index.items()
        )
        self.paths = tuple(tuple(index[o.work[:k]] for k in range(1, len(o.work) + 1)) for o in self.outputs)

    @cached_property
    def uses(self) -> NDArray[np.bool_]:
        """Which answer or probe executes which node, [outputs, nodes]."""
        uses = np.zeros((len(self.outputs), len(self.nodes)), dtype=bool)
        for row, path in zip(uses, self.paths, strict=True):
            row[list(path)] = True
        return uses

    def index(self, name: str) -> int:
        """The position of the answer or probe called `name`; MethodError names the known ones."""
        known = (*self.names, *self.probes)
        if name not in known:
            raise MethodError(f"unknown answer '{name}'; known are {', '.join(known)}")
        return known.index(name)

    def parts_at(self, node: int) -> bool:
        """Whether work goes on in more than one way after `node` (-1: the images); to end is one."""
        if node < 0:
            return len(self.roots) > 1
        return len(self.nodes[node].children) + (self.nodes[node].output is not None) > 1

    def needed(self, outputs: Iterable[int]) -> frozenset[int]:
        """The nodes that these answers and probes execute."""
        return frozenset(node for output in outputs for node in self.paths[output])


def _depth_first(outputs: Sequence[Answer | Probe]) -> list[tuple[Step, ...]]:
    """All distinct prefixes, each parent directly followed by the whole subtree of each child."""
    below: dict[tuple[Step, ...], dict[tuple[Step, ...], None]] = {}
    for output in outputs:
        for k in range(len(output.work)):
            below.setdefault(output.work[:k], {})[output.work[: k + 1]] = None
    order: list[tuple[Step, ...]] = []
    stack = list(reversed(below.get((), {})))
    while stack:
        prefix = stack.pop()
        order.append(prefix)
        stack.extend(reversed(below.get(prefix, {})))
    return order
