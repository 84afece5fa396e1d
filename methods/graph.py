"""Answers and probes as expressions of work, and the graph of what they share."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from methods.backbones.base import Step
from methods.errors import MethodError

State: TypeAlias = Tensor | tuple["State", ...]
"""What a step gives and takes: tensors whose first dimension is the same images, such as the scales of an MSDNet."""
Run: TypeAlias = Callable[["Node", State], State]
"""Executes one node."""
IMAGES = -1
"""The images among the states, where nodes are numbers."""


@dataclass(frozen=True)
class Work:
    """One step on what other work gives; None stands for the images.

    A step of several inputs is given the tuple of their states, in this order.
    """

    step: Step
    inputs: "tuple[Work | None, ...]" = (None,)

    def then(self, *steps: Step) -> "Work":
        """These steps one after the other behind this work."""
        work = self
        for step in steps:
            work = Work(step, (work,))
        return work


def chain(*steps: Step, start: Work | None = None) -> Work:
    """Steps one after the other, from `start` or the images; MethodError if there are none."""
    if not steps:
        raise MethodError("work needs at least one step")
    return Work(steps[0], (start,)).then(*steps[1:])


@dataclass(frozen=True)
class Answer:
    """One computation that ends in logits [n, classes].

    `work` is a sequence of steps, or an expression where paths join. The same step on the same inputs is one piece of
    work, whichever answers ask for it: it is executed once and counted once.
    """

    name: str
    work: tuple[Step, ...] | Work


@dataclass(frozen=True)
class Probe:
    """The same, but ending in features [n, m] for routing only."""

    name: str
    work: tuple[Step, ...] | Work


@dataclass(frozen=True)
class Node:
    """One step on the same inputs, for all answers and probes that execute it.

    `inputs` and `children` are numbers of nodes, `IMAGES` among the inputs stands for the images. `owner` is the last
    (most expensive) answer that executes it: it names the batch-norm statistics of this node, so work before a point
    where answers part has one set, shared by all of them. `label` is unique, for example `p1_r0.5: body 2`.
    """

    index: int
    inputs: tuple[int, ...]
    step: Step
    owner: str
    label: str
    output: int | None  # the answer or probe that ends here
    children: tuple[int, ...]

    def take(self, states: "dict[int, State]") -> State:
        """What the step is given: the state of its input, or the tuple of several."""
        if len(self.inputs) == 1:
            return states[self.inputs[0]]
        return tuple(states[index] for index in self.inputs)


@dataclass(frozen=True)
class Plan:
    """Nodes in the order in which they run, and after each the states that are not needed any more."""

    nodes: tuple[Node, ...]
    frees: tuple[tuple[int, ...], ...]


class Graph:
    """The work of answers and probes, every node behind its inputs, as nearly depth first as that allows.

    `outputs` are the answers, then the probes; everything else refers to them by position.
    """

    def __init__(self, answers: Sequence[Answer], probes: Sequence[Probe] = ()) -> None:
        self.outputs: tuple[Answer | Probe, ...] = (*answers, *probes)
        names = [output.name for output in self.outputs]
        if not answers or len(set(names)) != len(names):
            raise MethodError(f"a method needs answers with distinct names, got {names}")
        self.names = tuple(answer.name for answer in answers)
        self.probes = tuple(probe.name for probe in probes)
        drawn = _Drawn()
        ends = [drawn.end(output) for output in self.outputs]
        if len(set(ends)) != len(ends):
            raise MethodError("two answers are the same work")
        self._number(drawn, ends)
        self._plans: dict[tuple[tuple[int, ...], ...], Plan] = {}

    def _number(self, drawn: "_Drawn", ends: Sequence[int]) -> None:
        """Give nodes their numbers, owners and labels."""
        order = drawn.order()
        number = {IMAGES: IMAGES} | {found: index for index, found in enumerate(order)}
        inputs = [tuple(number[i] for i in drawn.inputs[found]) for found in order]
        self.ends = tuple(number[end] for end in ends)
        self.paths = tuple(_behind(end, inputs) for end in self.ends)
        answers = len(self.names)
        places = (*range(answers, len(ends)), *range(answers))  # the owner is set last by the most expensive answer
        owners = {node: self.outputs[place].name for place in places for node in self.paths[place]}
        output = {end: place for place, end in enumerate(self.ends)}
        labels = _unique(f"{owners[i]}: " + " ".join(map(str, drawn.steps[found])) for i, found in enumerate(order))
        self.nodes = tuple(
            Node(
                i, inputs[i], drawn.steps[found], owners[i], labels[i], output.get(i),
                tuple(number[child] for child in drawn.children[found]),
            )
            for i, found in enumerate(order)
        )  # fmt: skip

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

    def plan(self, wanted: Iterable[int], before: Iterable[int] = (), later: Iterable[int] = ()) -> Plan:
        """How the answers and probes `wanted` are computed where those of `before` have been.

        What they share with them is not run again. States remain that one of `later` goes on from.
        """
        asked = (tuple(wanted), tuple(before), tuple(later))
        if asked not in self._plans:
            self._plans[asked] = self._planned(*asked)
        return self._plans[asked]

    def _planned(self, wanted: tuple[int, ...], before: tuple[int, ...], later: tuple[int, ...]) -> Plan:
        done = self._needed(before)
        run = sorted(self._needed(wanted) - done)
        ahead = self._needed(later) - done - set(run)
        kept = {i for node in ahead for i in self.nodes[node].inputs}
        kept |= {self.ends[output] for output in later if output not in (*before, *wanted)}
        last = {i: place for place, node in enumerate(run) for i in (node, *self.nodes[node].inputs)}
        frees = [tuple(i for i, place in last.items() if place == here and i not in kept) for here in range(len(run))]
        return Plan(tuple(self.nodes[node] for node in run), tuple(frees))

    def _needed(self, outputs: Iterable[int]) -> set[int]:
        return {node for output in outputs for node in self.paths[output]}

    def sweep(self, run: Run, states: dict[int, State], plan: Plan | None = None) -> Iterator[tuple[Node, State]]:
        """Execute a plan, by default that of everything: yield every node with what it gave.

        This is the only traversal of a graph. `states` are the known ones by number of their node, `IMAGES` for the
        images; it gains those that work can go on from, and loses those that nothing needs any more.
        """
        plan = plan or self.plan(range(len(self.outputs)))
        for node, frees in zip(plan.nodes, plan.frees, strict=True):
            y = run(node, node.take(states))
            states[node.index] = y
            for index in frees:
                del states[index]
            yield node, y


class _Drawn:
    """Work as numbers: the same step on the same inputs is one."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.inputs: list[tuple[int, ...]] = []
        self.children: dict[int, dict[int, None]] = {IMAGES: {}}  # in the order in which answers come to them
        self._known: dict[tuple[Step, tuple[int, ...]], int] = {}

    def end(self, output: Answer | Probe) -> int:
        """The number of the last piece of an answer's work."""
        work = output.work
        if isinstance(work, Work):
            return self._expression(work)
        if not work:
            raise MethodError(f"{output.name} has no work")
        number = IMAGES
        for step in work:
            number = self._piece(step, (number,))
        return number

    def _expression(self, work: Work) -> int:
        """Inputs before what takes them, without recursion: a network may be deeper than Python's stack."""
        found: dict[int, int] = {}
        stack = [work]
        while stack:
            here = stack[-1]
            waiting = [one for one in here.inputs if one is not None and id(one) not in found]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            if not here.inputs:
                raise MethodError(f"the step {here.step} takes nothing: give it None for the images")
            inputs = tuple(IMAGES if one is None else found[id(one)] for one in here.inputs)
            found[id(here)] = self._piece(here.step, inputs)
        return found[id(work)]

    def _piece(self, step: Step, inputs: tuple[int, ...]) -> int:
        number = self._known.setdefault((step, inputs), len(self.steps))
        if number == len(self.steps):
            self.steps.append(step)
            self.inputs.append(inputs)
            self.children[number] = {}
        for one in inputs:
            self.children[one][number] = None
        return number

    def order(self) -> list[int]:
        """Every piece behind its inputs, and directly behind the last of them where it can be."""
        waits = {number: len(set(inputs)) for number, inputs in enumerate(self.inputs)}
        order: list[int] = []
        stack = [IMAGES]
        while stack:
            here = stack.pop()
            order.append(here)
            free = []
            for child in self.children[here]:
                waits[child] -= 1
                if not waits[child]:
                    free.append(child)
            stack.extend(reversed(free))
        return order[1:]


def _behind(end: int, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """All nodes that the node `end` needs and itself, in rising order, which is one in which they can run."""
    found: set[int] = set()
    stack = [end]
    while stack:
        here = stack.pop()
        if here not in found and here != IMAGES:
            found.add(here)
            stack.extend(inputs[here])
    return tuple(sorted(found))


def _unique(labels: Iterable[str]) -> list[str]:
    """Labels, those that come again with a number behind them."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def rows(state: State, chosen: Tensor) -> State:
    """The images of a state where `chosen` [n] is true, or in the order of these positions."""
    return state[chosen] if isinstance(state, Tensor) else tuple(rows(part, chosen) for part in state)


def length(state: State) -> int:
    """How many images a state is of."""
    return len(state) if isinstance(state, Tensor) else length(state[0])


def tensors(state: State) -> Collection[Tensor]:
    """All tensors of a state."""
    return (state,) if isinstance(state, Tensor) else tuple(t for part in state for t in tensors(part))


def single(state: State | None, name: str) -> Tensor:
    """The one tensor that an answer or probe called `name` ends in; MethodError where it ends in several."""
    if not isinstance(state, Tensor):
        raise MethodError(f"'{name}' ends in a tuple of states: its last step has to give one tensor, [n, classes]")
    return state
