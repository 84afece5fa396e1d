"""Blocks that each image runs or skips, as a gate in front of the block says."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from methods.backbones import Backbone
from methods.base import AdjustableModel, Answer, ImageShape, MethodSettings, Step, decides, where


class SkipBlocks(AdjustableModel):
    """A gate for every block that changes no shape; trained softly, used hard."""

    title, axis, decision = "Skipped blocks", "depth", "per-sample"
    citation = "after Wang et al., SkipNet: Learning Dynamic Routing in Convolutional Networks, ECCV 2018"

    class Settings(MethodSettings):
        """`thresholds`: scores above which a block runs, each an answer of its own."""

        thresholds: tuple[float, ...] = (0.25, 0.5, 0.75)

    settings: Settings

    def __init__(self, backbone: Backbone, settings: Settings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        x, channels = torch.zeros(1, *image_shape), {}
        for step in backbone.eval().work():
            y = backbone.step(step, x)
            if step[0] == "body" and x.shape == y.shape:
                channels[str(step[1])] = x.shape[1]
            x = y
        self.gates = nn.ModuleDict({block: nn.Linear(c, 1) for block, c in channels.items()})

    def answers(self) -> Sequence[Answer]:
        gated = [Answer(f"t={t:g}", self.gated(t)) for t in self.settings.thresholds]
        return [*gated, Answer("full", self.backbone.work())]

    def gated(self, threshold: float) -> tuple[Step, ...]:
        """The plain network's steps, with a gate in the place of every block that has one."""
        work = [step for step in self.backbone.work() if step[0] != "act" or str(step[1]) not in self.gates]
        return tuple(("gate", *s[1:], threshold) if s[0] == "body" and str(s[1]) in self.gates else s for s in work)

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("gate", block, threshold):
                chosen = decides(self.score(block, x), float(threshold))
                return where(chosen, lambda kept: self.block(block, kept), x)
        return super().step(step, x)

    def score(self, block: Any, x: Tensor) -> Tensor:
        """How much each image needs the block, [n] in 0..1."""
        return self.gates[str(block)](self.backbone.pooled(x)).sigmoid()[:, 0]

    def block(self, block: Any, x: Tensor) -> Tensor:
        act = [("act", block)] if ("act", block) in self.backbone.work() else []
        for step in [("body", block), *act]:
            x = self.backbone.step(step, x)
        return x

    @property
    def instance_statistics(self) -> bool:
        """A block may see no image, so statistics are those of training."""
        return False

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Every block runs on every image, weighed by its gate; open gates cost."""
        x, opened = images, []
        for step in self.gated(0.5):
            if step[0] == "gate":
                opened.append(self.score(step[1], x))
                weight = opened[-1][:, None, None, None]
                x = weight * self.block(step[1], x) + (1 - weight) * x
            else:
                x = super().step(step, x)
        cost = torch.stack([scores.mean() for scores in opened]).mean() if opened else 0.0
        return self.cross_entropy(x, labels) + 0.1 * cost
