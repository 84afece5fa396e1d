"""Images of a split on a device, in memory or streamed, and their augmentation."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.data.base import Split
from benchmarks.data.crops import DRAWS
from benchmarks.data.stream import Stream
from methods.pixels import Scaling, scaling, standardised


class Images(ABC):
    """A split on a device: its pixels, wherever they are, labels int64 [n], and how pixels become inputs.

    `scale` and `shift` [c] map a pixel to its standardised value in one multiplication and addition. Rows are
    positions in the split, int64 [k], on the device.
    """

    labels: Tensor
    scale: Tensor
    shift: Tensor

    @staticmethod
    def of(split: Split, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> "Images":
        """Put a split on a device; mean and std are per channel, in [0, 1]."""
        labels, (scale, shift) = torch.from_numpy(split.labels).to(device), scaling(mean, std, device)
        if isinstance(split.images, Stream):
            return Streamed(split.images, labels, scale, shift)
        pixels = torch.from_numpy(np.ascontiguousarray(split.images.transpose(0, 2, 3, 1)))
        return InMemory(pixels.to(device), labels, scale, shift)

    @property
    def device(self) -> torch.device:
        """Where labels and pixels are handed out."""
        return self.labels.device

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Height and width of every image."""

    @abstractmethod
    def read(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pixels uint8 [k, h, w, c] of each batch of rows, as they stand in the split."""

    @abstractmethod
    def augmented(
        self, batches: Iterable[Tensor], flip: bool, crop: int, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """Pixels uint8 [k, h, w, c] of each batch of rows, randomly mirrored if `flip`, and cropped.

        The draws come from `generator` on the CPU, batch after batch, so that they are the same on every device.
        """

    def take(self, samples: NDArray[np.int64]) -> Tensor:
        """Pixels uint8 [k, h, w, c] of `samples`."""
        (pixels,) = self.read([torch.from_numpy(samples).to(self.device)])
        return pixels

    def inputs(self, pixels: Tensor) -> Tensor:
        """Standardised inputs [n, c, h, w], channels last in memory, from pixels [n, h, w, c]."""
        return standardised(pixels, Scaling(self.scale, self.shift))

    def batches(self, samples: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of `samples` in order, in batches of nearly equal size, at most `size`."""
        if len(samples):
            rows = torch.from_numpy(samples).to(self.device).tensor_split(-(-len(samples) // size))
            for batch, pixels in zip(rows, self.read(rows), strict=True):
                yield self.inputs(pixels), self.labels[batch]


@dataclass(frozen=True)
class InMemory(Images):
    """All pixels as one tensor uint8 [n, h, w, c]; augmented by `shifted`."""

    pixels: Tensor
    labels: Tensor
    scale: Tensor
    shift: Tensor

    @property
    def size(self) -> tuple[int, int]:
        _, height, width, _ = self.pixels.shape
        return height, width

    def read(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        return (self.pixels[rows] for rows in batches)

    def augmented(
        self, batches: Iterable[Tensor], flip: bool, crop: int, generator: torch.Generator
    ) -> Iterator[Tensor]:
        return (shifted(self.pixels, rows, flip, crop, generator) for rows in batches)


@dataclass(frozen=True)
class Streamed(Images):
    """Pixels that are decoded as they are asked for; augmented by random-resized crops, whatever `crop` is."""

    stream: Stream
    labels: Tensor
    scale: Tensor
    shift: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.stream.shape[2:]

    def read(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        decoded = self.stream.read((rows.cpu().numpy(), None) for rows in batches)
        return (torch.from_numpy(pixels).to(self.device) for pixels in decoded)

    def augmented(
        self, batches: Iterable[Tensor], flip: bool, crop: int, generator: torch.Generator
    ) -> Iterator[Tensor]:
        def drawn(rows: Tensor) -> NDArray[np.float64]:
            # drawn in single precision: no product with a length in pixels rounds up to it
            draws = torch.rand(len(rows), DRAWS, generator=generator).double()
            draws[:, -1] += 0.0 if flip else 1.0
            return draws.numpy()

        decoded = self.stream.read((rows.cpu().numpy(), drawn(rows)) for rows in batches)
        return (torch.from_numpy(pixels).to(self.device) for pixels in decoded)


def shifted(pixels: Tensor, rows: Tensor, flip: bool, crop: int, generator: torch.Generator) -> Tensor:
    """Randomly flipped and shifted copies [n, h, w, c] of pixels[rows].

    `crop`: shift by up to that many pixels each way, the image reflected at its edges. Reflection keeps the
    statistics of the images: batch-norm statistics come from unaugmented ones, and a black frame would make
    the two differ.
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
