"""Models whose batch norms all differ: random parameters, and random statistics for every variant."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from methods.base import AdjustableModel
from methods.batchnorm import variant_norms
from methods.registry import create, parse_settings
from methods.routers import Constant, OperatingPoint, Threshold

SIDE = 16


def measured(
    method: str = "plain", settings: Mapping[str, str] | None = None, backbone: str = "resnet8:width=4"
) -> AdjustableModel:
    """A model for 16x16 images, its statistics nobody else's."""
    model = create(method, parse_settings(method, settings or {}), backbone, 10, (3, SIDE, SIDE), seed=0)
    model.collect_statistics([images(8, seed=9)])
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values, low in ((module.weight, 0.5), (module.bias, -0.3), (module.running_var, 0.5)):
                    assert values is not None
                    values.copy_(low + torch.rand(values.shape, generator=draws))
                assert module.running_mean is not None
                module.running_mean.copy_(0.3 * torch.randn(module.running_mean.shape, generator=draws))
    for norm in variant_norms(model).values():
        for mean, var in norm.statistics.values():
            mean.copy_(0.3 * torch.randn(mean.shape, generator=draws))
            var.copy_(0.5 + torch.rand(var.shape, generator=draws))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def images(count: int, seed: int = 0) -> Tensor:
    """Standardised images [count, 3, 16, 16], channels last as the harness gives them."""
    drawn = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return drawn.contiguous(memory_format=torch.channels_last)


def static(model: AdjustableModel, answer: int = -1) -> OperatingPoint:
    """Everybody gets this answer; the last by default."""
    place = answer % len(model.graph.names)
    return OperatingPoint(name=model.graph.names[place], router=Constant(answer=place))


def cascade(model: AdjustableModel, threshold: float) -> OperatingPoint:
    """All answers in turn, until one is as sure as `threshold`."""
    answers = tuple(range(len(model.graph.names)))
    router = Threshold(cascade=answers, signal="max_prob", thresholds=(threshold,) * (len(answers) - 1))
    return OperatingPoint(name="cascade", router=router)
