"""Path tables and batch-norm statistics, collected in one sweep over a split."""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.core.progress import Progress
from benchmarks.data.batches import Images
from methods.base import AdjustableModel
from methods.cost import Costs, Metered
from methods.errors import MethodError
from methods.table import PER_ANSWER, PathTable, columns

BATCH = 256
"""Images per batch of a sweep, as long as they are small."""
PIXELS = BATCH * 64 * 64
"""Pixels per batch at most, so that large images do not fill the memory."""


def batch_size(images: Images) -> int:
    """Images per batch of a sweep over images of this size; at least 16, for batch-norm statistics."""
    height, width = images.size
    return min(BATCH, max(16, PIXELS // (height * width)))


@torch.inference_mode()
def collect(
    model: AdjustableModel,
    costs: Costs,
    images: Images,
    samples: NDArray[np.int64],
    sample_id: NDArray[np.int64] | NDArray[np.str_],
) -> Generator[Progress, None, PathTable]:
    """What every answer of `model` says on `samples`, each distinct node of work run once per batch.

    What nodes that vary spend on each image is measured meanwhile. MethodError where that is not finite.
    """
    model.eval()
    names = model.graph.names
    found: dict[str, list[list[NDArray[Any]]]] = {c: [[] for _ in names] for c in PER_ANSWER}
    probes: dict[str, list[NDArray[np.float32]]] = {name: [] for name in model.graph.probes}
    done = 0
    metered = Metered(model.run_node, costs)
    for inputs, labels in images.batches(samples, batch_size(images)):
        for answer, logits in model.trace(inputs, run=metered).items():
            if not bool(logits.isfinite().all()):
                raise MethodError(
                    f"{answer} says numbers that are not finite: no accuracy of such a model means anything"
                )
            if answer in probes:
                probes[answer].append(logits.float().cpu().numpy())
                continue
            for name, values in columns(logits, labels).items():
                found[name][names.index(answer)].append(values)
        done += len(labels)
        yield Progress(done, len(samples))
    arrays: dict[str, Any] = {name: np.stack([np.concatenate(c) for c in rows]) for name, rows in found.items()}
    labels_seen = images.labels[torch.from_numpy(samples).to(images.labels.device)].cpu().numpy()
    said = {name: np.concatenate(parts) for name, parts in probes.items()}
    return PathTable(
        names, costs, labels=labels_seen, sample_id=sample_id, probes=said, spent=metered.spent,
        distance=metered.distance, **arrays,
    )  # fmt: skip


def collect_statistics(
    model: AdjustableModel, images: Images, samples: NDArray[np.int64]
) -> Generator[Progress, None, None]:
    """Batch-norm statistics of every variant from the one fixed list of training images."""
    model.collect_statistics(inputs for inputs, _ in images.batches(samples, batch_size(images)))
    yield Progress(len(samples), len(samples))
