"""The memory layout of training: channels last, but where oneDNN's gradients then write past their memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

BLOCK = 16
"""Float32 channels of oneDNN's widest block, AVX-512's; of AVX2's it is 8."""


def overruns(module: nn.Module) -> bool:
    """Tell whether the gradient of this module's weights overruns memory on a CPU in channels-last layout.

    oneDNN gathers the strided pixels of a 1x1 convolution in a workspace of the true number of channels and advances
    in whole blocks (oneDNN issue 6035, seen in torch 2.14.1): with fewer channels than a block the process crashes
    from maps of 8x8 on, or goes on with what was written over. A transposed convolution's gradient is the same
    computation with inputs and outputs exchanged. Padding, groups, larger kernels and other types take other paths.
    """
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return False
    gathered = module.in_channels if isinstance(module, nn.Conv2d) else module.out_channels
    strided = set(module.kernel_size) == {1} and set(module.stride) != {1}
    plain = module.groups == 1 and module.padding in ((0, 0), "valid")
    return strided and plain and gathered < BLOCK


@contextmanager
def channels_last(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a model on a device in channels-last layout, and inside keep the convolutions that overrun out of it.

    They work on contiguous copies and hand on channels-last outputs, so that all others are given what they are given
    without them. Afterwards everything is channels last.
    """
    everything: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
    model.to(**everything)
    apart = [module for module in model.modules() if device.type == "cpu" and overruns(module)]
    hooks = [module.register_forward_pre_hook(_contiguous) for module in apart]
    hooks += [module.register_forward_hook(_back) for module in apart]
    for parameter in (parameter for module in apart for parameter in module.parameters()):
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        model.to(**everything)


def _contiguous(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    first, *others = given
    return (first.contiguous(), *others)


def _back(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
    return made.contiguous(memory_format=torch.channels_last)
