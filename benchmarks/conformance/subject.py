"""What is checked: a method that was trained and measured for a moment by the jobs of a real run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.config import RunConfig
from benchmarks.conformance.generators import seeded
from benchmarks.conformance.larger import SIDE, Larger, larger
from benchmarks.conformance.listening import overheard
from benchmarks.core.progress import drive
from benchmarks.evaluation.execution import NEAR
from benchmarks.evaluation.second_opinion import Opinion, opinions
from benchmarks.jobs import MethodJobs, loaded
from benchmarks.outcome import Result
from benchmarks.plan import Plan, prepare
from benchmarks.store import Record, Store, Work, key_of
from benchmarks.trainings import Trainings
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.registry import method_class
from methods.routers import OperatingPoint
from methods.routing import closest
from methods.running import Routed
from methods.table import PathTable

BATCH = 64
"""Images of a batch where a check needs one batch."""


@dataclass(frozen=True)
class Finding:
    """Whether a rule was kept (None: it does not apply), and what shows it."""

    held: bool | None
    evidence: str


@dataclass(frozen=True)
class World:
    """One training and measurement in a folder of its own; `moved`: global random generators that it drew from."""

    plan: Plan
    result: Result
    moved: tuple[str, ...]


def world(config: RunConfig, folder: Path, seed: int = 0) -> World:
    """Train and measure the last method of `config`, with the global random generators at `seed`."""
    with seeded(seed) as moved:
        plan = prepare(config.model_copy(update={"output": folder}), asks=False)
        Store(folder).prepare()
        candidate = plan.candidates[-1]
        result = MethodJobs(Trainings(plan, unrecorded), candidate, plan.config.seeds[0], candidate.label).run()
    return World(plan, result, tuple(moved))


def unrecorded(
    description: str, kind: str, name: str, inputs: dict[str, Any], work: Work, files: list[Path]
) -> Record:  # fmt: skip
    """Do a job of a run and keep no record of it; execution is left out, it has checks of its own here."""
    result = {"agreements": [], "opinions": []} if kind == "execution" else drive(work())
    return Record(kind=kind, name=name, key=key_of(inputs), inputs=inputs, seconds=0.0, result=result)


class Subject:
    """A method under examination. `file`: the plugin it came from; `folder`: for whatever is written.

    `heard`: what its answering did beyond computing, in training and measuring.
    """

    def __init__(self, config: RunConfig, file: Path | None, folder: Path) -> None:
        self.config = config
        self.file = file
        self.folder = folder
        with overheard(method_class(config.specs()[-1].name)) as self.heard:
            self.world = world(config, folder / "first")

    @property
    def points(self) -> tuple[OperatingPoint, ...]:
        """The operating points that the run chose."""
        return self.world.result.points

    @property
    def table(self) -> PathTable:
        """What every answer says on the test images."""
        return self.world.result.tables.test

    @cached_property
    def images(self) -> Tensor:
        """All test images as inputs [n, 3, h, w]."""
        test = self.world.plan.test_images
        return test.inputs(test.take(np.arange(len(self.table.labels))))

    @cached_property
    def opinions(self) -> list[Opinion]:
        """What every point takes on an image of each of its trails, counted twice."""
        return opinions(self.model(), self.points, self.table, self.world.plan.test_images)

    @cached_property
    def larger(self) -> Larger | MethodError:
        """The method on larger images, or why it refuses them."""
        try:
            return larger(self.world.plan, self.world.result)
        except MethodError as error:
            return error

    @property
    def extent(self) -> str:
        """What was looked at where both sizes of images are: points, and trails on larger images."""
        large, points = self.larger, counted(len(self.points), "point")
        if isinstance(large, MethodError):
            return f"{points}; {SIDE} x {SIDE} pixels refused: {large}"
        return f"{points}, on {SIDE} x {SIDE} pixels {counted(len(large.points), 'trail')}"

    def model(self) -> AdjustableModel:
        """The stored model, read anew: no check inherits what another did to it."""
        result = self.world.result
        return loaded(self.world.plan, result.candidate, result.seed, result.model)

    def clear(self, point: OperatingPoint, count: int = BATCH) -> NDArray[np.int64]:
        """Up to `count` test images that no rounding can send another way at `point`, as positions."""
        return np.flatnonzero(closest(self.table, point.router) > NEAR)[:count]


Check = Callable[[Subject], Finding]
"""One rule: looks at a subject, leaves it as it was."""


@torch.no_grad()
def answered(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> Routed:
    """What a user gets at a point: through `point` and `forward`."""
    model.point = point.name
    return model(images)  # type: ignore[no-any-return]


def same(one: Routed, other: Routed) -> bool:
    """Bit for bit the same logits and answers."""
    return torch.equal(one.logits, other.logits) and torch.equal(one.answer, other.answer)


def counted(number: int, what: str) -> str:
    """`1 point`, `7 points`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def named(points: Sequence[str], limit: int = 2) -> str:
    """The first names, and how many more there are."""
    more = len(points) - limit
    return ", ".join(points[:limit]) + (f" and {more} more" if more > 0 else "")
