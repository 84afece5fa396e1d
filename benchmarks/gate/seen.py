"""What a version of the code says of trained models: read from a run's records, or executed again now."""

import hashlib
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.core.progress import Progress
from benchmarks.core.trust import NOTHING, Trust
from benchmarks.data.base import DataSet
from benchmarks.data.batches import Images
from benchmarks.evaluation.collecting import collect
from benchmarks.evaluation.execution import Agreement, check
from benchmarks.gate.exact import ModelKey, ModelSeen, PointSeen, Seen
from benchmarks.models import built
from benchmarks.stored import StoredRun, Trained, places
from methods.routing import simulate, trail_macs
from methods.table import PathTable


def key_of(model: Trained) -> ModelKey:
    """Which model this is, whoever trained it."""
    return ModelKey(model.method, model.variant, model.backbone, model.dataset, model.seed)


def recorded(run: StoredRun) -> Seen:
    """What the code that made the run said."""
    fingerprint = run.record["data"]["test_fingerprint"]
    entries = {entry["job"]: entry for entry in run.record["models"]}
    found = {}
    for model in run.models:
        model.check_one_router()
        agreements = [Agreement.model_validate(one) for one in entries[model.job]["executed_against_simulated"]]
        seen = _seen(model, model.test(), model.parameters, fingerprint, entries[model.job]["weights_sha256"])
        found[key_of(model)] = replace(seen, astray=_astray(agreements), said=model.said)
    return found


def executed(run: StoredRun, data: DataSet, trust: Trust = NOTHING) -> Generator[Progress, None, Seen]:
    """What this code says of the run's weights and points: costs counted, test images answered, points executed.

    On the CPU with one thread. Raises MethodError where it cannot load the models, UsageError where it must not.
    """
    images = Images.of(data.test, data.mean, data.std, torch.device("cpu"))
    entries = {entry["job"]: entry for entry in run.record["models"]}
    found = {}
    for model in run.models:
        model.check_one_router()
        network: Any = built(run, model, trust).to(memory_format=torch.channels_last)
        before = model.test()
        samples = places(data.test.ids, before.sample_id)
        table = yield from collect(network, network.costs(), images, samples, before.sample_id)
        agreements = yield from check(network, model.points, table, images)
        parameters = sum(p.numel() for p in network.parameters())
        weights = entries[model.job]["weights_sha256"]
        seen = _seen(model, table, parameters, data.test.fingerprint, weights)
        found[key_of(model)] = replace(seen, astray=_astray(agreements))
    return found


def _astray(agreements: Sequence[Agreement]) -> dict[str, int]:
    """Images that rounding does not explain, by point."""
    found: Counter[str] = Counter()
    for agreement in agreements:
        found[agreement.point] += 0 if agreement.holds else agreement.different
    return dict(found)


def _seen(model: Trained, table: PathTable, parameters: int, fingerprint: str, weights: str) -> ModelSeen:
    points = {}
    for point in model.points:
        routing = simulate(table, point.router)
        right = table.correct[routing.answer, np.arange(len(routing.answer))]
        points[point.name] = PointSeen(table.decision(point) == "per-sample", trail_macs(table, routing), right)
    names = (*table.answers, *table.probes)
    outputs = dict(zip(names, map(int, table.costs.outputs()), strict=True))
    ids = hashlib.sha256(table.sample_id.tobytes()).hexdigest()
    return ModelSeen(parameters, outputs, points, f"{fingerprint} {ids}", weights)
