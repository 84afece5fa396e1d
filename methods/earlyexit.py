"""Early exits: BranchyNet (Teerapittayanon et al., ICPR 2016, arXiv 1709.01686).

Side branches end in classifiers of their own. All exits are trained together; at inference a sample
leaves at the first exit that is sure enough, or, as a static point, everybody leaves at exit k.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from methods.backbones.base import Backbone
from methods.base import (
    Costs,
    ImageShape,
    MethodSettings,
    Network,
    OperatingPoint,
    PathTable,
)
from methods.errors import MethodError
from methods.exits import Exits, checked
from methods.heads import LIGHT_SHARE, Tap, convolutional_head, light_head, paper_head, taps
from methods.policies import PolicySettings, policy_points
from methods.routers import Signal
from methods.thresholds import cascade_macs, threshold_points


class EarlyExit(Exits):
    """Joint training of all exits (section III-B), threshold on confidence at inference (section III-C)."""

    class Settings(MethodSettings):
        """`heads`: `light` (at most 5% of the plain MACs each, unless one linear layer takes more) and
        `sdpoint-paper` (one basic block per remaining stage) sit behind every stage but the last; `branchynet` puts
        `layers[i]` convolutions behind block `positions[i]` (0: the stem), by default as B-ResNet-110 does.
        `rule`: the exit rule; `routing`: by a threshold on it, or by learned policies (not in the paper);
        `weights`: loss weight of each exit, the last one included (default: all 1);
        `init`: `none`, `plain` (this run's plain network) or a weights file for the backbone."""

        heads: Literal["light", "sdpoint-paper", "branchynet"] = "light"
        positions: tuple[int, ...] | None = None
        layers: tuple[Annotated[int, Field(ge=0, le=16)], ...] | None = None
        rule: Signal = "entropy"
        routing: Literal["threshold", "learned"] = "threshold"
        weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
        init: str = Field("none", min_length=1)

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            given = self.positions is not None or self.layers is not None
            if given and self.heads != "branchynet":
                raise ValueError("positions and layers need heads=branchynet")
            if self.weights is not None and not any(self.weights):
                raise ValueError("at least one weight must be positive")
            if given and len(self.positions or ()) != len(self.layers or ()):
                raise ValueError("positions and layers must be given together, one number of layers a position")
            return self

        def for_training(self) -> Self:
            return self.model_copy(update={"rule": "entropy", "routing": "threshold"})

    settings: Settings

    def __init__(self, backbone: Backbone, settings: Settings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        self.positions = self._positions()
        exits = len(self.positions) + 1
        if settings.weights is not None and len(settings.weights) != exits:
            raise MethodError(f"weights needs {exits} values, one per exit, got {len(settings.weights)}")
        self.weights = settings.weights or (1.0,) * exits
        found = taps(backbone, image_shape)
        self.heads = nn.ModuleList(
            self._head(branch, found[position]) for branch, position in enumerate(self.positions)
        )

    def _positions(self) -> tuple[int, ...]:
        """The blocks behind which a branch begins; 0 is the stem."""
        ends = self.backbone.stage_ends()
        if self.settings.heads != "branchynet":
            return ends[:-1]
        return checked(self.settings.positions or (0, ends[0]), self.backbone)

    def _head(self, branch: int, tap: Tap) -> nn.Module:
        match self.settings.heads:
            case "light":
                return light_head(self.backbone, tap)
            case "sdpoint-paper":
                return paper_head(self.backbone, branch + 1)
            case "branchynet":
                return convolutional_head(self.backbone, tap, (self.settings.layers or (3, 2))[branch])

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """L = sum over exits n of w_n * cross-entropy_n."""
        losses = [self.cross_entropy(logits, labels) for logits in self.trace(images).values()]
        return torch.stack([w * loss for w, loss in zip(self.weights, losses, strict=True)]).sum()

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """Everybody leaves at exit k, for every k, and thresholds or policies with the rest of `count`."""
        cascade = range(len(table.answers))
        static = self.static_points(table, cascade, count)
        left = count - len(static)
        if self.settings.routing == "learned":
            return [*static, *policy_points(table, cascade, left, PolicySettings())]
        return [*static, *threshold_points(table, self.settings.rule, cascade, left)]

    def initial_weights(self) -> Mapping[str, Network | Path]:
        match self.settings.init:
            case "none":
                return {}
            case "plain":
                return {"backbone": Network(self.backbone.spec)}
            case file:
                return {"backbone": Path(file)}

    def warnings(self, costs: Costs) -> Sequence[str]:
        """Names the exits that cost more than the plain network they are meant to save from, and light heads that are
        not light.

        The last exit through the cascade always does cost more: it pays for the heads before it.
        """
        alone, names = costs.outputs(), self.graph.names
        plain = int(alone[-1])
        through = cascade_macs(costs, range(len(names)))[:, 0]
        dear = [f"{n} alone ({c / plain:.1%})" for n, c in zip(names, alone, strict=True) if c > plain]
        dear += [f"{n} through the cascade ({c / plain:.1%})" for n, c in zip(names, through, strict=True) if c > plain]
        found = [f"dearer than the plain network: {', '.join(dear)}"] if dear else []
        return [*found, *self._heavy(costs)]

    def _heavy(self, costs: Costs) -> list[str]:
        """Light heads above LIGHT_SHARE: one linear layer to all classes takes as much."""
        if self.settings.heads != "light":
            return []
        plain, nodes = int(costs.outputs()[-1]), zip(self.graph.nodes, costs.macs.tolist(), strict=True)
        shares = {node.step[1]: macs / plain for node, macs in nodes if node.step[0] == "exit"}
        heavy = [f"exit{k} {share:.1%}" for k, share in shares.items() if share > LIGHT_SHARE]
        if not heavy:
            return []
        most, classes = f"{LIGHT_SHARE:.0%} of the plain network", f"{self.backbone.classes:,} classes"
        return [f"light heads above {most}, as linear layers to {classes}: {', '.join(heavy)}"]
