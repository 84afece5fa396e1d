"""One network at two sizes of the image; where both have run, their logits are averaged."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from methods.base import AdjustableModel, Answer, Step, Work, chain


class TwoSizes(AdjustableModel):
    """Half size, full size, or the mean of both."""

    title, axis, decision = "Two sizes, averaged", "resolution", "static"
    citation = "after Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015, section 4.2"

    def answers(self) -> Sequence[Answer]:
        full = chain(*self.backbone.work())
        half = chain(("resize", min(self.image_shape[1:]) // 2), *self.backbone.work())
        return [Answer("half", half), Answer("full", full), Answer("both", Work(("mean",), (half, full)))]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("mean",):
                half, full = x  # what `half` and `full` gave, in the order of the work's inputs
                return (half + full) / 2
        return super().step(step, x)

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        said = self.trace(images, ["half", "full"])
        return torch.stack([self.cross_entropy(logits, labels) for logits in said.values()]).mean()

    def training_work(self) -> Sequence[Sequence[str]]:
        return [["half", "full"]]
