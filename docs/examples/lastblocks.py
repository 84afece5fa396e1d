"""Stochastic depth whose depth is chosen at inference: the last blocks of every stage may be left out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from methods.base import AdjustableModel, Answer, Step
from methods.errors import MethodError


class LastBlocks(AdjustableModel):
    """Every batch draws a depth; at inference any is chosen (as Fan et al., ICLR 2020, do with transformers)."""

    title = "Stochastic depth, last blocks left out"
    axis = "depth"  # by what cost is chosen
    decision = "static"  # one setting for all images; or "per-sample"
    citation = "after Huang et al., Deep Networks with Stochastic Depth, ECCV 2016"

    def answers(self) -> Sequence[Answer]:
        """One answer a depth, cheap to dear; the last is the plain network."""
        if not self.backbone.chains:
            raise MethodError(f"the blocks of {self.backbone.spec} differ in width: none can be left out")
        fewer = range(1, max(self.backbone.stages))
        return [*(Answer(f"keep{kept}", self._work(kept)) for kept in fewer), Answer("full", self.backbone.work())]

    def _work(self, kept: int) -> tuple[Step, ...]:
        """The plain network's steps without the blocks behind the first `kept` of each stage."""
        stages = zip(self.backbone.stage_ends(), self.backbone.stages, strict=True)
        left_out = {block for last, blocks in stages for block in range(last - blocks + kept + 1, last + 1)}
        return tuple(step for step in self.backbone.work() if step[-1] not in left_out)

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy at a depth drawn from the generator; never from torch's global one."""
        drawn = self.graph.names[int(torch.randint(len(self.graph.names), (), generator=generator))]
        return self.cross_entropy(self.trace(images, [drawn])[drawn], labels)

    def training_work(self) -> Sequence[Sequence[str]]:
        """What `loss` computes, each as likely as the others: the cost of training is counted from it."""
        return [[name] for name in self.graph.names]
