"""The files of a finished run: run.json, points.csv, latency.csv, and what reports make of them."""

import hashlib
import json
from typing import Any

import pandas as pd

from benchmarks import points
from benchmarks.outcome import Outcome, Result
from benchmarks.plan import Plan
from benchmarks.store import Store, write_text
from benchmarks.timing import history
from benchmarks.timing.bench import machine
from methods.resizing import RESIZING

SCHEMA_VERSION = 1
COUNTERS_AGREE = 0.01
"""torch's counter and ptflops may differ by this share: ptflops counts biases as well."""


def write(plan: Plan, store: Store, outcome: Outcome) -> None:
    """Write the records of a run; each file is complete or as it was before."""
    rows = [row for result in outcome.results for row in _rows(result)]
    table = pd.DataFrame(rows, columns=list(points.COLUMNS))
    write_text(store.root / "points.csv", table.to_csv(index=False))
    models = [_model(result) for result in outcome.results]
    hashes = {model["job"]: model["weights_sha256"] for model in models}
    timed = history.history(store.root, hashes, machine(outcome.environment))  # also what `time` did before
    history.write(store.root, timed)
    record = _run(plan, store, outcome, models) | {"timing": timed.conditions}
    write_text(store.root / "run.json", json.dumps(record, indent=1) + "\n")


def _rows(result: Result) -> list[dict[str, Any]]:
    return points.rows(result.identity, result.tables, result.points, result.executed)


def _run(plan: Plan, store: Store, outcome: Outcome, models: list[dict[str, Any]]) -> dict[str, Any]:
    data, parts = plan.data, plan.parts
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.folder.name,
        "configuration": _configuration(plan),
        "recipe": plan.recipe.model_dump(mode="json"),
        "environment": outcome.environment,
        "data": {
            "name": plan.dataset,
            "train_fingerprint": data.train.fingerprint,
            "test_fingerprint": data.test.fingerprint,
            "classes": list(data.classes),
            "train_images": len(parts.train),
            "calibration_images": len(parts.fit) + len(parts.select),
            "test_images": len(data.test.labels),
            "image_shape": list(plan.image_shape),
            "resizing": RESIZING,
        },
        "models": models,
        "jobs": [
            {
                "key": record.key, "kind": record.kind, "name": record.name, "status": "done",
                "seconds": record.seconds, "reused": record.key in store.reused,
            }
            for record in outcome.records
        ],
        "plain_macs": outcome.counters,
        "warnings": _warnings(plan, outcome),
        "uncounted_operators": sorted({op for result in outcome.results for op in result.uncounted}),
        "failures": outcome.failures,
    }  # fmt: skip


def _configuration(plan: Plan) -> dict[str, Any]:
    """The configuration without folders of this machine; where the data lay is left for the reader to fill in."""
    asked = plan.config.model_dump(mode="json", exclude={"output", "data_root"})
    return asked | ({"data_root": "DATA_ROOT"} if plan.config.data_root else {})


def _warnings(plan: Plan, outcome: Outcome) -> list[str]:
    """What a reader of the results has to know."""
    found = [f"{candidate.label}: {line}" for candidate in plan.candidates for line in candidate.warnings]
    found += [f"{result.job}: {line}" for result in outcome.results for line in result.remarks]
    by_torch, by_ptflops = outcome.counters.get("torch"), outcome.counters.get("ptflops")
    if not by_torch or not by_ptflops or abs(by_ptflops / by_torch - 1) > COUNTERS_AGREE:
        found.append(f"counters disagree on the plain network: torch {by_torch}, ptflops {by_ptflops} MACs")
    found += [
        f"{result.job} at {agreement.point}: what is executed differs from the table "
        f"on {agreement.different} of {agreement.images} images in batches of {agreement.batch}"
        for result in outcome.results
        for agreement in result.agreements
        if not agreement.holds
    ]
    return found


def _model(result: Result) -> dict[str, Any]:
    """What is needed to recompute a model's rows: files, hashes, routers, and the execution check."""
    return {
        "job": result.job,
        "method": result.identity.method,
        "variant": result.identity.variant,
        "backbone": result.identity.backbone,
        "seed": result.identity.seed,
        "weights_sha256": hashlib.sha256(result.model.read_bytes()).hexdigest(),
        "settings": result.candidate.settings.model_dump(mode="json"),
        "points": [point.model_dump(mode="json") for point in result.points],
        "executed_against_simulated": [agreement.model_dump() for agreement in result.agreements],
    }
