"""What methods with early exits share: where exits lie on a trunk, the answers they give, and running a head."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from methods.backbones.base import Backbone
from methods.base import AdjustableModel, Answer, Step
from methods.errors import MethodError


def checked(positions: Sequence[int], backbone: Backbone) -> tuple[int, ...]:
    """Blocks behind which exits lie, 0 being the stem; MethodError unless they rise and leave the last block."""
    last = sum(backbone.stages)
    if not positions or list(positions) != sorted(set(positions)) or not 0 <= positions[0] <= positions[-1] < last:
        raise MethodError(f"positions must rise within 0 to {last - 1}, got {list(positions)}")
    return tuple(positions)


class Exits(AdjustableModel):
    """A backbone with a head behind each of the blocks `positions` (0: the stem)."""

    positions: tuple[int, ...]
    heads: nn.ModuleList

    def answers(self) -> Sequence[Answer]:
        """Exit k is the trunk up to its branch and head k alone; the last exit is the plain network."""
        trunk = self.backbone.work()
        early = [
            Answer(f"exit{k}", (*trunk[: trunk.index(("body", position + 1))], ("exit", k)))
            for k, position in enumerate(self.positions, start=1)
        ]
        return [*early, Answer(f"exit{len(early) + 1}", trunk)]

    def step(self, step: Step, x: Any) -> Any:
        match step:
            case ("exit", k):
                return self.heads[int(k) - 1](x)
        return super().step(step, x)
