"""The interface of the suite: what the author of a method writes, and what the base class gives.

A method says which answers it can give (`answers`), how one unit of their work is executed (`step`)
and what it learns from (`loss`). Sharing, tracing, costs, batch-norm statistics, routing, execution
with compaction, saving and loading follow from the graph of the answers' work.
"""

import copy
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.backbones.base import Backbone, Kind, Step
from methods.batchnorm import (
    STATISTICS,
    Selector,
    batch_norms,
    convert,
    load_statistics,
    statistics_tensors,
    variant_norms,
)
from methods.cost import Costs, count_graph
from methods.counting import refuse_scripts
from methods.declarations import Group, ImageShape, Loss, MethodSettings, Network, Stage, loss_macs
from methods.errors import MethodError
from methods.graph import IMAGES, Answer, Graph, Node, Probe, Run, State, Work, chain, rows, single
from methods.metering import decides, units, where
from methods.pixels import scaling, standardised, unit
from methods.resizing import resized
from methods.routers import Constant, OperatingPoint, Router
from methods.running import Routed, execute
from methods.table import PathTable
from methods.thresholds import spread


class AdjustableModel(nn.Module, ABC):
    """A classifier that is trained once and whose inference cost is chosen afterwards.

    `backbone` is made adjustable; `settings` are fixed by training; `image_shape` (c, h, w) is what
    costs are counted on. Inputs are images [n, c, h, w].
    """

    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    label_smoothing: float = 0.0  # set by the recipe

    def __init__(self, backbone: Backbone, settings: MethodSettings, image_shape: ImageShape) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = settings
        self.image_shape = image_shape
        self.points: tuple[OperatingPoint, ...] = ()
        self.mean, self.std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        self._point: OperatingPoint | None = None
        self._selector = Selector()

    # What the author of a method writes -------------------------------------------------------

    @abstractmethod
    def answers(self) -> Sequence[Answer]:
        """Everything the model can say; the last is the model at full cost."""

    def probes(self) -> Sequence[Probe]:
        """Computations for routing only; most methods have none."""
        return []

    def step(self, step: Step, x: Any) -> Any:
        """Execute one unit of work: the only executable code of inference.

        `x` is what the work before gave, images [n, c, h, w] at first, or a tuple of states where paths join. Here the
        steps of the backbone, and `("resize", side)`. What depends on the image says for whom it runs: see `where`.
        """
        match step:
            case ("resize", side):
                return resized(x, int(side))
        return self.backbone.step(step, x)

    def kind(self, step: Step) -> Kind:
        """What a step is to those who attribute time; of steps that only change the size of maps say so.

        Here those of the backbone, and `("resize", side)`.
        """
        return "size" if step[0] == "resize" else self.backbone.kind(step)

    @abstractmethod
    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """What a batch is trained on, a scalar."""

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of logits [n, classes], with the recipe's label smoothing."""
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)

    def training_work(self) -> Sequence[Sequence[str]]:
        """The sets of answers that `loss` computes together, each set as likely as the others.

        Training MACs are counted from it.
        """
        return [self.graph.names]

    def stages(self) -> Sequence[Stage]:
        """The parts of the training, in order; the default is one with every parameter."""
        return [Stage("train", 1.0, self.loss, (Group(tuple(self.parameters())),))]

    def initial_weights(self) -> Mapping[str, Network | Path]:
        """Where parts of the model start from, by the name of the sub-module; all others start fresh.

        A network is trained once in a run, whoever asks for it.
        """
        return {}

    @property
    def instance_statistics(self) -> bool:
        """Whether every variant has batch-norm statistics of its own, or all use those of training."""
        return True

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """At most `count` settings to offer, from a calibration table; the default is static answers."""
        return self.static_points(table, range(len(table.answers)), count)

    def warnings(self, costs: Costs) -> Sequence[str]:
        """What a user should know about these costs, one line each."""
        return []

    def remarks(self, table: PathTable) -> Sequence[str]:
        """What a user should know about the trained model, from its calibration table, one line each."""
        return []

    # What the base class gives ----------------------------------------------------------------

    @cached_property
    def graph(self) -> Graph:
        """The graph of what answers and probes share."""
        return Graph(self.answers(), self.probes())

    def static_points(self, table: PathTable, answers: Sequence[int], count: int) -> list[OperatingPoint]:
        """One constant point per answer; if there are more than `count`, spread evenly over cost."""
        macs = table.macs[list(answers)].astype(float)
        keep = range(len(answers)) if len(answers) <= count else spread(macs, count)
        return [OperatingPoint(name=table.answers[answers[i]], router=Constant(answer=answers[i])) for i in keep]

    def run_node(self, node: Node, x: State) -> State:
        """Execute one node of the graph with the batch-norm statistics of its context."""
        self._selector.variant = node.owner
        try:
            y: State = self.step(node.step, x)
            return y
        finally:
            self._selector.variant = None

    def trace(self, images: Tensor, outputs: Iterable[str] | None = None, run: Run | None = None) -> dict[str, Tensor]:
        """What these answers [n, classes] and probes [n, m] say (all by default), each distinct node executed once.

        Differentiable; in training mode batch norms behave as in any training step. `run` executes a node, by default
        `run_node`.
        """
        graph = self.graph
        wanted = tuple(range(len(graph.outputs))) if outputs is None else tuple(graph.index(name) for name in outputs)
        said: dict[str, Tensor] = {}
        for node, y in graph.sweep(run or self.run_node, {IMAGES: images}, graph.plan(wanted)):
            if node.output is not None and node.output in wanted:
                name = graph.outputs[node.output].name
                said[name] = single(y, name)
        return said

    def execute(self, images: Tensor, router: Router) -> Routed:
        """Follow `router` on images [n, c, h, w]: what is not needed is not run.

        Samples that stop leave the batch; the remaining work runs on the compacted group.
        """
        return execute(self.graph, self.run_node, images, router, self.backbone.classes)

    def standardise(self, pixels: Tensor) -> Tensor:
        """Inputs [n, c, h, w] as in training, bit for bit, from pixels uint8 [n, c, h, w]."""
        return standardised(pixels.permute(0, 2, 3, 1), scaling(self.mean, self.std, pixels.device))

    def unit(self, inputs: Tensor) -> Tensor:
        """The images in 0..1 that standardised `inputs` [n, c, h, w] stand for."""
        return unit(inputs, self.mean, self.std)

    @property
    def point(self) -> str:
        """The name of the operating point that `forward` uses; the full model until one is chosen."""
        return self.graph.names[-1] if self._point is None else self._point.name

    @point.setter
    def point(self, name: str) -> None:
        known = {point.name: point for point in self.points}
        if name not in known:
            raise MethodError(f"unknown operating point '{name}'; known are {', '.join(known)}")
        self._point = known[name]

    def forward(self, images: Tensor) -> Routed:
        """Answer images [n, c, h, w] at the chosen operating point."""
        full = Constant(answer=len(self.graph.names) - 1)
        return self.execute(images, full if self._point is None else self._point.router)

    @torch.no_grad()
    def collect_statistics(self, batches: Iterable[Tensor]) -> None:
        """Measure the batch-norm statistics of every node in one shared sweep over image batches.

        Reset, then cumulative: what was there before is gone. Weights do not change and the model
        is left in evaluation mode. What measures nothing, as networks that keep their own statistics, is not run
        beyond two images. Raises MethodError if there are no batches.
        """
        self.eval()
        if not self.instance_statistics:
            return
        convert(self, self._selector)
        rest = iter(batches)
        first = next(rest, None)
        if first is None:
            raise MethodError("no images to collect batch-norm statistics from")
        self._selector.collecting = True
        try:
            measured = self._measured(first[:2])
            for norm in variant_norms(self).values():
                norm.start_collecting()
            for images in itertools.chain((first,), rest) if measured else ():
                self.trace(images, measured)
        finally:
            self._selector.collecting = False
        for norm in variant_norms(self).values():
            norm.finish_collecting()

    def _measured(self, images: Tensor) -> list[str]:
        """The answers and probes on whose way batch norms measure something, found by running all on a few images."""
        for norm in variant_norms(self).values():
            norm.start_collecting()
        self.trace(images)
        owners = {variant for norm in variant_norms(self).values() for variant in norm.collected}
        return [
            output.name
            for output, path in zip(self.graph.outputs, self.graph.paths, strict=True)
            if any(self.graph.nodes[node].owner in owners for node in path)
        ]

    @torch.no_grad()
    def costs(self) -> Costs:
        """MACs of every node, counted by executing it on one image of `image_shape`; which ones depend on the image.

        MethodError names operators that cannot be counted, parts that are TorchScript, and norms that cannot have
        statistics per variant.
        """
        refuse_scripts(self)
        if self.instance_statistics:
            batch_norms(self)  # refuses now what is refused after the training otherwise
        training = self.training
        image = torch.zeros(1, *self.image_shape, device=next(self.parameters()).device)
        self.eval()
        try:
            return count_graph(self.graph, self.run_node, image)
        finally:
            self.train(training)

    def training_macs(self, costs: Costs) -> float:
        """Mean MACs of training on one image once: three forward passes of what `loss` computes.

        The backward pass is taken as twice the forward pass, the usual convention. What `loss` computes follows from
        `training_work`; where the cost of work depends on the image, `loss` itself is executed and counted, on noise.
        """
        if costs.varying:
            return 3.0 * loss_macs(copy.deepcopy(self).train().stages(), self.image_shape, self.backbone.classes)
        sets = self.training_work()
        union = [costs.uses[[self.graph.index(a) for a in names]].any(axis=0) for names in sets]
        return 3.0 * float(sum(float(costs.macs[used].sum()) for used in union)) / len(sets)

    # Storage ----------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Everything that has to be stored: weights, buffers, and the statistics of every variant."""
        weights = {name: value.detach() for name, value in self.state_dict().items()}
        return weights | statistics_tensors(self)

    def load_tensors(self, stored: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave; MethodError if it belongs to another model or list of variants."""
        measured = {k: v for k, v in stored.items() if k.startswith(STATISTICS)}
        weights = {k: v for k, v in stored.items() if k not in measured}
        own = self.state_dict()
        check_fit(own, weights)
        own.update(weights)  # its dictionary knows the versions of its layers, by which quantised ones are read
        self.load_state_dict(own)
        if measured:
            convert(self, self._selector)
            load_statistics(self, measured, (*self.graph.names, *self.graph.probes))
            self.eval()


def check_fit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """MethodError, in one line, if `given` weights do not have the names and shapes `expected`."""
    missing, foreign = expected.keys() - given.keys(), given.keys() - expected.keys()
    if missing or foreign:
        example = min(missing or foreign)
        raise MethodError(
            f"the weights do not fit this model: {len(missing)} missing, {len(foreign)} foreign, "
            f"for example '{example}'"
        )
    for name, value in expected.items():
        if given[name].shape != value.shape:
            raise MethodError(
                f"the weights do not fit this model: '{name}' is {list(given[name].shape)}, "
                f"expected {list(value.shape)}"
            )


__all__ = [
    "AdjustableModel", "Answer", "Constant", "Costs", "Group", "ImageShape", "Kind", "Loss", "MethodSettings",
    "Network", "OperatingPoint", "PathTable", "Probe", "Routed", "Router", "Stage", "State", "Step", "Work", "chain",
    "check_fit", "decides", "rows", "units", "where",
]  # fmt: skip
