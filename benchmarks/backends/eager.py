"""Torch as it stands: the model follows its router, per-sample points included."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from methods.base import AdjustableModel
from methods.routers import OperatingPoint
from methods.running import Routed


def backend(
    model: AdjustableModel, point: OperatingPoint, dtype: torch.dtype, inputs: Tensor
) -> Callable[[Tensor], Routed]:
    """The model itself in float32, else a copy in `dtype`: weights and the statistics of every variant."""
    subject = model if dtype is torch.float32 else copy.deepcopy(model).to(dtype)

    def execute(images: Tensor) -> Routed:
        return subject.execute(images.to(dtype), point.router)

    return execute
