"""What an entry's method costs, counted again: rebuilt from its settings, untrained, on one image.

Nothing of the author's is run: a method is one of the suite's, and its networks have names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from benchmarks.baseline.counting import figures_of
from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.packing import unpack
from benchmarks.training.loop import epochs_per_stage
from benchmarks.training.recipes import Recipe
from methods.base import AdjustableModel, ImageShape, MethodSettings
from methods.cost import Costs
from methods.counting import count
from methods.errors import MethodError
from methods.registry import create, method_class, variant
from methods.routers import OperatingPoint
from methods.sizes import outline


@dataclass(frozen=True)
class Recounted:
    """What was counted; `train_macs` of one seed, with the networks it begins with."""

    costs: Costs
    outputs: tuple[str, ...]
    answers: int
    plain_macs: int
    parameters: int
    storage_bytes: int
    train_macs: float


def cost_problems(entry: Entry) -> list[str]:
    """What of an entry's costs is not what its method costs; empty where all is."""
    try:
        found = counted_again(entry)
    except _REFUSED as error:
        return [f"cannot be counted again: {_line(error)}"]
    stated, problems = entry.costs, []
    if (stated.outputs, stated.answers) != (found.outputs, found.answers):
        problems.append(f"has the outputs {', '.join(found.outputs)}, not {', '.join(stated.outputs)}")
    elif stated.work != found.costs.work or not _same_uses(entry, found):
        problems.append("its units of work, or which answer uses which, are not those of the method")
    else:
        pairs = zip(found.costs.work, stated.macs, found.costs.macs.tolist(), strict=True)
        problems += [
            f"'{name}' takes {counted:,} MACs, not {said:,}" for name, said, counted in pairs if said != counted
        ]
    for name in ("plain_macs", "parameters", "storage_bytes"):
        said, counted = getattr(stated, name), getattr(found, name)
        if said != counted:
            problems.append(f"{name} are {counted:,}, not {said:,}")
    return problems


def training_problems(entry: Entry) -> list[str]:
    """What of the stated training MACs is not what such a training takes."""
    try:
        found = counted_again(entry)
    except _REFUSED as error:
        return [f"cannot be counted again: {_line(error)}"]
    return [
        f"seed {seed.seed}: a training takes {found.train_macs:.4g} MACs, not {seed.train_macs}"
        for seed in entry.seeds
        if seed.train_macs is None or abs(seed.train_macs / found.train_macs - 1) > 1e-9
    ]


def router_problems(entry: Entry) -> list[str]:
    """Points whose router is none of the suite's, or asks for an output the method does not have."""
    problems = []
    for seed in entry.seeds:
        for point in seed.points:
            try:
                read = OperatingPoint.model_validate({"name": point.name, "router": point.router})
            except ValidationError as error:
                problems.append(f"seed {seed.seed}, {point.name}: {_line(error)}")
                continue
            if not set(read.router.outputs) <= set(range(len(entry.costs.outputs))):
                problems.append(f"seed {seed.seed}, {point.name}: asks for an output that is not there")
    return problems


_REFUSED = (MethodError, ValidationError, RuntimeError, ValueError, ArithmeticError)


def _line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def counted_again(entry: Entry) -> Recounted:
    """What an entry's method costs; MethodError where it takes files of the author's or is another variant."""
    data = entry.dataset
    settings, images = settings_of(entry), _images(entry)
    return _counted(entry.method, settings, entry.backbone, data.classes, data.image_shape, images)


def model_of(entry: Entry) -> AdjustableModel:
    """The entry's method, untrained; MethodError as `counted_again`."""
    data = entry.dataset
    return create(entry.method, settings_of(entry), entry.backbone, data.classes, data.image_shape, seed=0)


def settings_of(entry: Entry) -> MethodSettings:
    """An entry's settings; MethodError where they take files of the author's, which nobody runs, are another variant,
    or are those of a model that takes too much memory: nothing is built before this was asked."""
    settings = method_class(entry.method).Settings.model_validate(entry.settings)
    if settings.files():
        raise MethodError(f"it takes networks from {', '.join(Path(f).name for f in settings.files())}: name networks")
    if variant(settings) != entry.variant:
        raise MethodError(f"these settings are the variant {variant(settings)}, not {entry.variant}")
    _outline(entry.method, settings, entry.backbone, entry.dataset.classes, entry.dataset.image_shape)
    return settings


def weights_of(entry: Entry) -> Mapping[str, Tensor]:
    """The weights that an entry's models have, by name, on the meta device; MethodError as `settings_of`."""
    data = entry.dataset
    return _outline(entry.method, settings_of(entry), entry.backbone, data.classes, data.image_shape)


@cache
def _outline(
    method: str, settings: MethodSettings, backbone: str, classes: int, shape: ImageShape
) -> Mapping[str, Tensor]:
    return outline(method, settings, backbone, classes, shape)


def _images(entry: Entry) -> tuple[int, int, int]:
    """Epochs, and images and steps of each."""
    recipe = Recipe.model_validate(entry.training.recipe | {"title": "of the entry"})
    size = min(recipe.batch, entry.dataset.train_images)
    return recipe.epochs, size, entry.dataset.train_images // size


@cache
def _counted(
    method: str, settings: MethodSettings, backbone: str, classes: int, shape: ImageShape, images: tuple[int, int, int]
) -> Recounted:
    model = create(method, settings, backbone, classes, shape, seed=0)
    exact = {figure.quantity: value for figure, value in figures_of(model, method).items() if not figure.output}
    costs = model.costs()
    outputs = tuple(output.name for output in model.graph.outputs)
    plain = create("plain", method_class("plain").Settings(), backbone, classes, shape, seed=0)
    with torch.no_grad():
        plain_macs = count(lambda: plain.backbone.eval()(torch.zeros(1, *shape))).macs
    spent = _training_macs(model, classes, shape, images)
    answers = len(model.graph.names)
    return Recounted(costs, outputs, answers, plain_macs, exact["parameters"], exact["storage_bytes"], spent)


def _training_macs(model: AdjustableModel, classes: int, shape: ImageShape, images: tuple[int, int, int]) -> float:
    """MACs of a training, those of the networks it begins with included."""
    epochs, size, steps = images
    seen = sum(epochs_per_stage(epochs, [stage.share for stage in model.stages()])) * size * steps
    total = model.training_macs(model.costs()) * seen
    for start in model.initial_weights().values():
        if isinstance(start, Path):
            raise MethodError(f"it begins with weights from {start.name}, whose training nobody counted")
        settings = method_class("plain").Settings.model_validate({"size": start.size})
        total += _training_macs(create("plain", settings, start.backbone, classes, shape, 0), classes, shape, images)
    return total


def _same_uses(entry: Entry, found: Recounted) -> bool:
    stated: Any = unpack(entry.costs.uses) > 0
    return bool(stated.shape == found.costs.uses.shape and (stated == found.costs.uses).all())
