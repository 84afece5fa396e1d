"""The backbone as it is: one answer, the reference of every run."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.base import AdjustableModel, Answer


class Plain(AdjustableModel):
    """The ordinary network, trained with cross-entropy."""

    def answers(self) -> Sequence[Answer]:
        return [Answer("full", self.backbone.work())]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return self.cross_entropy(self.trace(images)["full"], labels)
