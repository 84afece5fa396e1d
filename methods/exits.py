"""Where exits lie on a trunk, and the answers they give. Shared by methods with early exits."""

from collections.abc import Sequence

from methods.backbones.base import Backbone
from methods.errors import MethodError
from methods.tree import Answer


def checked(positions: Sequence[int], backbone: Backbone) -> tuple[int, ...]:
    """Blocks behind which exits lie, 0 being the stem; MethodError unless they rise and leave the last block."""
    last = sum(backbone.stages)
    if not positions or list(positions) != sorted(set(positions)) or not 0 <= positions[0] <= positions[-1] < last:
        raise MethodError(f"positions must rise within 0 to {last - 1}, got {list(positions)}")
    return tuple(positions)


def exit_answers(backbone: Backbone, positions: Sequence[int]) -> list[Answer]:
    """Exit k is the trunk up to its branch and head k alone; the last exit is the plain network."""
    trunk = backbone.work()
    early = [
        Answer(f"exit{k}", (*trunk[: trunk.index(("body", position + 1))], ("exit", k)))
        for k, position in enumerate(positions, start=1)
    ]
    return [*early, Answer(f"exit{len(early) + 1}", trunk)]
