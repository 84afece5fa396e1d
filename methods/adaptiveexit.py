"""Adaptive early exit on a frozen network (Bolukbasi et al., ICML 2017, arXiv 1702.07811, section 3).

Light classifiers are trained on the maps of a network that was trained before and does not change; a learned
policy after each decides whether to leave. The reduction of the policies to weighted classification is in
`learning.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from methods.backbones.base import Backbone
from methods.base import (
    Costs,
    Group,
    ImageShape,
    Network,
    OperatingPoint,
    PathTable,
    Stage,
)
from methods.exits import Exits, checked
from methods.heads import linear_head, taps
from methods.policies import PolicySettings, alone_and_routed

EXITS = 8
"""Exits on deep networks, evenly spread over the blocks; a short network has one behind every block but the last."""
EPOCHS = 1 / 3
"""Share of the recipe's epochs that the classifiers are trained for: linear, on frozen maps."""


class AdaptiveExit(Exits):
    """Exits of pooling and a linear layer on a frozen trunk, with learned decisions."""

    class Settings(PolicySettings):
        """`positions`: blocks behind which exits lie, 0 being the stem."""

        positions: tuple[int, ...] | None = None

    settings: Settings

    def __init__(self, backbone: Backbone, settings: Settings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        blocks = sum(backbone.stages)
        spread = np.unique(np.linspace(1, blocks - 1, min(EXITS, blocks - 1)).round().astype(int)).tolist()
        self.positions = checked(settings.positions or spread, backbone)
        found = taps(backbone, image_shape)
        self.heads = nn.ModuleList(linear_head(backbone, found[position]) for position in self.positions)

    def initial_weights(self) -> Mapping[str, Network | Path]:
        """The trunk is this run's plain network."""
        return {"backbone": Network(self.backbone.spec)}

    def stages(self) -> Sequence[Stage]:
        return [Stage("exits", EPOCHS, self.loss, (Group(tuple(self.heads.parameters())),), frozen=(self.backbone,))]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The sum of the exits' cross-entropies; they share no parameters, so each is trained on its own."""
        said = self.trace(images, self.graph.names[:-1])
        return torch.stack([self.cross_entropy(logits, labels) for logits in said.values()]).sum()

    def training_macs(self, costs: Costs) -> float:
        """The trunk up to the last exit runs forward only; the classifiers are trained."""
        used = costs.uses[:-1].any(axis=0)
        heads = np.array([node.step[0] == "exit" for node in self.graph.nodes])
        return float(costs.macs[used & ~heads].sum() + 3 * costs.macs[heads].sum())

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """Everybody leaves at exit k, for every k, and learned policies with the rest of `count`."""
        return alone_and_routed(self.static_points, table, count, self.settings)
