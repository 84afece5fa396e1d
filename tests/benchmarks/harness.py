"""Small runs, in process and in silence, for the tests of the harness."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.config import RunConfig, configure
from benchmarks.core.progress import Progress
from benchmarks.data.base import DataSet, Split
from benchmarks.data.batches import InMemory
from benchmarks.plan import prepare
from benchmarks.runner import Outcome, Runner
from benchmarks.training.loop import TrainingSet
from benchmarks.training.recipes import Recipe
from methods.base import AdjustableModel
from methods.registry import create, parse_settings
from methods.table import PathTable
from reports.data import records

SMALL = {"dataset": "digits", "backbone": "resnet8", "epochs": 1, "points": 8, "latency": "off", "threads": 1}
METHODS = "sdpoint,sdpoint:bn=uniform,earlyexit"
RECIPE = Recipe(
    title="tiny", epochs=3, batch=16, lr=0.05, weight_decay=5e-4, warmup=0.5, schedule="cosine"
)  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """A run's folder and what the runner said of it. Tests only read it."""

    folder: Path
    runner: Runner
    outcome: Outcome


def small(folder: Path, **changes: Any) -> RunConfig:
    """A run of two seconds into `folder`."""
    return configure({**SMALL, "output": folder, **changes})


@contextmanager
def silent(description: str) -> Iterator[Callable[[Progress], None]]:
    yield lambda progress: None


def do(config: RunConfig, show: Any = silent) -> tuple[Runner, Outcome]:
    """Plan and run."""
    runner = Runner(prepare(config), show)
    return runner, runner.run()


def job_keys(outcome: Outcome) -> dict[tuple[str, str], str]:
    """Keys of a run's jobs by name and kind."""
    return {(record.name, record.kind): record.key for record in outcome.records}


def tables(folder: Path, split: str) -> dict[str, PathTable]:
    """The path tables of a run by file name."""
    return {path.name: PathTable.load(path) for path in sorted((folder / "paths").glob(f"*.{split}.npz"))}


def same(one: PathTable, other: PathTable) -> bool:
    """Whether two tables hold the same numbers, bit for bit."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("prediction", "label_rank", "max_prob", "margin", "entropy", "loss", "labels")
    )


def points(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "points.csv", **records.EXACT)


def model(name: str = "plain", settings: Mapping[str, str] | None = None, seed: int = 0) -> AdjustableModel:
    """A fresh resnet8 of four channels for 8x8 images of ten classes."""
    return create(name, parse_settings(name, settings or {}), "resnet8:width=4", 10, (3, 8, 8), seed)


def training_set(count: int = 40, flip: bool = True, crop: int = 1) -> TrainingSet:
    """Random 8x8 images with random labels."""
    draws = torch.Generator().manual_seed(5)
    images = InMemory(
        torch.randint(0, 256, (count, 8, 8, 3), dtype=torch.uint8, generator=draws),
        torch.randint(0, 10, (count,), generator=draws),
        torch.full((3,), 1 / 64),
        torch.full((3,), -2.0),
    )
    return TrainingSet(images, np.arange(count), flip, crop)


def unsealed(folder: Path) -> Path:
    """A run whose record vouches for none of its files, as one that somebody wrote by hand."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    del record["seal"], record["files"]
    for model in record["models"]:
        del model["tables_sha256"]
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def poisoned(data: DataSet) -> DataSet:
    """The same training images; noise with permuted labels to test on."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, data.test.images.shape, dtype=np.uint8)
    return replace(data, test=Split(noise, rng.permutation(data.test.labels), data.test.ids))
