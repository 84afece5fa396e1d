"""torch.compile of static points.

Per-sample points are left to eager: who goes on is decided in Python between pieces of work, on groups whose size
differs from batch to batch; and compiled piece by piece, resnet20 with exits is slower than eager even at batch 1.
"""

from collections.abc import Callable
from types import FunctionType

import torch
from torch import Tensor

from benchmarks.backends.frozen import Path, freeze
from methods.base import AdjustableModel
from methods.routers import OperatingPoint
from methods.running import Routed


def backend(
    model: AdjustableModel, point: OperatingPoint, dtype: torch.dtype, inputs: Tensor
) -> Callable[[Tensor], Routed]:
    """A static point compiled whole, for tensors laid out as `inputs` [n, c, h, w] only; takes 1 to 20 seconds.

    Weights are frozen into it and packed: resnet20 at batch 1 then takes a quarter to a third less time.
    """
    from torch._inductor import config

    path = freeze(model, point, dtype, inputs)
    call = torch.compile(_own_code(path), fullgraph=True, dynamic=False)
    with config.patch(freezing=True), torch.inference_mode():  # given as an option it would come too late
        call(inputs)
    answer = torch.full((len(inputs),), path.answer, device=inputs.device)
    layout = _layout(inputs)

    def execute(images: Tensor) -> Routed:
        if _layout(images) != layout:  # else it would be compiled again in silence, in the middle of a measurement
            raise ValueError(f"prepared for tensors of (shape, strides, inference) {layout}, got {_layout(images)}")
        return Routed(call(images), answer)

    return execute


def _layout(images: Tensor) -> tuple[torch.Size, tuple[int, ...], bool]:
    return images.shape, images.stride(), images.is_inference()


def _own_code(path: Path) -> Callable[[Tensor], Tensor]:
    """The path's forward as a function of its own: torch.compile keeps only eight results for one piece of code."""
    forward = Path.forward
    own = FunctionType(forward.__code__.replace(), forward.__globals__)
    return own.__get__(path)
