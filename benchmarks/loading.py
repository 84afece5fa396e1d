"""A finished run's models, each at one operating point, as modules that are ready to use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import stored
from benchmarks.core.errors import UsageError
from benchmarks.core.trust import Trust
from benchmarks.models import add_methods, built
from benchmarks.stored import StoredRun, Trained
from methods.base import AdjustableModel
from methods.registry import nearest


class Listed(NamedTuple):
    """One operating point of one trained model, with its test figures: mean MACs per image, accuracy in [0, 1]."""

    name: str
    seed: int
    decision: str
    macs: float
    accuracy: float


class Ready(nn.Module):
    """A trained network at one operating point, in evaluation mode: pixels in, logits out.

    `network` is the model itself, at that point: with standardised inputs it also says which answer each image
    was given. `classes`: their names, in the order of the logits.
    """

    def __init__(self, network: AdjustableModel, name: str, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.classes = classes
        self.eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits float32 [n, classes] of images uint8 [n, c, h, w], of the size that the run had, RGB.

        Images lie where the model does. UsageError for anything else, such as images already scaled to 0..1.
        """
        shape = self.network.image_shape
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != tuple(shape):
            wanted, given = ", ".join(map(str, shape)), f"{str(images.dtype).removeprefix('torch.')}"
            raise UsageError(f"images are uint8 [n, {wanted}], not {given} {list(images.shape)}")
        inputs = self.network.standardise(images).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(inputs).logits
        return logits


@dataclass(frozen=True)
class Run:
    """A finished run to take models from; `files`: Python files of the user's that its models may execute."""

    stored: StoredRun
    files: tuple[Path, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Its series, as a user writes them: `plain`, `sdpoint`, `sdpoint:bn=uniform`."""
        return tuple(dict.fromkeys(model.label for model in self.stored.models))

    @property
    def points(self) -> tuple[Listed, ...]:
        """Every operating point of every model, by the name that `at` takes."""
        return tuple(
            Listed(f"{model.label}/{point.name}", model.seed, model.decisions[point.name], *model.said[point.name])
            for model in self.stored.models
            for point in model.points
        )

    def at(self, point: str, seed: int | None = None, trust: bool = False) -> Ready:
        """The model at `point`, written `SERIES/POINT`, or the point alone where one series has it.

        `seed`: the lowest that has the point by default. UsageError, one line, for a point there is not, or a file
        that is not the measured one. A model that takes networks from Python files of the user's runs those files:
        only if the run was opened with their names, or `trust` is given.
        """
        model, name = self._found(point, seed)
        network: Any = built(self.stored, model, Trust.of(self.files, trust))
        network.point = name
        classes = tuple(str(each) for each in self.stored.record["data"]["classes"])
        return Ready(network.to(memory_format=torch.channels_last), f"{model.label}/{name}", classes)

    def _found(self, wanted: str, seed: int | None) -> tuple[Trained, str]:
        models = [m for m in self.stored.models if seed is None or m.seed == seed]
        if not models:
            known = ", ".join(map(str, self.stored.seeds))
            raise UsageError(f"{self.stored.folder} has no seed {seed}; it has {known}")
        every = [(model, point.name) for model in models for point in model.points]
        named = [(m, p) for m, p in every if f"{m.label}/{p}" == wanted] or [(m, p) for m, p in every if p == wanted]
        series = list(dict.fromkeys(model.label for model, _ in named))
        if len(series) > 1:
            raise UsageError(f"several series have a point '{wanted}': write {_either(series, wanted)}")
        if not named:
            near = nearest(wanted, dict.fromkeys(f"{m.label}/{p}" for m, p in every))
            raise UsageError(f"{self.stored.folder} has no point '{wanted}'; {near}")
        return min(named, key=lambda found: found[0].seed)


def opened(folder: Path, files: Sequence[Path] = ()) -> Run:
    """The run in `folder`, the methods in `files` made known; its models may execute these files."""
    run = stored.read(folder)
    add_methods(files, [run])
    return Run(run, tuple(files))


def _either(series: Sequence[str], point: str) -> str:
    return " or ".join(f"'{one}/{point}'" for one in series)
