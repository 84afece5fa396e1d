"""Resizing images, one way for every method: bilinear, antialiased, corners not aligned.

Without antialiasing torch's bilinear kernel skips pixels below full size, and half size would be a sampled
image rather than a smaller one.
"""

from torch import Tensor
from torch.nn import functional as F

from methods.backbones.base import Step

RESIZING = "bilinear, antialias=True, align_corners=False"
"""What is recorded of a run."""


def resizing(side: int, image_shape: tuple[int, int, int]) -> tuple[Step, ...]:
    """The step that gives images their size, or none where they have it: full size is the plain network."""
    return () if side == min(image_shape[1:]) else (("resize", side),)


def resized(images: Tensor, side: int) -> Tensor:
    """Images [n, c, h, w] with `side` pixels on the shorter side, the other in proportion (halves to even)."""
    height, width = images.shape[-2:]
    shorter = min(height, width)
    size = [round(side * height / shorter), round(side * width / shorter)]
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
