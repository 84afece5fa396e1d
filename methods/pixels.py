"""How pixels become a network's inputs: one formula, bit for bit, for whoever measures a model and whoever uses it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Scaling(NamedTuple):
    """`scale` and `shift` [c]: they map a pixel to its standardised value in one multiplication and addition."""

    scale: Tensor
    shift: Tensor


def scaling(mean: Sequence[float], std: Sequence[float], device: torch.device) -> Scaling:
    """The scaling of inputs with this mean and deviation, per channel and in units of 0..1.

    Computed on the CPU, so that it is the same on every device.
    """
    means, stds = torch.tensor(mean), torch.tensor(std)
    return Scaling((1 / (255 * stds)).to(device), (-means / stds).to(device))


def standardised(pixels: Tensor, by: Scaling) -> Tensor:
    """Inputs float32 [n, c, h, w] from pixels 0..255 [n, h, w, c], laid out in memory as these are."""
    return pixels.to(torch.float32, copy=True).mul_(by.scale).add_(by.shift).permute(0, 3, 1, 2)


def unit(inputs: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The images in 0..1 that standardised `inputs` [n, c, h, w] stand for, to rounding."""
    means, stds = (torch.tensor(values, device=inputs.device).view(-1, 1, 1) for values in (mean, std))
    return inputs * stds + means
