"""Whether executed routing is the simulated one, on real images."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.images import Images
from benchmarks.progress import Progress
from methods.base import AdjustableModel
from methods.cost import count
from methods.routers import Constant, OperatingPoint, Threshold, simulate
from methods.table import PathTable

CHECKS = ((1, 64), (7, 256), (256, 512))
"""Batch size, and how many test images are executed with it."""
LARGE = ((1, 16), (7, 28), (64, 64))
"""The same for images of more than 64 pixels a side."""
NEAR = 1e-4
ALLOWED = 0.001


class Agreement(BaseModel):
    """How many of `images` were routed or predicted otherwise than simulated, and how many of these lay
    within NEAR of a threshold or of a tie, where the rounding of another batch shape may decide."""

    point: str
    batch: int
    images: int
    different: int
    near: int
    sample_ids: list[str]

    @property
    def holds(self) -> bool:
        """All differences are explained, and there are at most 0.1% of them (or one)."""
        few = self.different <= max(1, ALLOWED * self.images)
        return few and self.different == self.near


@torch.inference_mode()
def check(
    model: AdjustableModel, points: Sequence[OperatingPoint], table: PathTable, images: Images
) -> Generator[Progress, None, list[Agreement]]:
    """Execute points on images of the split of `table`, the same random ones for all, in batches of several sizes."""
    found = []
    sizes = CHECKS if max(images.pixels.shape[1:3]) <= 64 else LARGE
    order = np.random.default_rng(0).permutation(len(table.labels))
    for point in points:
        for batch, limit in sizes:
            found.append(_compare(model, point, table, images, batch, order[:limit]))
            yield Progress(len(found), len(points) * len(sizes))
    return found


@torch.no_grad()  # not inference mode: operators would be seen before they are broken down
def operators(model: AdjustableModel, points: Sequence[OperatingPoint], images: Images) -> list[str]:
    """The operators of executing points on one image that no counter counts, the router's own among them."""
    image = images.inputs(images.pixels[:1])
    ran = (count(lambda point=point: model.execute(image, point.router).logits)[2] for point in points)  # type: ignore[misc]
    return sorted(frozenset[str]().union(*ran))


def _compare(
    model: AdjustableModel,
    point: OperatingPoint,
    table: PathTable,
    images: Images,
    batch: int,
    samples: NDArray[np.int64],
) -> Agreement:
    """Both the answer that each image was given and its prediction have to be those of the table."""
    part = table.part(samples)
    routed = [model.execute(x, point.router) for x, _ in images.batches(samples, batch)]
    answer = torch.cat([r.answer for r in routed]).cpu().numpy()
    prediction = torch.cat([r.logits.argmax(1) for r in routed]).cpu().numpy()
    simulated = simulate(part, point.router)
    expected = part.prediction[simulated.answer, np.arange(len(samples))]
    differ = np.flatnonzero((answer != simulated.answer) | (prediction != expected))
    return Agreement(
        point=point.name,
        batch=batch,
        images=len(samples),
        different=len(differ),
        near=sum(_near(part, point.router, simulated.visited[sample], int(sample)) for sample in differ),
        sample_ids=[str(part.sample_id[sample]) for sample in differ],
    )


def _near(table: PathTable, router: Constant | Threshold, visited: NDArray[np.bool_], sample: int) -> bool:
    """Whether a signal that decided about this sample lies within NEAR of its threshold, or two classes of a tie."""
    tie = bool((table.margin[visited, sample] <= NEAR).any())
    if isinstance(router, Constant):
        return tie
    values = getattr(table, router.signal)[:, sample]
    exits = zip(router.cascade, router.thresholds, strict=False)
    return tie or any(t is not None and visited[a] and abs(values[a] - t) <= NEAR for a, t in exits)
