"""What a version of the code says of trained models: read from a run's records, or executed again now."""

import hashlib
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gate.exact import ModelKey, ModelSeen, PointSeen, Seen
from benchmarks.images import Images
from benchmarks.pathtable import collect
from benchmarks.progress import Progress
from benchmarks.stored import StoredRun, Trained, places
from datasets.base import DataSet
from methods.routing import simulate, trail_macs
from methods.storage import load
from methods.table import PathTable


def key_of(model: Trained) -> ModelKey:
    """Which model this is, whoever trained it."""
    return ModelKey(model.method, model.variant, model.backbone, model.dataset, model.seed)


def recorded(run: StoredRun) -> Seen:
    """What the code that made the run said."""
    fingerprint = run.record["data"]["test_fingerprint"]
    return {key_of(model): _seen(model, model.test(), model.parameters, fingerprint) for model in run.models}


def executed(run: StoredRun, data: DataSet) -> Generator[Progress, None, Seen]:
    """What this code says of the run's weights and points: costs counted and test images answered again.

    Raises MethodError where it cannot load them.
    """
    images = Images.of(data.test, data.mean, data.std, torch.device("cpu"))
    found = {}
    for model in run.models:
        network: Any = load(model.weights, trust=True).to(memory_format=torch.channels_last)
        before = model.test()
        samples = places(data.test.ids, before.sample_id)
        table = yield from collect(network, network.costs(), images, samples, before.sample_id)
        parameters = sum(p.numel() for p in network.parameters())
        found[key_of(model)] = _seen(model, table, parameters, data.test.fingerprint)
    return found


def _seen(model: Trained, table: PathTable, parameters: int, fingerprint: str) -> ModelSeen:
    points = {}
    for point in model.points:
        routing = simulate(table, point.router)
        right = table.correct[routing.answer, np.arange(len(routing.answer))]
        points[point.name] = PointSeen(point.decision == "per-sample", trail_macs(table, routing), right)
    names = (*table.answers, *table.probes)
    outputs = dict(zip(names, map(int, table.costs.outputs()), strict=True))
    ids = hashlib.sha256(table.sample_id.tobytes()).hexdigest()
    return ModelSeen(parameters, outputs, points, f"{fingerprint} {ids}")


def mean_macs(model: Trained) -> NDArray[np.float64]:
    """Mean MACs of each of a model's points on the run's test images, [points]."""
    table = model.test()
    return np.array([trail_macs(table, simulate(table, point.router)).mean() for point in model.points])
