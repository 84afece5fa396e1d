"""Exact costs of methods on a backbone, counted by executing them on one image."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from benchmarks.baseline.committed import Figure, Figures, Subject
from benchmarks.config import MethodSpec
from benchmarks.core.progress import Progress
from methods.base import AdjustableModel
from methods.batchnorm import BatchNorm, batch_norms
from methods.errors import MethodError
from methods.registry import create, parse_settings, variant


class Counted(NamedTuple):
    """The figures of all methods, and why some methods cannot be had on this backbone."""

    figures: Figures
    refused: dict[str, str]


def counted(subject: Subject, methods: Sequence[MethodSpec]) -> Generator[Progress, None, Counted]:
    """Build and count one method after the other; weights are random, costs do not depend on them.

    MethodError for a method or setting that does not exist, or if there is not even the plain network.
    """
    figures: Figures = {}
    refused: dict[str, str] = {}
    for done, method in enumerate(methods):
        yield Progress(done, len(methods))
        settings = parse_settings(method.name, method.settings)
        label = method.name if variant(settings) == "default" else f"{method.name}:{variant(settings)}"
        try:
            model = create(method.name, settings, subject.backbone, subject.classes, subject.image_shape, seed=0)
            figures |= figures_of(model, label)
        except MethodError as error:
            if method.name == "plain":
                raise
            refused[label] = str(error)
    return Counted(figures, refused)


def figures_of(model: AdjustableModel, label: str) -> Figures:
    """What is exact about a model before it is trained; MACs that depend on the image are not."""
    with normalised(model) as statistics:
        costs = model.costs()
    names, answers = [output.name for output in model.graph.outputs], len(model.graph.names)
    quantities = ["answer_macs"] * answers + ["probe_macs"] * (len(names) - answers)
    return {
        Figure(label, "parameters"): sum(p.numel() for p in model.parameters()),
        Figure(label, "storage_bytes"): _bytes(model.tensors().values()) + sum(statistics.values()),
        Figure(label, "distinct_macs"): int(costs.macs.sum()),
    } | {
        Figure(label, quantity, name): int(macs)
        for place, (quantity, name, macs) in enumerate(zip(quantities, names, costs.outputs(), strict=True))
        if not costs.vary(place)
    }


@contextmanager
def normalised(model: AdjustableModel) -> Iterator[dict[tuple[nn.Module, str | None], int]]:
    """Bytes of the statistics that every batch norm will have for every variant it runs in, filled by running.

    Known without collecting any: a mean and a variance for each pair of a batch norm and a variant; none where all
    use those of training.
    """
    found: dict[tuple[nn.Module, str | None], int] = {}

    def ran(norm: BatchNorm, _: Any) -> None:
        found[norm, model._selector.variant] = _bytes([norm.running_mean, norm.running_var])

    norms = batch_norms(model) if model.instance_statistics else []
    hooks = [norm.register_forward_pre_hook(ran) for norm in norms]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _bytes(tensors: Iterable[Tensor | None]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)
