"""Whether executed routing is the simulated one, on real images."""

from collections.abc import Generator, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.core.progress import Progress
from benchmarks.data.batches import Images
from methods.base import AdjustableModel
from methods.routers import OperatingPoint
from methods.routing import Routing, closest, simulate
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


def sizes(image: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Batch sizes and numbers of images for images of this height and width."""
    return CHECKS if max(image) <= 64 else LARGE


def agreed(agreements: Iterable[Agreement]) -> frozenset[str]:
    """The points that were executed on test images and gave what the table says, in batches of every size."""
    found = list(agreements)
    return frozenset(one.point for one in found) - {one.point for one in found if not one.holds}


@torch.inference_mode()
def check(
    model: AdjustableModel, points: Sequence[OperatingPoint], table: PathTable, images: Images
) -> Generator[Progress, None, list[Agreement]]:
    """Execute points on images of the split of `table`, the same random ones for all, in batches of several sizes."""
    found = []
    asked = sizes(images.size)
    order = np.random.default_rng(0).permutation(len(table.labels))
    for point in points:
        for batch, limit in asked:
            found.append(compare(model, point, table, images, batch, order[:limit]))
            yield Progress(len(found), len(points) * len(asked))
    return found


def compare(
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
        near=int(_near(part, point, simulated, differ).sum()),
        sample_ids=[str(part.sample_id[sample]) for sample in differ],
    )


def _near(table: PathTable, point: OperatingPoint, routing: Routing, samples: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a decision about these samples lies within NEAR of another, or two classes of a tie, [samples]."""
    some, answers = table.part(samples), slice(0, len(table.answers))
    tie = ((some.margin <= NEAR) & routing.visited[samples, answers].T).any(axis=0)
    near: NDArray[np.bool_] = tie | (closest(some, point.router) <= NEAR)
    return near
