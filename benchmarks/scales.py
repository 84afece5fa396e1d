"""Scale sensitivity: how alike a network's predictions are when the same image comes at several sizes.

Kuen et al. (CVPR 2018) report the mean cosine similarity of the predicted probabilities over pairs of test
scales. Here images are resized (`methods.resizing`) and not resized back: the networks end in global pooling and
take what they get. The full side is the image untouched. Which sides are taken is a choice, and the figure
depends on it.
"""

import json
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks import vouched
from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import Progress
from benchmarks.core.written import write_text
from benchmarks.data.batches import Images
from benchmarks.evaluation.collecting import batch_size
from benchmarks.stats.inference import Interval, bootstrap
from benchmarks.stored import Trained
from methods.base import AdjustableModel
from methods.resizing import resized

SIMILARITY, ACCURACY = "scale-sensitivity.csv", "scale-accuracy.csv"
RECORD = "scales.json"
"""Vouches for both tables."""


@dataclass(frozen=True)
class Scaled:
    """What one model's full answer says at s sides on n images: mean pairwise similarity of the probabilities
    [n], which answers are right [s, n], and the sides in pixels."""

    similarity: NDArray[np.float64]
    correct: NDArray[np.bool_]
    sides: tuple[int, ...]


def sides(full: int, shares: Sequence[float]) -> tuple[int, ...]:
    """The distinct sides in pixels that these shares of the `full` one come to, smallest first; halves to even."""
    return tuple(sorted({max(round(full * share), 1) for share in shares}))


def mean_similarity(probabilities: Sequence[Tensor]) -> Tensor:
    """Mean cosine similarity over all pairs of probability vectors [n, classes] of the same images, [n]."""
    unit = [F.normalize(vectors.double(), dim=1) for vectors in probabilities]
    return torch.stack([(a * b).sum(1) for a, b in combinations(unit, 2)]).mean(0)


@torch.inference_mode()
def scaled(
    model: AdjustableModel, images: Images, samples: NDArray[np.int64], shares: Sequence[float]
) -> Generator[Progress, None, Scaled]:
    """The full answer of `model` on `samples` at every side, batch by batch: memory does not grow with them."""
    model.eval()
    whole, full = min(images.size), model.graph.names[-1]
    found = sides(whole, shares)
    similarity, correct, done = [], [], 0
    for inputs, labels in images.batches(samples, batch_size(images)):
        sizes = (inputs if side == whole else resized(inputs, side) for side in found)
        logits = [model.trace(images_of_a_size, [full])[full].float() for images_of_a_size in sizes]
        similarity.append(mean_similarity([said.softmax(1) for said in logits]).cpu().numpy())
        correct.append(torch.stack([said.argmax(1) == labels for said in logits]).cpu().numpy())
        done += len(labels)
        yield Progress(done, len(samples))
    return Scaled(np.concatenate(similarity), np.concatenate(correct, axis=1), found)


@dataclass(frozen=True)
class Alike:
    """One model's similarity `above` that of the plain network of its seed, over `images`, at `sides` in pixels."""

    label: str
    seed: int
    above: Interval
    images: int
    sides: str


def stored(folder: Path) -> list[Alike]:
    """What `scales` wrote into a folder; nothing where it did not. UsageError, one line, where it is damaged."""
    if not (folder / SIMILARITY).is_file():
        return []
    similarity, accuracy = (vouched.rows(folder, name, RECORD) for name in (SIMILARITY, ACCURACY))
    try:
        return _alike(similarity, accuracy)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{folder / SIMILARITY} is none of this version ({error}): run `scales` again") from None


def _alike(similarity: Sequence[dict[str, str]], accuracy: Sequence[dict[str, str]]) -> list[Alike]:
    sides = ", ".join(map(str, sorted({int(row["side"]) for row in accuracy})))
    return [
        Alike(
            row["method"] if row["variant"] == "default" else f"{row['method']}:{row['variant']}",
            int(row["seed"]),
            Interval(*(float(row[name] or "nan") for name in ("above_plain", "above_low", "above_high"))),
            int(row["images"]),
            sides,
        )
        for row in similarity
    ]


def write(folder: Path, similarity: str, accuracy: str) -> tuple[Path, ...]:
    """Write both tables, CSV, and the record that vouches for them; gives the tables' paths."""
    paths = folder / SIMILARITY, folder / ACCURACY
    for path, text in zip(paths, (similarity, accuracy), strict=True):
        write_text(path, text)
    record = received.sealed({"files": vouched.hashes(folder, (SIMILARITY, ACCURACY))})
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return paths


def rows_of(measured: Sequence[tuple[Trained, Scaled]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One row a model: its similarity, and how much higher it is than that of the plain network of its seed; and
    one row a model and size: its accuracy there.

    Both intervals are bootstrapped over the images. Without a plain network the difference is missing.
    """
    plain = {model.seed: found.similarity for model, found in measured if model.label == "plain"}
    similarities, accuracies = [], []
    for model, found in measured:
        about = {"method": model.method, "variant": model.variant, "seed": model.seed}
        own, more = bootstrap(found.similarity), Interval(math.nan, math.nan, math.nan)
        if model.seed in plain and model.label != "plain":
            more = bootstrap(found.similarity - plain[model.seed])
        similarities.append({
            **about, "images": len(found.similarity), "similarity": own.mean, "low": own.low, "high": own.high,
            "above_plain": more.mean, "above_low": more.low, "above_high": more.high,
        })  # fmt: skip
        accuracies += [
            {**about, "side": side, "accuracy": float(right.mean())}
            for side, right in zip(found.sides, found.correct, strict=True)
        ]
    return similarities, accuracies
