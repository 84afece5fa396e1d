"""Small models, images and path tables that the tests of `methods` share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from methods.base import AdjustableModel, Answer, Step
from methods.cost import Costs, Metered
from methods.earlyexit import EarlyExit
from methods.graph import IMAGES, State, single
from methods.registry import create, parse_settings
from methods.routers import Router
from methods.sdpoint import SDPoint
from methods.table import PathTable, columns

CIFAR = (3, 32, 32)


def make(
    method: str,
    backbone: str = "resnet8:width=4",
    shape: tuple[int, int, int] = CIFAR,
    classes: int = 10,
    seed: int = 0,
    **given: Any,
) -> Any:
    """A fresh model in evaluation mode."""
    return create(method, parse_settings(method, given), backbone, classes, shape, seed).eval()


def sdpoint(backbone: str = "resnet8:width=4", **given: str) -> SDPoint:
    """A fresh SDPoint model."""
    return cast(SDPoint, make("sdpoint", backbone, **given))


def earlyexit(backbone: str = "resnet8:width=4", **given: str) -> EarlyExit:
    """A fresh early-exit model."""
    return cast(EarlyExit, make("earlyexit", backbone, **given))


def images(n: int, height: int = 32, width: int | None = None, seed: int = 0) -> Tensor:
    """Random images [n, 3, height, width] whose contrast varies, so that confidences do too."""
    generator = torch.Generator().manual_seed(seed)
    contrast = torch.linspace(0.05, 3, n).view(-1, 1, 1, 1)
    return contrast * torch.randn(n, 3, height, width or height, generator=generator)


def lively(model: nn.Module, seed: int = 0) -> None:
    """Give every batch norm parameters and running statistics that are nobody else's, and sharpen classifiers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values, low in ((module.weight, 0.5), (module.running_var, 0.5), (module.bias, -0.3)):
                    assert values is not None
                    values.copy_(low + torch.rand(values.shape, generator=generator))
                assert module.running_mean is not None
                module.running_mean.copy_(0.3 * torch.randn(module.running_mean.shape, generator=generator))
            elif isinstance(module, nn.Linear):
                module.weight.mul_(4)


def ran(model: AdjustableModel, router: Router, x: Tensor) -> dict[str, list[int]]:
    """Batch sizes with which every convolution ran while `router` was executed on images x, by module name."""
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    sizes: dict[str, list[int]] = {name: [] for name in convolutions}
    hooks = [
        module.register_forward_hook(lambda _m, _i, y, name=name: sizes[name].append(len(y)))
        for name, module in convolutions.items()
    ]
    with torch.no_grad():
        model.execute(x, router)
    for hook in hooks:
        hook.remove()
    return sizes


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two snapshots are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@torch.no_grad()
def alone(model: AdjustableModel, answer: str, x: Tensor) -> Tensor:
    """The logits of one answer by running its steps one after the other, nothing shared."""
    graph = model.graph
    states: dict[int, State] = {IMAGES: x}
    for node in (graph.nodes[index] for index in graph.paths[graph.index(answer)]):
        states[node.index] = model.run_node(node, node.take(states))
    return single(states[graph.ends[graph.index(answer)]], answer)


@torch.no_grad()
def table_of(model: AdjustableModel, x: Tensor, batch: int) -> PathTable:
    """The path table of `model` on images x [n, c, h, w], collected in batches of `batch`."""
    n, names = len(x), model.graph.names
    labels = torch.arange(n) % model.backbone.classes
    parts: list[dict[str, NDArray[Any]]] = []
    metered = Metered(model.run_node, costs := model.costs())
    said: dict[str, list[NDArray[Any]]] = {name: [] for name in model.graph.probes}
    for rows in torch.arange(n).split(batch):
        logits = model.trace(x[rows], run=metered)
        found = [columns(logits[name], labels[rows]) for name in names]
        for name, outputs in said.items():
            outputs.append(logits[name].numpy())
        parts.append({key: np.stack([f[key] for f in found]) for key in found[0]})
    values: dict[str, Any] = {key: np.concatenate([p[key] for p in parts], axis=1) for key in parts[0]}
    probes = {name: np.concatenate(outputs) for name, outputs in said.items()}
    return PathTable(
        names, costs, labels=labels.numpy(), sample_id=np.arange(n), probes=probes, spent=metered.spent,
        distance=metered.distance, **values,
    )  # fmt: skip


def cascade_costs(trunk: Sequence[int], heads: Sequence[int]) -> Costs:
    """Costs of exits: answer k executes trunk parts 0..k and head k."""
    k = len(trunk)
    uses = np.hstack([np.tril(np.ones((k, k), dtype=bool)), np.eye(k, dtype=bool)])
    work = tuple(f"trunk {i}" for i in range(k)) + tuple(f"head {i}" for i in range(k))
    return Costs(work, np.array([*trunk, *heads], dtype=np.int64), uses)


def synthetic(costs: Costs, signals: NDArray[np.float32], correct: NDArray[np.bool_]) -> PathTable:
    """A table of early exits where all three signals have the same values [a, n]."""
    answers, n = signals.shape
    labels = np.zeros(n, dtype=np.int64)
    prediction = np.where(correct, 0, 1).astype(np.int64)
    return PathTable(
        tuple(f"exit{i + 1}" for i in range(answers)),
        costs,
        prediction=prediction,
        label_rank=prediction,
        max_prob=signals,
        margin=signals,
        entropy=signals,
        loss=signals,
        labels=labels,
        sample_id=np.arange(n),
    )


@st.composite
def tables(draw: st.DrawFn, most: int = 30) -> PathTable:
    """Random tables of 2 to 4 exits; confidences lie on a coarse grid, so that ties are common."""
    answers, n = draw(st.integers(2, 4)), draw(st.integers(1, most))
    grid = st.lists(st.integers(0, 8), min_size=answers * n, max_size=answers * n)
    signals = np.array(draw(grid), dtype=np.float32).reshape(answers, n) / np.float32(8)
    bits = draw(st.lists(st.booleans(), min_size=answers * n, max_size=answers * n))
    macs = st.lists(st.integers(1, 1000), min_size=answers, max_size=answers)
    costs = cascade_costs(draw(macs), draw(macs))
    return synthetic(costs, signals, np.array(bits).reshape(answers, n))


@st.composite
def varying_tables(draw: st.DrawFn, most: int = 12) -> PathTable:
    """The same where some of the work costs every image another number of MACs, at least one piece of it."""
    table = draw(tables(most))
    costs, n = table.costs, len(table.labels)
    places = draw(st.sets(st.integers(0, len(costs.work) - 1), min_size=1))
    macs = np.where(np.isin(np.arange(len(costs.work)), list(places)), 0, costs.macs)
    spent = draw(st.lists(st.integers(0, 500), min_size=n * len(places), max_size=n * len(places)))
    return replace(
        table, costs=replace(costs, macs=macs, varying=tuple(sorted(places))),
        spent=np.array(spent, dtype=np.int64).reshape(len(places), n),
        distance=np.full((len(places), n), np.inf, dtype=np.float32),
    )  # fmt: skip


class Sum(AdjustableModel):
    """A method whose answers are sequences of named additions: nothing but the tree."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(cast(Any, _Nothing()), self.Settings(), (1, 1, 1))
        self._answers = tuple(answers)
        self.ran: list[tuple[Step, int]] = []

    def answers(self) -> Sequence[Answer]:
        return self._answers

    def step(self, step: Step, x: Tensor) -> Tensor:
        self.ran.append((step, len(x)))
        return x + float(step[0])

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return self.trace(images)[self.graph.names[-1]].mean()


class _Nothing(nn.Module):
    """Stands where a backbone would."""

    classes = 2


def sums(*works: Sequence[float]) -> Sum:
    """A `Sum` with answers a0, a1, ... of these works; images and logits are [n, 2]."""
    return Sum([Answer(f"a{i}", tuple((w,) for w in work)) for i, work in enumerate(works)])
