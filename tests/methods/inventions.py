"""Tiny methods that no registered one is like: what the interface of methods has to carry.

A plugin, so that `check-method` examines them too. Images are 3 x 8 x 8 wherever MACs are derived by hand.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from methods.backbones.base import Backbone, Kind
from methods.base import (
    AdjustableModel,
    Answer,
    ImageShape,
    MethodSettings,
    OperatingPoint,
    PathTable,
    Probe,
    Step,
    Work,
    chain,
    decides,
    where,
)
from methods.routers import Argmax
from methods.thresholds import threshold_points


def conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias."""
    return nn.Conv2d(before, after, 3, stride, 1, bias=False)


class Classes(nn.Module):
    """Stands where a backbone would: these methods bring networks of their own."""

    def __init__(self, instead: Backbone) -> None:
        super().__init__()
        self.classes, self.spec = instead.classes, instead.spec

    def kind(self, step: Step) -> Kind:
        return "size" if step[0] == "halve" else "compute"


class Own(AdjustableModel):
    """A method with a network of its own, all of whose answers are trained together."""

    title, axis, decision, citation = "Invention", "depth", "static", "nobody"

    def __init__(self, backbone: Backbone, settings: MethodSettings, image_shape: ImageShape) -> None:
        nothing: Any = Classes(backbone)
        super().__init__(nothing, settings, image_shape)
        self.build(backbone.classes)

    @abstractmethod
    def build(self, classes: int) -> None:
        """Make the layers."""

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        said = self.trace(images, self.graph.names)
        return torch.stack([self.cross_entropy(logits, labels) for logits in said.values()]).mean()


class Gated(AdjustableModel):
    """Residual blocks that each image runs or skips (SkipNet, Wang et al., ECCV 2018): 2^k ways through one answer."""

    title, axis, decision, citation = "Gates", "depth", "per-sample", "nobody"

    class Settings(MethodSettings):
        """`thresholds`: scores above which a block runs; each is an answer."""

        thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.4, 0.6)

    settings: Settings

    def __init__(self, backbone: Backbone, settings: Settings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        self.channels = self._channels()
        self.gates = nn.ModuleDict({str(block): nn.Linear(c, 1) for block, c in self.channels.items()})
        for gate in self.gates.values():
            nn.init.normal_(gate.weight, std=4.0)

    @torch.no_grad()
    def _channels(self) -> dict[int, int]:
        """Blocks that change no shape, and how many channels they have."""
        x, found = torch.zeros(1, *self.image_shape), {}
        self.backbone.eval()
        for step in self.backbone.work():
            y = self.backbone.step(step, x)
            if step[0] == "body" and x.shape == y.shape:
                found[int(step[1])] = x.shape[1]
            x = y
        return found

    def answers(self) -> Sequence[Answer]:
        return [*(Answer(f"t={t:g}", self._work(t)) for t in self.settings.thresholds), Answer("full", self._full())]

    def _full(self) -> tuple[Step, ...]:
        return self.backbone.work()

    def _work(self, threshold: float) -> tuple[Step, ...]:
        found: list[Step] = []
        for step in self.backbone.work():
            if step[-1] not in self.channels:
                found.append(step)
            elif step[0] == "body":
                found.append(("gate", step[1], threshold))
        return tuple(found)

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("gate", block, threshold):
                return where(decides(self.score(block, x), float(threshold)), lambda kept: self.block(block, kept), x)
        return super().step(step, x)

    def score(self, block: Any, x: Tensor) -> Tensor:
        """How much each image should run a block, [n]: untrained gates open for some images and not for others."""
        return 0.5 + 0.5 * self.gates[str(block)](self.backbone.pooled(x))[:, 0].sin()

    def block(self, block: Any, x: Tensor) -> Tensor:
        return self.backbone.step(("act", block), self.backbone.step(("body", block), x))

    @property
    def instance_statistics(self) -> bool:
        """A block may see no image at all, so statistics are those of training."""
        return False

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Every block runs on every image, weighed by its gate."""
        x = images
        for step in self._work(0.5):
            if step[0] == "gate":
                open_ = self.score(step[1], x)[:, None, None, None]
                x = open_ * self.block(step[1], x) + (1 - open_) * x
            else:
                x = super().step(step, x)
        return self.cross_entropy(x, labels)


class TwoScales(Own):
    """Fine and coarse maps side by side with an exit on the coarse ones (MSDNet, Huang et al., ICLR 2018)."""

    def build(self, classes: int) -> None:
        self.fine = nn.ModuleList(conv(c, 4) for c in (3, 4))
        self.coarse = nn.ModuleList([conv(4, 8, stride=2), conv(12, 8)])
        self.exits = nn.ModuleList([nn.Linear(8, classes), nn.Linear(8, classes)])

    def answers(self) -> Sequence[Answer]:
        scales = (("scales",),)
        return [Answer("exit1", (*scales, ("exit", 1))), Answer("exit2", (*scales, ("last",), ("exit", 2)))]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("scales",):
                fine = self.fine[0](x).relu()
                return fine, self.coarse[0](fine).relu()
            case ("last",):
                fine, coarse = x
                below = F.adaptive_avg_pool2d(self.fine[1](fine).relu(), coarse.shape[2:])
                return fine, self.coarse[1](torch.cat([below, coarse], 1)).relu()
            case ("exit", k):
                return self.exits[int(k) - 1](x[1].mean((2, 3)))
        raise ValueError(step)

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        static = self.static_points(table, (0, 1), count)
        return [*static, *threshold_points(table, "max_prob", (0, 1), count - len(static))]


class ThreeWidths(Own):
    """The first channels of every layer are a network of their own (Slimmable networks, Yu et al., ICLR 2019)."""

    axis = "width"
    WIDTHS = (2, 4, 8)

    def build(self, classes: int) -> None:
        self.first, self.second = (nn.Parameter(0.2 * torch.randn(8, c, 3, 3)) for c in (3, 8))
        self.classify = nn.Parameter(0.2 * torch.randn(classes, 8))
        self.norms = nn.ModuleDict({str(w): nn.BatchNorm2d(w) for w in self.WIDTHS})

    def answers(self) -> Sequence[Answer]:
        return [Answer(f"w{w}", (("first", w), ("second", w), ("classify", w))) for w in self.WIDTHS]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("first", int(w)):
                return F.conv2d(x, self.first[:w], padding=1)
            case ("second", int(w)):
                return self.norms[str(w)](F.conv2d(x, self.second[:w, :w], padding=1)).relu()
            case ("classify", int(w)):
                return F.linear(x.mean((2, 3)), self.classify[:, :w])
        raise ValueError(step)


class Fractal(Own):
    """Two blocks of two columns that join (FractalNet, Larsson et al., ICLR 2017): either column alone, or both."""

    def build(self, classes: int) -> None:
        shapes = {"1": (3, 4), "2": (4, 8)}
        self.shallow = nn.ModuleDict({block: conv(i, o) for block, (i, o) in shapes.items()})
        self.deep = nn.ModuleDict({block: nn.ModuleList([conv(i, o), conv(o, o)]) for block, (i, o) in shapes.items()})
        self.classify = nn.Linear(8 * 2 * 2, classes)

    def answers(self) -> Sequence[Answer]:
        shallow = chain(("shallow", 1), ("halve",), ("shallow", 2), ("halve",), ("classify",))
        deep = self._deep(self._deep(None, 1).then(("halve",)), 2).then(("halve",), ("classify",))
        both = self._joined(self._joined(None, 1).then(("halve",)), 2).then(("halve",), ("classify",))
        return [Answer("shallow", shallow), Answer("deep", deep), Answer("both", both)]

    def _deep(self, x: Work | None, block: int) -> Work:
        return chain(("deep", block, 0), ("deep", block, 1), start=x)

    def _joined(self, x: Work | None, block: int) -> Work:
        return Work(("join",), (Work(("shallow", block), (x,)), self._deep(x, block)))

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("shallow", block):
                return self.shallow[str(block)](x).relu()
            case ("deep", block, k):
                return self.deep[str(block)][int(k)](x).relu()
            case ("join",):
                return sum(x) / len(x)
            case ("halve",):
                return F.max_pool2d(x, 2)
            case ("classify",):
                return self.classify(F.adaptive_avg_pool2d(x, 2).flatten(1))  # as it is where images are 8 x 8
        raise ValueError(step)


class Averaging(Own):
    """Networks whose answers are averaged; a third is asked where two do not agree."""

    axis, decision = "network", "per-sample"

    def build(self, classes: int) -> None:
        def network() -> nn.Module:
            layers = (conv(3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
            return nn.Sequential(*layers, nn.Linear(16, classes))

        self.networks = nn.ModuleList(network() for _ in range(3))

    def answers(self) -> Sequence[Answer]:
        first, second, third = (chain(("network", k)) for k in range(3))
        return [
            Answer("one", (("network", 0),)),
            Answer("two", Work(("mean",), (first, second))),
            Answer("three", Work(("mean",), (first, second, third))),
        ]

    def probes(self) -> Sequence[Probe]:
        return [Probe("agreement", Work(("agreement",), (chain(("network", 0)), chain(("network", 1)))))]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("network", k):
                return self.networks[int(k)](x)
            case ("mean",):
                return torch.stack(x).mean(0)
            case ("agreement",):
                same = (x[0].softmax(1) * x[1].softmax(1)).sum(1)
                return torch.stack([same, 1 - same], 1)
        raise ValueError(step)

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        static = self.static_points(table, range(3), count - 1)
        doubt = -float((1 - 2 * table.probes["agreement"][:, 0]).mean())
        routed = OperatingPoint(name="agreement", router=Argmax(probe=3, options=(1, 2), bias=(0.0, doubt)))
        return [*static, routed]
