"""Methods that are wrong, each in one way: a plugin that the tests of the checks give to them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

import benchmarks.data
from methods.base import AdjustableModel, Answer, Constant, Costs, MethodSettings, OperatingPoint, PathTable, Step
from methods.earlyexit import EarlyExit
from methods.errors import MethodError
from methods.plain import Plain
from methods.routers import Router, Threshold
from methods.running import Routed
from methods.table import signal


class _Plain(Plain):
    """A sound method, for one fault each."""

    title = "Faulty"
    axis = "none"
    decision = "static"
    citation = "nobody"


class _Exits(EarlyExit):
    title = "Faulty"
    axis = "depth"
    decision = "per-sample"
    citation = "nobody"


class Sound(_Plain):
    """No fault: what the others are compared with. It has a setting of its own, as an honest plugin may."""

    class Settings(Plain.Settings):
        """`temperature`: what logits are divided by."""

        temperature: Annotated[float, Field(gt=0)] = 1.0

    settings: Settings

    def step(self, step: Step, x: Tensor) -> Tensor:
        y = super().step(step, x)
        return y / self.settings.temperature if step == ("head",) else y


class Masks(_Exits):
    """Runs every exit on every image and picks."""

    def execute(self, images: Tensor, router: Router) -> Routed:
        said = [said for _, said in sorted(self.trace(images).items())]
        if isinstance(router, Constant):
            return Routed(said[router.answer], torch.full((len(images),), router.answer))
        assert isinstance(router, Threshold)
        *early, last = router.cascade
        logits, answer = said[last], torch.full((len(images),), last)
        for k, threshold in reversed(list(zip(early, router.thresholds, strict=True))):
            sure = signal(router.signal, said[k]) < (0.0 if threshold is None else threshold)
            logits, answer = torch.where(sure[:, None], said[k], logits), torch.where(sure, k, answer)
        return Routed(logits, answer)


class MasksInBatches(Masks):
    """Skips for a single image, masks for more."""

    def execute(self, images: Tensor, router: Router) -> Routed:
        return EarlyExit.execute(self, images, router) if len(images) == 1 else super().execute(images, router)


class IgnoresItsPoint(_Exits):
    """Calling it gives the last exit, whatever point was chosen."""

    def forward(self, images: Tensor) -> Routed:
        return self.execute(images, Constant(answer=len(self.graph.names) - 1))


class HidesAHead(_Exits):
    """Claims that its exits cost nothing."""

    def costs(self) -> Costs:
        costs = super().costs()
        heads = np.array([node.step[0] == "exit" for node in self.graph.nodes])
        return replace(costs, macs=np.where(heads, 0, costs.macs))


class AddsToFull(_Plain):
    """Calls a dearer network `full`."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.more = nn.Conv2d(3, 3, 1)

    def answers(self) -> Sequence[Answer]:
        return [Answer("full", (("more",), *self.backbone.work()))]

    def step(self, step: Step, x: Tensor) -> Tensor:
        return self.more(x) if step == ("more",) else super().step(step, x)


class LearnsFromTheTest(_Plain):
    """Trains on test images and labels."""

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        test = benchmarks.data.load("digits").test
        pixels = torch.from_numpy(test.images[:8])
        said = self.trace(self.standardise(pixels))["full"]
        return super().loss(images, labels, generator) + self.cross_entropy(said, torch.from_numpy(test.labels[:8]))


class ChoosesOnTheTest(_Exits):
    """Takes its threshold from test images."""

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        with torch.no_grad():
            said = self.trace(self.standardise(torch.from_numpy(benchmarks.data.load("digits").test.images)))
        threshold = float(signal("entropy", said["exit1"]).median())
        cascade = tuple(range(len(table.answers)))
        router = Threshold(signal="entropy", cascade=cascade, thresholds=(threshold,) * (len(cascade) - 1))
        return [OperatingPoint(name="tuned", router=router)]


class Counts(_Plain):
    """Answers otherwise the more it was asked."""

    calls = 0

    def step(self, step: Step, x: Tensor) -> Tensor:
        self.calls += step == ("head",) and not self.training
        return super().step(step, x) + (1e-6 * self.calls if step == ("head",) else 0)


class KeepsAdapting(_Plain):
    """Its first batch norm goes on measuring at inference."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        if step == ("stem",) and not self.training:
            self.backbone.get_submodule("stem.1").running_mean.add_(x.mean())  # type: ignore[union-attr, operator]
        return super().step(step, x)


class WorksInPlace(_Exits):
    """Activates, at inference, the maps that the rest of the trunk goes on with."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        return super().step(step, x.relu_() if step == ("exit", 1) and not self.training else x)


class Remembers(_Plain):
    """Keeps the answers it gave."""

    def execute(self, images: Tensor, router: Router) -> Routed:
        memory = self.__dict__.setdefault("memory", {})
        key = images.numpy().tobytes()
        if key not in memory:
            memory[key] = super().execute(images, router)
        return memory[key]  # type: ignore[no-any-return]


class FromTheThirdVisit(_Plain):
    """Remembers images, whatever point and batch they came in, and answers from memory at their third visit."""

    served = 0

    def execute(self, images: Tensor, router: Router) -> Routed:
        memory: dict[bytes, list[Any]] = self.__dict__.setdefault("memory", {})
        known = [memory.setdefault(image.numpy().tobytes(), [0, None]) for image in images]
        if known and all(visits >= 2 for visits, _ in known):
            self.served += 1
            return Routed(torch.stack([said for _, said in known]), torch.zeros(len(images), dtype=torch.int64))
        routed = super().execute(images, router)
        for entry, said in zip(known, routed.logits, strict=True):
            entry[:] = [entry[0] + 1, said]
        return routed


class LooksAtTheBatch(_Plain):
    """Normalises by the batch at inference."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        y = super().step(step, x)
        return y - y.mean(0) if step == ("head",) else y


class LooksBack(_Plain):
    """Tells an image by those before it in the batch."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        y = super().step(step, x)
        return y.cumsum(0) if step == ("head",) and not self.training else y


class AddsNoise(_Exits):
    """Draws noise at inference, as DRNet's published code does."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        y = super().step(step, x)
        return y + 0.01 * torch.randn_like(y) if step[0] == "exit" and not self.training else y


class DrawsGlobally(_Plain):
    """Its training draws from Python's global generator."""

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return super().loss(images, labels, generator) * random.uniform(0.5, 1)


class Forgets(_Plain):
    """Learns something that is not stored."""

    steps = 0

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        self.steps += 1
        return super().loss(images, labels, generator)

    def step(self, step: Step, x: Tensor) -> Tensor:
        return super().step(step, x) * (1 + self.steps if step == ("head",) and not self.training else 1)


class NotANumber(_Exits):
    """Its threshold is not a number."""

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        never = Threshold(signal="entropy", cascade=(0, 1), thresholds=(float("nan"),))
        return [OperatingPoint(name="never", router=never)]


class OneSize(_Plain):
    """Crashes on images of another size."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        return super().step(step, x.view(len(x), 3, 8, 8) if step == ("stem",) else x)


class RefusesOtherSizes(_Plain):
    """Says in one line that it wants one size: not a fault."""

    def step(self, step: Step, x: Tensor) -> Tensor:
        if step == ("stem",) and x.shape[-2:] != (8, 8):
            raise MethodError("give it images of 8 x 8 pixels")
        return super().step(step, x)


class NeverTrained(_Plain):
    """Has parameters that nothing reaches."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.idle = nn.Linear(2, 2)


class Breaks(AdjustableModel):
    """Cannot be trained."""

    title, axis, decision, citation = "Faulty", "none", "static", "nobody"

    class Settings(MethodSettings):
        """`size`: a setting."""

        size: int = 1

    def answers(self) -> Sequence[Answer]:
        return [Answer("full", self.backbone.work())]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        table: Mapping[str, Tensor] = {}
        return table["loss"]
