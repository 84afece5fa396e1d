"""Multiscale input training: one network for images of many sizes.

The "MS" baseline of SDPoint (Kuen et al., CVPR 2018, arXiv 1801.09335), and with `bn=private` the
resolution-switchable network of Wang et al. (RS-Net, ECCV 2020, arXiv 2007.09558), without its distillation.
"""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from methods.backbones.base import Backbone
from methods.base import AdjustableModel, Answer, ImageShape, MethodSettings, OperatingPoint, PathTable
from methods.batchnorm import privatise
from methods.policies import chained
from methods.resizing import resizing

FULL = "full"


class Multiscale(AdjustableModel):
    """Every mini-batch is resized to a side drawn uniformly from half to full; the side is chosen at inference."""

    class Settings(MethodSettings):
        """`sizes`: how many sides there are, evenly from half to full (17 are all sides from 16 to 32);
        `bn`: statistics per size, the uniform ones of training, or statistics and affine parameters per size;
        `routing`: whether each image may also go from size to size by a learned policy (in neither paper)."""

        sizes: int = Field(17, ge=2, le=2048)
        bn: Literal["instance", "uniform", "private"] = "instance"
        routing: Literal["none", "learned"] = "none"

        def for_training(self) -> Self:
            bn = "private" if self.bn == "private" else "instance"
            return self.model_copy(update={"bn": bn, "routing": "none"})

    settings: Settings

    def __init__(self, backbone: Backbone, settings: Settings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        if settings.bn == "private":
            privatise(self.backbone, self.graph.names, self._selector)

    def answers(self) -> Sequence[Answer]:
        """One answer a side; the last, full size, resizes nothing and is the plain network."""
        full = min(self.image_shape[1:])
        sides = np.unique(np.linspace((full + 1) // 2, full, self.settings.sizes).round().astype(int)).tolist()
        return [
            Answer(FULL if side == full else f"s{side}", (*resizing(side, self.image_shape), *self.backbone.work()))
            for side in sides
        ]

    def training_work(self) -> Sequence[Sequence[str]]:
        """One size a mini-batch, each as likely as the others."""
        return [[name] for name in self.graph.names]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        draw = int(torch.randint(len(self.graph.names), (), generator=generator))
        (logits,) = self.trace(images, [self.graph.names[draw]]).values()
        return self.cross_entropy(logits, labels)

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """Every size for all images alike, and with `routing=learned` a cascade of the best of them."""
        return chained(super().operating_points, table, count, self.settings.routing == "learned")

    @property
    def instance_statistics(self) -> bool:
        return self.settings.bn != "uniform"
