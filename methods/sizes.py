"""What a model would take in memory, known before it is built: from its description alone, on torch's meta device."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from methods.base import ImageShape, MethodSettings
from methods.errors import MethodError
from methods.registry import create

MOST = 2**27
"""Numbers in one tensor, 512 MB of float32: ten times the largest of ResNet-50's maps at 1024 x 1024 pixels."""
WEIGHTS = 2**29
"""Numbers in all weights of a model: a family of plain networks around Wide ResNet-101-2 has 450 million."""
TENSORS = 2**14
"""Tensors that weights are made of: that family has 2,000. Making each takes a moment."""
VALUES = 64
"""Values that the settings of a model have, those in lists counted one by one: a ratio or a network more is as many
answers more."""
USUAL_SIDE, USUAL_WEIGHTS = 256, 2**26
"""Up to these the maps between layers are small beside MOST, and need no look of their own, which takes seconds."""

_DRAWN = (Tensor.normal_, Tensor.uniform_)
"""What fills weights: on the meta device there is nothing to fill, and torch would load its compiler to do so."""


class _Bounded(TorchFunctionMode):
    """Lets no function give a tensor of more than MOST numbers, nor make room for more than WEIGHTS in all."""

    def __init__(self) -> None:
        super().__init__()
        self.made = self.tensors = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func in _DRAWN:
            return args[0]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            if result.numel() > MOST:
                raise MethodError(f"it takes a tensor of {list(result.shape)}, {MOST:,} numbers at most")
            if func is torch.empty:
                self.made, self.tensors = self.made + result.numel(), self.tensors + 1
            if self.made > WEIGHTS or self.tensors > TENSORS:
                raise MethodError(f"it has more than {WEIGHTS:,} weights, or {TENSORS:,} tensors of them")
        return result


def outline(
    name: str, settings: MethodSettings, backbone: str, classes: int, image_shape: ImageShape
) -> dict[str, Tensor]:
    """The weights that a method's model has, by name, on the meta device: nothing of their size is reserved.

    MethodError where the model cannot be built, has too many weights, or takes too large a tensor for one image.
    `settings` must take no networks from files: what those do is theirs.
    """
    assert not settings.files()
    values, bounded = list(_values(settings.model_dump())), _Bounded()
    if len(values) > VALUES:
        raise MethodError(f"its settings hold {len(values):,} values, {VALUES} at most")
    largest = max(*image_shape, *(value for value in values if isinstance(value, int | float)))
    try:
        with torch.device("meta"), bounded, torch.no_grad():
            model = create(name, settings, backbone, classes, image_shape, seed=0).eval()
            if largest > USUAL_SIDE or bounded.made > USUAL_WEIGHTS:
                model.trace(torch.zeros(1, *image_shape))
    except (RuntimeError, ArithmeticError) as error:
        raise MethodError(str(error).partition("\n")[0]) from None
    return dict(model.state_dict())


def _values(value: Any) -> Iterator[Any]:
    """All values in settings, one by one."""
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _values(inner)
    else:
        yield value
