"""Whether executed routing is the simulated one, on real images."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from pydantic import BaseModel

from benchmarks.images import Images
from benchmarks.progress import Progress
from methods.base import AdjustableModel
from methods.routers import Constant, OperatingPoint, Threshold, simulate
from methods.table import PathTable

CHECKS = ((1, 64), (7, 256), (256, 512))
"""Batch size, and how many of the first test images are executed with it."""
NEAR = 1e-4
ALLOWED = 0.001


class Agreement(BaseModel):
    """How many of `images` were routed otherwise than simulated, and how many of these lay within NEAR
    of a threshold, where the rounding of another batch shape may decide."""

    point: str
    batch: int
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
    model: AdjustableModel, points: Sequence[OperatingPoint], table: PathTable, images: Images
) -> Generator[Progress, None, list[Agreement]]:
    """Execute per-sample points on the first images of the split of `table`, in batches of every size of CHECKS."""
    found = []
    for point in points:
        for batch, limit in CHECKS:
            found.append(_compare(model, point, table, images, batch, limit))
            yield Progress(len(found), len(points) * len(CHECKS))
    return found


def _compare(
    model: AdjustableModel, point: OperatingPoint, table: PathTable, images: Images, batch: int, limit: int
) -> Agreement:
    samples = np.arange(min(limit, len(table.labels)))
    part = table.part(samples)
    answers = [model.execute(x, point.router).answer for x, _ in images.batches(samples, batch)]
    differ = np.flatnonzero(torch.cat(answers).cpu().numpy() != simulate(part, point.router).answer)
    return Agreement(
        point=point.name,
        batch=batch,
        images=len(samples),
        different=len(differ),
        near_threshold=sum(_near(part, point.router, int(sample)) for sample in differ),
        sample_ids=[str(part.sample_id[sample]) for sample in differ],
    )


def _near(table: PathTable, router: Constant | Threshold, sample: int) -> bool:
    """Whether one of the sample's signals lies within NEAR of the threshold it is compared with."""
    if isinstance(router, Constant):
        return False
    values = getattr(table, router.signal)[:, sample]
    exits = zip(router.cascade, router.thresholds, strict=False)
    return any(t is not None and abs(values[answer] - t) <= NEAR for answer, t in exits)
