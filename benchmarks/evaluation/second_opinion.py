"""Two opinions on what operating points execute: the count, and torch's profiler.

The count rests on dispatch modes, the profiler does not; where they differ, work is hidden from one of them. Elements
that operators outside the convention touch, next to MACs, show products that are spelled as something else.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from benchmarks.data.batches import Images
from benchmarks.evaluation.profiler import record
from methods.base import AdjustableModel
from methods.counting import count
from methods.counting.counter import plain_attention
from methods.routers import OperatingPoint
from methods.routing import simulate
from methods.table import PathTable

SHARE, OVER_PLAIN = 0.25, 4
"""Elements outside the convention for a MAC that are suspicious: more than this, and than so many times plain's."""


class Opinion(BaseModel):
    """What a point took on `images` images: MACs by the count and by the profiler's record, elements outside.

    `untold`: operators whose cost the record cannot tell; where there are any the count is not cross-checked. `alike`:
    whether unwatched, counted and recorded it gave the same logits, bit for bit.
    """

    point: str
    images: int
    macs: int
    recorded: int
    untold: list[str]
    outside: dict[str, int]
    alike: bool

    @property
    def agrees(self) -> bool | None:
        """Whether both say the same MACs; None where they cannot be compared."""
        return None if self.untold else self.macs == self.recorded

    @property
    def share(self) -> float:
        """Elements outside the convention for a MAC."""
        return sum(self.outside.values()) / max(self.macs, 1)


def opinions(
    model: AdjustableModel, points: Sequence[OperatingPoint], table: PathTable, images: Images
) -> list[Opinion]:
    """Execute every trail of every kind of router on an image of the split of `table`, and count it twice.

    A point all of whose trails were executed at an earlier point of its kind is left out. Costs are counted on a CPU: a
    device has operators of its own. MethodError names operators that are not known.
    """
    own = model if images.device.type == "cpu" else copy.deepcopy(model).cpu()
    found, seen = [], set[tuple[type, bytes]]()
    for point in points:
        visited = simulate(table, point.router).visited
        kind = type(point.router)
        firsts = np.sort(np.unique(visited, axis=0, return_index=True)[1])
        new = [row for row in firsts.tolist() if (kind, visited[row].tobytes()) not in seen]
        if new:
            seen |= {(kind, visited[row].tobytes()) for row in new}
            found.append(opinion(own, point, images.inputs(images.take(np.array(new))).cpu()))
    return found


def suspicious(share: float, plain: float) -> bool:
    """Whether elements outside for a MAC are more than those of any sound network, the plain one's being `plain`."""
    return share > max(SHARE, OVER_PLAIN * plain)


@torch.no_grad()
def opinion(model: AdjustableModel, point: OperatingPoint, inputs: Tensor) -> Opinion:
    """Execute a point on inputs [n, c, h, w] unwatched, counted, and recorded."""

    def logits() -> Tensor:
        return model.execute(inputs, point.router).logits

    with plain_attention():
        bare = logits()
    counted, recorded = count(logits), record(logits)
    return Opinion(
        point=point.name,
        images=len(inputs),
        macs=counted.macs,
        recorded=recorded.macs,
        untold=sorted(counted.unshaped | recorded.untold),
        outside=dict(sorted(counted.outside.items())),
        alike=torch.equal(bare, counted.result) and torch.equal(bare, recorded.result),
    )
