"""The suite's own hot paths, ready to be timed: a name -> what sets the work up and returns what is timed.

The perf tests time them alone; the gate times this file on the packages of two commits against each other. So the
work is the same in every process, and only public functions are used that are there to stay.
"""

import runpy
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import sklearn.linear_model  # noqa: F401  # fit_policies would import it while it is timed
import torch
import torch._dynamo  # torch would import it in every process, where MACs are first counted

from benchmarks.stats.frontier import on_frontier, summary
from methods.base import AdjustableModel
from methods.cost import Costs
from methods.learning import fit_policies
from methods.registry import create, parse_settings
from methods.routers import Threshold
from methods.table import PathTable, signal
from methods.thresholds import sweep
from reports.data import tables
from reports.data.records import Run, read
from reports.html.render import page

Work = Callable[[], object]
SHAPE = (3, 32, 32)
_MADE_UP = Path(__file__).parents[1] / "reports" / "made_up.py"


def ready(method: str, backbone: str = "resnet20") -> AdjustableModel:
    """A model with batch-norm statistics, in channels-last memory."""
    model = create(method, parse_settings(method, {}), backbone, 10, SHAPE, seed=0)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.collect_statistics([_images(64)])
    return model


def exits(answers: int, samples: int) -> PathTable:
    """Exits of rising accuracy on images of varying difficulty, and confidences that tell about them."""
    rng = np.random.default_rng(0)
    ease = rng.standard_normal(samples) + np.linspace(0, 1.5, answers)[:, None]
    chance = 1 / (1 + np.exp(-1.5 * ease))
    right = rng.random(ease.shape) < chance
    max_prob = (1 / (1 + np.exp(-1.5 * ease - 0.5 * rng.standard_normal(ease.shape)))).astype(np.float32)
    margin = np.clip(2 * max_prob - 1 + 0.1 * rng.random(ease.shape), 0, 1).astype(np.float32)
    entropy = -max_prob * np.log(max_prob) - (1 - max_prob) * np.log((1 - max_prob) / 9)
    uses = np.hstack([np.tril(np.ones((answers, answers), dtype=bool)), np.eye(answers, dtype=bool)])
    macs = np.repeat([1_000_000, 10_000], answers)
    return PathTable(
        tuple(f"exit{k + 1}" for k in range(answers)),
        Costs(tuple(map(str, range(2 * answers))), macs, uses),
        prediction=np.where(right, 0, 1), label_rank=np.where(right, 0, 1),
        max_prob=max_prob, margin=margin, entropy=entropy, loss=-np.log(chance).astype(np.float32),
        labels=np.zeros(samples, dtype=np.int64), sample_id=np.arange(samples),
    )  # fmt: skip


def _images(n: int) -> torch.Tensor:
    images = torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(0))
    return images.to(memory_format=torch.channels_last)


def _path_table() -> Work:
    model, images = ready("sdpoint", "resnet8"), _images(16)
    return torch.inference_mode()(lambda: model.trace(images))


def _thresholds() -> Work:
    table, thresholds = exits(4, 10_000), np.linspace(0, 2.5, 1000, dtype=np.float32)
    return lambda: sweep(table, "entropy", range(4), thresholds)


def _policies() -> Work:
    table = exits(4, 1000)
    return lambda: fit_policies(table, range(4), 10.0)


def _routing(batch: int) -> Work:
    """16 images in batches, through exits at each of which half of all images would stop."""
    model, images = ready("earlyexit", "resnet8"), _images(16)
    with torch.inference_mode():
        entropies = [signal("entropy", logits) for logits in model.trace(images).values()]
    halves = tuple(float(values.median()) for values in entropies[:-1])
    router = Threshold(signal="entropy", cascade=tuple(range(len(entropies))), thresholds=halves)
    return torch.inference_mode()(lambda: [model.execute(part, router) for part in images.split(batch)])


def _frontier() -> Work:
    rng = np.random.default_rng(0)
    cost = rng.random(5000)
    accuracy = 0.9 * cost**0.2 + 0.05 * rng.random(5000)
    return lambda: (on_frontier(cost, accuracy), summary(cost, accuracy, accuracy, 1.0, 0.1))


def _run() -> Run:
    """A made-up run of three methods with controls, one seed; nothing is timed: a second chart is more of the same."""
    write_run = runpy.run_path(str(_MADE_UP))["write_run"]
    with TemporaryDirectory() as folder:
        return read(write_run(Path(folder) / "run", timed=False))


def _tables() -> Work:
    run = _run()
    return lambda: (tables.budgets(run), tables.summaries(run), tables.controls(run))


def _report() -> Work:
    run = _run()
    page([run])  # bundles the page's scripts, once a process
    return lambda: page([run])


HOT_PATHS: dict[str, Callable[[], Work]] = {
    "path table: sdpoint on resnet8, 16 images": _path_table,
    "routing: early exits on resnet8, 16 images one by one": lambda: _routing(1),
    "routing: early exits on resnet8, 16 images at once": lambda: _routing(16),
    "thresholds: 1,000 on 10,000 samples": _thresholds,
    "learned policies: 4 answers, 1,000 samples": _policies,
    "frontier: 5,000 points": _frontier,
    "report: its tables": _tables,
    "report: the page": _report,
}
