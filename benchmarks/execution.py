"""Whether executed routing is the simulated one, on real images."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.images import Images
from benchmarks.progress import Progress
from methods.base import AdjustableModel
from methods.routers import Constant, OperatingPoint, Threshold, simulate
from methods.table import PathTable

BATCH = 64
NEAR = 1e-4
ALLOWED = 0.001


class Agreement(BaseModel):
    """How many of `images` were routed otherwise than simulated, and how many of these lay within NEAR
    of a threshold, where the rounding of another batch shape may decide."""

    point: str
    images: int
    different: int
    near_threshold: int
    sample_ids: list[str]

    @property
    def holds(self) -> bool:
        """All differences are explained, and there are at most 0.1% of them (or one)."""
        few = self.different <= max(1, ALLOWED * self.images)
        return few and self.different == self.near_threshold


@torch.inference_mode()
def check(
    model: AdjustableModel,
    points: Sequence[OperatingPoint],
    table: PathTable,
    images: Images,
    samples: NDArray[np.int64],
    batch: int = BATCH,
) -> Generator[Progress, None, list[Agreement]]:
    """Execute every per-sample point on `samples` (positions in `table` and `images`) and compare."""
    routed = [point for point in points if isinstance(point.router, Threshold)]
    part, found = table.part(samples), []
    for number, point in enumerate(routed):
        answers = [model.execute(x, point.router).answer for x, _ in images.batches(samples, batch)]
        executed = torch.cat(answers).numpy()
        simulated = simulate(part, point.router).answer
        differ = np.flatnonzero(executed != simulated)
        near = sum(_near(part, point.router, int(sample)) for sample in differ)
        found.append(
            Agreement(
                point=point.name,
                images=len(samples),
                different=len(differ),
                near_threshold=near,
                sample_ids=[str(part.sample_id[sample]) for sample in differ],
            )
        )
        yield Progress(number + 1, len(routed))
    return found


def _near(table: PathTable, router: Constant | Threshold, sample: int) -> bool:
    """Whether one of the sample's signals lies within NEAR of the threshold it is compared with."""
    assert isinstance(router, Threshold)
    values = getattr(table, router.signal)[:, sample]
    exits = zip(router.cascade, router.thresholds, strict=False)
    return any(t is not None and abs(values[answer] - t) <= NEAR for answer, t in exits)
