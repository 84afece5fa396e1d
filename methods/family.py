"""Several networks, each trained on its own, behind one interface: the base of `netselect` and `static`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from methods.backbones import build
from methods.backbones.base import Backbone
from methods.base import AdjustableModel, Answer, ImageShape, Kind, MethodSettings, Network, Stage, Step
from methods.counting import count
from methods.errors import MethodError
from methods.foreign import Foreign, parted
from methods.resizing import resizing

FULL = "full"


class Member(NamedTuple):
    """One network: its name, where it stands in the model, its work, and what it is trained as."""

    name: str
    part: str
    work: tuple[Step, ...]
    network: Network | None


class Family(AdjustableModel):
    """Networks of rising cost, the backbone itself among them.

    Nothing is trained here: every network of the suite is a training of its own, shared with whoever else asks
    for it.
    """

    def __init__(self, backbone: Backbone, settings: MethodSettings, image_shape: ImageShape) -> None:
        super().__init__(backbone, settings, image_shape)
        self.networks = nn.ModuleList()
        self.members = self._by_cost([self._member(network) for network in self.smaller()])

    def smaller(self) -> Sequence[str | Network]:
        """The networks beside the backbone: of the suite, or `FILE.py:FUNCTION` for a module of the user's."""
        raise NotImplementedError

    def _member(self, given: str | Network) -> Member:
        """Add one network to the model."""
        place = len(self.networks)
        if isinstance(given, str):
            self.networks.append(Foreign(given))
            file, function = parted(given)
            return Member(f"{file.stem}.{function}", f"networks.{place}", (("on", place, "all"),), None)
        network = build(given.backbone, self.backbone.classes)
        self.networks.append(network)
        given = given._replace(backbone=network.spec)
        name = network.spec
        if given.size:
            name = f"{given.size}px" if name == self.backbone.spec else f"{name} {given.size}px"
        side = given.size or min(self.image_shape[1:])
        steps = tuple(("on", place, *step) for step in network.work())
        return Member(name, f"networks.{place}", (*resizing(side, self.image_shape), *steps), given)

    def _by_cost(self, members: list[Member]) -> tuple[Member, ...]:
        """Members in the order of what they cost; MethodError where one is named twice."""
        full = Member(FULL, "backbone", self.backbone.work(), Network(self.backbone.spec))
        macs = {member.name: self._macs(member) for member in (*members, full)}
        if len(macs) <= len(members):
            raise MethodError(f"a network is named twice among {', '.join(m.name for m in members)}")
        if any(self._is_backbone(member.network) for member in members):
            raise MethodError(f"the backbone {self.backbone.spec} is a member without being named")
        return tuple(sorted((*members, full), key=lambda member: macs[member.name]))

    def _is_backbone(self, network: Network | None) -> bool:
        own = (None, min(self.image_shape[1:]))
        return network is not None and network.backbone == self.backbone.spec and network.size in own

    @torch.no_grad()
    def _macs(self, member: Member) -> int:
        """MACs of one network, by executing it once."""
        image, training = torch.zeros(1, *self.image_shape), self.training
        self.eval()

        def run() -> Tensor:
            x = image
            for step in member.work:
                x = self.step(step, x)
            return x

        try:
            counted = count(run)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise MethodError(f"{member.name} cannot run on an image {list(self.image_shape)}: {reason}") from error
        self.train(training)
        logits = counted.result
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if shape != [1, self.backbone.classes]:
            raise MethodError(f"{member.name} gives {shape}, expected [1, {self.backbone.classes}] logits")
        return counted.macs

    def answers(self) -> Sequence[Answer]:
        """One network an answer, the cheapest first."""
        return [Answer(member.name, member.work) for member in self.members]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("on", place, *inner):
                network = self.networks[int(place)]
                if isinstance(network, Foreign):
                    return network(self.unit(x))
                assert isinstance(network, Backbone)
                return network.step(tuple(inner), x)
        return super().step(step, x)

    def kind(self, step: Step) -> Kind:
        match step:
            case ("on", place, *inner) if isinstance(network := self.networks[int(place)], Backbone):
                return network.kind(tuple(inner))
        return super().kind(step)

    def initial_weights(self) -> Mapping[str, Network | Path]:
        return {member.part: member.network for member in self.members if member.network is not None}

    def stages(self) -> Sequence[Stage]:
        """None: the networks come trained."""
        return []

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError("the networks of a family are trained one by one")

    def training_macs(self, costs: object) -> float:
        return 0.0
