"""The backbone as it is: one answer, the reference of every run."""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from methods.base import AdjustableModel, Answer, MethodSettings
from methods.resizing import resizing


class Plain(AdjustableModel):
    """The ordinary network, trained with cross-entropy."""

    class Settings(MethodSettings):
        """`size`: side in pixels that images are resized to first, in training and after; as they are by default."""

        size: int | None = Field(None, ge=1)

    settings: Settings

    def answers(self) -> Sequence[Answer]:
        side = self.settings.size or min(self.image_shape[1:])
        return [Answer("full", (*resizing(side, self.image_shape), *self.backbone.work()))]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return self.cross_entropy(self.trace(images)["full"], labels)
