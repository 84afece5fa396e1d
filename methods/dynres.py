"""Dynamic resolution (DRNet: Zhu et al., NeurIPS 2021, arXiv 2106.02898).

A small predictor looks at a small copy of the image and chooses the resolution at which the classifier sees it.
Exactly one resolution runs for each image. The classifier has batch norms of its own for every resolution.

Training normalises each resolution by the images that were sent to it (section 3.3). At inference its statistics are
those of the suite's one fixed list, all images at every resolution, as for every method: the static points need them,
and a strongly selective predictor would rather have its own.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from methods.backbones import build
from methods.backbones.base import Backbone
from methods.base import (
    AdjustableModel,
    Answer,
    Costs,
    Group,
    ImageShape,
    MethodSettings,
    OperatingPoint,
    PathTable,
    Probe,
    Stage,
    Step,
)
from methods.batchnorm import privatise
from methods.errors import MethodError
from methods.resizing import resizing
from methods.routers import Argmax
from methods.routing import simulate, trail_macs
from methods.thresholds import short, spread

PREDICTOR = "predictor"
STRENGTHS = 200
"""Biases that are tried, evenly over the images they decide about."""
DEAR = 0.2
"""Share of the largest possible saving from which the predictor's own cost is worth a warning."""
COLLAPSED = 0.99
"""Share of images sent to one resolution from which the predictor is said to have collapsed."""


class DynRes(AdjustableModel):
    """A resolution predictor in front of a classifier with private batch norms per resolution."""

    class Settings(MethodSettings):
        """`resolutions`: sides in pixels (default: half, three quarters and full, 112, 168 and 224 in the paper);
        `alpha`: the target cost as a share of the full resolution's (the paper's 2.5 of 4.1 GMACs); `eta`: weight
        of the cost regulariser; `pretrain`: share of the epochs without predictor (70 of 170); `losses`: whether
        those epochs add the resolutions' losses up, as the paper does, or take their mean; `predictor`: a
        backbone, or `paper` for the paper's (default for images from 128 pixels); `predictor_size`: side of what
        it sees (default: 128 pixels, half of smaller images)."""

        resolutions: tuple[int, ...] | None = None
        alpha: float = Field(0.6, gt=0, le=1)
        eta: float = Field(0.2, ge=0)
        pretrain: float = Field(0.4, gt=0, lt=1)
        losses: Literal["sum", "mean"] = "sum"
        predictor: str | None = Field(None, min_length=1)
        predictor_size: int | None = Field(None, ge=8)

        @field_validator("resolutions")
        @classmethod
        def _rising(cls, resolutions: tuple[int, ...] | None) -> tuple[int, ...] | None:
            if resolutions is not None and (
                list(resolutions) != sorted(set(resolutions)) or min(resolutions, default=0) < 1
            ):
                raise ValueError("resolutions must be positive and rise")
            return resolutions

    settings: Settings

    def __init__(self, backbone: Backbone, settings: Settings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        full = min(image_shape[1:])
        self.resolutions = settings.resolutions or (full // 2, full * 3 // 4, full)
        if self.resolutions[-1] != full:
            raise MethodError(f"the last of the resolutions must be the images' own, {full}")
        self.predictor_size = settings.predictor_size or (128 if full >= 128 else full // 2)
        choices = len(self.resolutions)
        spec = settings.predictor or ("paper" if full >= 128 else "resnet8:width=8")
        self.predictor = paper_predictor(choices) if spec == "paper" else build(spec, choices)
        privatise(self.backbone, self.graph.names, self._selector)

    def answers(self) -> Sequence[Answer]:
        """The classifier at each resolution, without predictor: always that resolution."""
        trunk = self.backbone.work()
        return [Answer(f"s{side}", (*resizing(side, self.image_shape), *trunk)) for side in self.resolutions]

    def probes(self) -> Sequence[Probe]:
        """The predictor's scores, one a resolution."""
        return [Probe(PREDICTOR, (*resizing(self.predictor_size, self.image_shape), ("predict",)))]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("predict",):
                return self.predictor(x)
        return super().step(step, x)

    def stages(self) -> Sequence[Stage]:
        """The classifier alone, at all resolutions; then both, the predictor at a tenth of the rate."""
        classifier, predictor = tuple(self.backbone.parameters()), tuple(self.predictor.parameters())
        share = self.settings.pretrain
        return [
            Stage("all resolutions", share, self.all_resolutions, (Group(classifier),)),
            Stage("chosen resolutions", 1 - share, self.loss, (Group(classifier), Group(predictor, 0.1))),
        ]

    def all_resolutions(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The cross-entropies of every resolution, summed (section 3.4) or their mean."""
        said = self.trace(images, self.graph.names)
        losses = torch.stack([self.cross_entropy(logits, labels) for logits in said.values()])
        return losses.sum() if self.settings.losses == "sum" else losses.mean()

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """L = CE + eta L_reg (section 3.4), each image at the resolution that was drawn for it.

        The batch is split into one sub-batch a resolution, so that each set of batch norms sees only its own.
        Multiplying an image's logits by its entry of the one-hot choice lets their gradient reach the predictor.
        """
        choice = straight_through(self.trace(images, [PREDICTOR])[PREDICTOR], generator)
        logits = images.new_zeros(len(images), self.backbone.classes)
        for j, name in enumerate(self.graph.names):
            rows = (choice[:, j] > 0.5).nonzero()[:, 0]
            if len(rows):
                logits = logits.index_put(
                    (rows,), (self._sub_batch(images[rows], name) * choice[rows, j, None]).float()
                )
        return self.cross_entropy(logits, labels) + self.settings.eta * self.regulariser(choice)

    def _sub_batch(self, images: Tensor, name: str) -> Tensor:
        """Logits of a sub-batch; one image alone has no batch statistics, it is normalised by the running ones."""
        training = self.backbone.training
        self.backbone.train(training and len(images) > 1)
        try:
            return self.trace(images, [name])[name]
        finally:
            self.backbone.train(training)

    def regulariser(self, choice: Tensor) -> Tensor:
        """max(0, (E[F] - alpha) / (C_max - C_min)) for choices [n, resolutions], F without the predictor (eq. 13)."""
        costs = self._resolution_macs.to(choice.device)
        excess = (choice * costs).sum(1).mean() - self.settings.alpha * costs[-1]  # no matmul: autocast would round it
        return (excess / (costs[-1] - costs[0]).clamp(min=1)).clamp(min=0)

    @cached_property
    def _resolution_macs(self) -> Tensor:
        return torch.from_numpy(self.costs().outputs()[: len(self.resolutions)]).float()

    def training_macs(self, costs: Costs) -> float:
        """Which resolutions the second stage runs is only known afterwards: each is taken as equally likely."""
        *alone, predictor = (float(macs) for macs in costs.outputs())
        share = self.settings.pretrain
        return 3 * (share * sum(alone) + (1 - share) * (predictor + sum(alone) / len(alone)))

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """Always one resolution; the predictor as trained; and a bias in proportion to cost, swept."""
        static = self.static_points(table, range(len(self.resolutions)), count - 1)
        predicted = OperatingPoint(name=PREDICTOR, router=self._router(0.0))
        strengths = self._strengths(table)
        routings = [simulate(table, self._router(strength)) for strength in strengths]
        macs = np.array([trail_macs(table, routing).mean() for routing in routings])
        mixed = [i for i, routing in enumerate(routings) if len(np.unique(routing.answer)) > 1]
        keep = [mixed[i] for i in spread(macs[mixed], count - len(static) - 1)] if mixed else []
        chosen = sorted((strengths[i] for i in keep), reverse=True)
        swept = [
            OperatingPoint(name=f"bias={name}", router=self._router(strength))
            for name, strength in zip(short(chosen), chosen, strict=True)
        ]
        return [*static, predicted, *swept][:count]

    def _router(self, strength: float) -> Argmax:
        """What scores highest, with `strength` times each resolution's share of the full cost taken off."""
        macs = self._resolution_macs
        bias = tuple(float(-strength * share) for share in macs / macs[-1])
        return Argmax(probe=len(macs), options=tuple(range(len(macs))), bias=bias)

    def _strengths(self, table: PathTable) -> list[float]:
        """Strengths midway between those at which two resolutions score the same on some image of `table`."""
        scores = table.probes[PREDICTOR].astype(np.float64)
        shares = (self._resolution_macs / self._resolution_macs[-1]).numpy()
        pairs = [(i, j) for j in range(len(shares)) for i in range(j) if shares[i] != shares[j]]
        if not pairs:
            return []
        ties = np.unique(np.concatenate([(scores[:, j] - scores[:, i]) / (shares[j] - shares[i]) for i, j in pairs]))
        middle = (ties[:-1] + ties[1:]) / 2
        if not len(middle):
            return []
        chosen = np.unique(np.linspace(0, len(middle) - 1, STRENGTHS).round().astype(int))
        return [float(strength) for strength in middle[chosen]]

    def warnings(self, costs: Costs) -> Sequence[str]:
        """Says if the predictor eats a good part of what choosing could save."""
        *alone, predictor = (int(macs) for macs in costs.outputs())
        if predictor < DEAR * (alone[-1] - alone[0]):
            return []
        own, most = predictor / alone[-1], 1 - alone[0] / alone[-1]
        return [f"the predictor costs {own:.1%} of the full resolution; the most that choosing can save is {most:.1%}"]

    def remarks(self, table: PathTable) -> Sequence[str]:
        """Says if the predictor sends (nearly) every image to one resolution."""
        shares = np.bincount(table.probes[PREDICTOR].argmax(1), minlength=len(self.resolutions)) / len(table.labels)
        most = int(shares.argmax())
        if shares[most] < COLLAPSED or len(shares) == 1:
            return []
        answer = self.graph.names[most]
        return [f"the predictor collapsed: it sends {shares[most]:.1%} of the calibration images to {answer}"]


def paper_predictor(choices: int) -> nn.Module:
    """The predictor for 128-pixel images: a ResNet of one basic block a stage (section 4.1), 4.9M parameters."""
    from torchvision.models.resnet import BasicBlock, ResNet

    predictor: nn.Module = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=choices)
    return predictor


def straight_through(scores: Tensor, generator: torch.Generator) -> Tensor:
    """One-hot choices [n, m] drawn by the Gumbel trick: argmax(log p + g), with the gradient of
    softmax(log p + g) (section 3.2, temperature 1: the paper gives none)."""
    uniform = torch.rand(scores.shape, generator=generator).clamp_(min=1e-20)
    gumbel = -(-uniform.log()).log()
    soft = (scores.float().log_softmax(1) + gumbel.to(scores.device)).softmax(1)
    hard = F.one_hot(soft.argmax(1), scores.shape[1]).to(soft.dtype)
    return hard + (soft - soft.detach())
