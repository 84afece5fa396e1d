"""The method on larger images than those it was trained on: what is honest on 8 x 8 pixels may not be elsewhere."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.evaluation.second_opinion import Opinion, opinion
from benchmarks.outcome import Result
from benchmarks.plan import Plan
from methods.base import AdjustableModel
from methods.cost import Metered
from methods.registry import create
from methods.routers import Constant, OperatingPoint, Router, Threshold
from methods.thresholds import spread

SIDE, IMAGES = 32, 32
TRAILS = 4
"""So many trails, spread over cost, are followed on larger images."""


@dataclass(frozen=True)
class Larger:
    """A fresh model for images of SIDE x SIDE pixels, trails of it as `points`, the MACs that the first of `images`
    is said to take along each."""

    model: AdjustableModel
    points: tuple[OperatingPoint, ...]
    claims: tuple[int, ...]
    images: Tensor

    @cached_property
    def opinions(self) -> list[Opinion]:
        """What every trail takes on one image, counted twice."""
        return [opinion(self.model, point, self.images[:1]) for point in self.points]


def larger(plan: Plan, result: Result) -> Larger:
    """Build the method for larger images, with weights that do not matter; MethodError if it refuses them."""
    candidate, shape = result.candidate, (3, SIDE, SIDE)
    model = create(candidate.name, candidate.settings, candidate.backbone, len(plan.data.classes), shape, result.seed)
    model.mean, model.std = plan.data.mean, plan.data.std
    costs = model.eval().to(memory_format=torch.channels_last).costs()
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    metered = Metered(model.run_node, costs)
    with torch.no_grad():
        model.trace(images[:1], run=metered)
    trails = list(dict.fromkeys(trail for point in result.points for trail in point.router.shortest))
    claims = costs.along(trails, metered.spent)[:, 0]
    places, names = spread(claims.astype(float), TRAILS), [output.name for output in model.graph.outputs]
    model.points = tuple(
        OperatingPoint(name=" - ".join(names[at] for at in trails[place]), router=along(trails[place]))
        for place in places
    )
    return Larger(model, model.points, tuple(claims[places].tolist()), images)


def along(trail: tuple[int, ...]) -> Router:
    """The router that sends everybody along one trail: a cascade of exits that never fire."""
    if len(trail) == 1:
        return Constant(answer=trail[0])
    return Threshold(signal="entropy", cascade=trail, thresholds=(None,) * (len(trail) - 1))
