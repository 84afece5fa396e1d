"""SDPoint: stochastic downsampling points (Kuen et al., CVPR 2018, arXiv 1801.09335).

In training every mini-batch draws one point p, uniformly from "none" and all gaps between basic
blocks, and one ratio r; the feature maps are downsampled there and everything behind is cheaper. At
inference (p, r) is the user's choice. Nothing is added to the network: no parameters, no loss.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional as F

from methods.base import AdjustableModel, Answer, Kind, MethodSettings, OperatingPoint, PathTable, Step
from methods.errors import MethodError
from methods.policies import chained

FULL = "full"


class SDPoint(AdjustableModel):
    """One stochastic downsampling point per batch (section 3, Algorithm 1)."""

    class Settings(MethodSettings):
        """`ratios` r of a side that remain; `every`: points behind every k-th block only (the paper's
        ablation uses 2); `bn`: statistics per instance, or the uniform ones of training (UBN); `routing`: whether
        each image may also go from instance to instance by a learned policy (not in the paper)."""

        ratios: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field((0.5, 0.75), min_length=1)
        every: int = Field(1, ge=1)
        bn: Literal["instance", "uniform"] = "instance"
        routing: Literal["none", "learned"] = "none"

        @field_validator("ratios")
        @classmethod
        def _distinct(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
            if len(set(ratios)) != len(ratios):
                raise ValueError("ratios must differ from each other")
            return tuple(sorted(ratios))

        def for_training(self) -> Self:
            return self.model_copy(update={"bn": "instance", "routing": "none"})

    settings: Settings

    def answers(self) -> Sequence[Answer]:
        """Every (p, r), and last p = 0, the plain network, which is also the dearest."""
        instances = [self._instance(p, r) for p in self._points() for r in self.settings.ratios]
        return [*instances, Answer(FULL, self.backbone.work())]

    def _points(self) -> list[str | int]:
        """p >= 1 lies behind basic block p; networks with a pooling stem have one more in its place."""
        if self.backbone.tokens is not None:
            raise MethodError(f"sdpoint downsamples maps, and the states of {self.backbone.title} are tokens")
        every, blocks = self.settings.every, sum(self.backbone.stages)
        stem: list[str | int] = ["stem"] if self.backbone.stem_pool is not None else []
        points = [*stem, *range(1, blocks + 1)]
        if every > len(points):
            raise MethodError(f"every={every} leaves no downsampling point: this network has {len(points)}")
        return points[every - 1 :: every]

    def _instance(self, p: str | int, r: float) -> Answer:
        """The plain network's work with a downsampling behind block p.

        For post-activation blocks it lies after the addition and before the last ReLU; at the stem
        it takes the place of the max pooling.
        """
        work = list(self.backbone.work())
        if p == "stem":
            work[work.index(("stem_pool",))] = ("stem_pool", r)
            return Answer(f"stem_r{r}", tuple(work))
        work.insert(work.index(("body", p)) + 1, ("pool", p, r))
        return Answer(f"p{p}_r{r}", tuple(work))

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("pool", _, r):
                return F.adaptive_avg_pool2d(x, smaller(x, float(r)))
            case ("stem_pool", r):
                full = self.backbone.step(("stem_pool",), x[:1, :1])
                return F.adaptive_max_pool2d(x, smaller(full, float(r)))
        return super().step(step, x)

    def kind(self, step: Step) -> Kind:
        return "size" if step[0] in ("pool", "stem_pool") else super().kind(step)

    def training_work(self) -> Sequence[Sequence[str]]:
        """p ~ U{0..N} and r ~ U: "none" is as likely as any point, whatever the number of ratios."""
        none = [FULL] * len(self.settings.ratios)
        return [[name] for name in (*self.graph.names[:-1], *none)]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        work = self.training_work()
        draw = int(torch.randint(len(work), (), generator=generator))
        (logits,) = self.trace(images, work[draw]).values()
        return self.cross_entropy(logits, labels)

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """Every instance for all images alike, and with `routing=learned` a cascade of the best of them."""
        return chained(super().operating_points, table, count, self.settings.routing == "learned")

    @property
    def instance_statistics(self) -> bool:
        return self.settings.bn == "instance"


def smaller(x: Tensor, r: float) -> tuple[int, int]:
    """The size (h, w) of maps [n, c, h, w] downsampled by r: `round(size * r)` per side,
    halves to even.

    MethodError if nothing would be left.
    """
    height, width = (round(size * r) for size in x.shape[-2:])
    if min(height, width) < 1:
        raise MethodError(
            f"the image is too small: a {x.shape[-2]}x{x.shape[-1]} map cannot be downsampled by {r:g}; "
            "use larger images or ratios"
        )
    return height, width
