"""Images in memory as one tensor, and augmentation as tensor operations."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datasets.base import Split


@dataclass(frozen=True)
class Images:
    """A split on a device: pixels uint8 [n, h, w, c], labels int64 [n], and how pixels become inputs.

    `scale` and `shift` [c] map a pixel to its standardised value in one multiplication and addition.
    """

    pixels: Tensor
    labels: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, split: Split, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> "Images":
        """Put a split on a device; mean and std are per channel, in [0, 1]."""
        pixels = torch.from_numpy(np.ascontiguousarray(split.images.transpose(0, 2, 3, 1)))
        scale, shift = 1 / (255 * torch.tensor(std)), -torch.tensor(mean) / torch.tensor(std)
        labels = torch.from_numpy(split.labels)
        return cls(pixels.to(device), labels.to(device), scale.to(device), shift.to(device))

    def inputs(self, pixels: Tensor) -> Tensor:
        """Standardised inputs [n, c, h, w], channels last in memory, from pixels [n, h, w, c]."""
        return pixels.to(torch.float32).mul_(self.scale).add_(self.shift).permute(0, 3, 1, 2)

    def batches(self, samples: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of `samples` in order, in batches of nearly equal size, at most `size`."""
        if len(samples):
            index = torch.from_numpy(samples).to(self.pixels.device)
            for rows in index.tensor_split(-(-len(index) // size)):
                yield self.inputs(self.pixels[rows]), self.labels[rows]


def augmented(pixels: Tensor, rows: Tensor, flip: bool, crop: int, generator: torch.Generator) -> Tensor:
    """Randomly flipped and shifted copies [n, h, w, c] of pixels[rows].

    `crop`: shift by up to that many pixels each way, the image reflected at its edges. Reflection keeps the
    statistics of the images: batch-norm statistics come from unaugmented ones, and a black frame would make
    the two differ. The draws come from `generator` on the CPU, so that they are the same on every device.
    """
    if not (flip or crop):
        return pixels[rows]
    n, height, width = len(rows), pixels.shape[1], pixels.shape[2]
    down, right = (torch.randint(-crop, crop + 1, (n, 1), generator=generator).to(pixels.device) for _ in range(2))
    mirrored = (torch.rand(n, 1, generator=generator) < (0.5 if flip else 0.0)).to(pixels.device)
    columns = torch.arange(width, device=pixels.device).repeat(n, 1)
    columns = _reflected(torch.where(mirrored, width - 1 - columns, columns) + right, width)
    lines = _reflected(torch.arange(height, device=pixels.device) + down, height)
    flat = (rows[:, None, None] * height + lines[:, :, None]) * width + columns[:, None, :]
    return pixels.flatten(0, 2)[flat.flatten()].view(n, height, width, -1)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places outside 0..size-1 mirrored at the edge pixel; further out than a size, the edge itself."""
    last = size - 1
    return (last - (last - places.abs()).abs()).clamp_(0, last)
