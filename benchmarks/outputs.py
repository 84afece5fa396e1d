"""The files of a finished run: run.json, points.csv, latency.csv, and what reports make of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import vouched
from benchmarks.accumulated import configuration
from benchmarks.core import received
from benchmarks.core.trust import file_of, sha256
from benchmarks.core.written import write_text
from benchmarks.evaluation import points
from benchmarks.evaluation.cross_fit import CrossFit
from benchmarks.evaluation.second_opinion import suspicious
from benchmarks.held_out import source
from benchmarks.outcome import Outcome, Result
from benchmarks.plan import Plan
from benchmarks.store import Store
from benchmarks.timing import history
from benchmarks.timing.bench import machine
from methods.resizing import RESIZING

SCHEMA_VERSION = 1
TABLES = ("points.csv", "latency.csv", "latency-samples.csv")
"""What run.json vouches for."""
COUNTERS_AGREE = 0.01
"""The count and ptflops may differ by this share: ptflops counts biases as well."""


def write(plan: Plan, store: Store, outcome: Outcome) -> None:
    """Write the records of a run; each file is complete or as it was before."""
    rows = [row for result in outcome.results for row in _rows(result, len(plan.data.classes))]
    table = pd.DataFrame(rows, columns=list(points.COLUMNS))
    write_text(store.root / "points.csv", table.to_csv(index=False))
    models = [_model(result) for result in outcome.results]
    hashes = {model["job"]: model["weights_sha256"] for model in models}
    timed = history.history(store.root, hashes, machine(outcome.environment), store.say)  # also what `time` did before
    history.write(store.root, timed)
    about = {"timing": timed.conditions}
    if timed.conditions and "timing_environment" in plan.found:
        about["timing_environment"] = plan.found["timing_environment"]
    write_record(store.root, _run(plan, store, outcome, models) | about)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write run.json, sealed, with the hashes of the tables that lie beside it: readers notice a changed digit."""
    content = received.sealed({**record, "files": vouched.hashes(folder, TABLES)})
    write_text(folder / "run.json", json.dumps(content, indent=1) + "\n")


def _rows(result: Result, classes: int) -> list[dict[str, Any]]:
    return points.rows(result.identity, result.tables, result.points, result.executed, classes, result.cross_fit)


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
            "split": parts.version,
            "calibration_source": source(data, plan.config),
            "calibration_fingerprint": plan.calibrating.fingerprint,
            **({} if plan.fold is None else {"fold": plan.fold.tolist()}),
            "test_images": len(data.test.labels),
            "commonest_class": data.classes[int(np.bincount(data.test.labels).argmax())],
            "chance": _chance(plan),
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
        "uncounted_operators": sorted({op for r in outcome.results for one in r.opinions for op in one.outside}),
        "failures": outcome.failures,
    }  # fmt: skip


def _chance(plan: Plan) -> float:
    """The accuracy of always guessing the commonest class of the test images."""
    labels = plan.data.test.labels
    return float(np.bincount(labels).max() / len(labels))


def _configuration(plan: Plan) -> dict[str, Any]:
    """The configuration of all that lies in the folder, without folders of this machine; where the data lay is left
    for the reader to fill in."""
    folders = {"data_root", "calibration"}
    asked = configuration(plan).model_dump(mode="json", exclude={"output", *folders})
    return asked | {name: name.upper() for name in sorted(folders) if getattr(plan.config, name)}


def _warnings(plan: Plan, outcome: Outcome) -> list[str]:
    """What a reader of the results has to know."""
    found = [*plan.data.warnings, *_imbalance(plan)]
    found += [f"{candidate.label}: {line}" for candidate in plan.everything for line in candidate.warnings]
    found += [f"{result.job}: {line}" for result in outcome.results for line in result.remarks]
    found += _counters(outcome.counters)
    found += [line for result in outcome.results for line in _costs(result, outcome.counters.get("outside_per_mac"))]
    found += [
        f"{result.job} at {agreement.point}: what is executed differs from the table "
        f"on {agreement.different} of {agreement.images} images in batches of {agreement.batch}"
        for result in outcome.results
        for agreement in result.agreements
        if not agreement.holds
    ]
    return found


def _imbalance(plan: Plan) -> list[str]:
    """That a constant guess does well, where one class has most of the test images."""
    labels, classes = plan.data.test.labels, plan.data.classes
    chance = _chance(plan)
    if chance <= max(0.5, 1.5 / len(classes)):
        return []
    name = classes[int(np.bincount(labels).argmax())]
    return [f"always guessing {name} is right on {chance:.1%} of the test images: balanced_accuracy tells more"]


def _counters(counters: Mapping[str, Any]) -> list[str]:
    """What other counters say otherwise of the plain network; those that cannot say anything are left out."""
    counted = counters.get("torch")
    others = {name: counters.get(name) for name in ("profiler", "ptflops")}
    return [
        f"counters disagree on the plain network: counted {counted:,} MACs, {name} {macs:,}"
        for name, macs in others.items()
        if counted and macs and abs(macs / counted - 1) > (COUNTERS_AGREE if name == "ptflops" else 0)
    ]


def _costs(result: Result, plain: float | None) -> list[str]:
    """What makes the costs of a series doubtful."""
    hidden = [one for one in result.opinions if one.agrees is False]
    watched = [one for one in result.opinions if not one.alike]
    spelled = [one for one in result.opinions if plain is not None and suspicious(one.share, plain)]
    untold = sorted({name for one in result.opinions for name in one.untold})
    found = [
        f"{result.job} at {one.point}: {one.macs:,} MACs are counted and {one.recorded:,} recorded by torch's "
        f"profiler: work is hidden from one of them"
        for one in hidden[:1]
    ]
    found += [f"{result.job} at {one.point}: what is answered changes while it is counted" for one in watched[:1]]
    found += [
        f"{result.job} at {one.point}: operators outside the convention touch {one.share:.2f} elements for every MAC, "
        f"in the plain network {plain:.2f}: are products spelled as something else?"
        for one in spelled[:1]
    ]
    found += [f"{result.job}: costs are not cross-checked, the profiler cannot tell {', '.join(untold)}"] * bool(untold)
    return found


def _model(result: Result) -> dict[str, Any]:
    """What is needed to recompute a model's rows: files, hashes, routers, and the execution check."""
    brought = {location: sha256(file_of(location)) for location in result.candidate.settings.files()}
    return {
        "job": result.job,
        "method": result.identity.method,
        "variant": result.identity.variant,
        "backbone": result.identity.backbone,
        "seed": result.identity.seed,
        "weights_sha256": result.hashes["model"],
        "tables_sha256": {split: digest for split, digest in result.hashes.items() if split != "model"},
        "files": brought,
        "settings": result.candidate.settings.model_dump(mode="json"),
        "points": [point.model_dump(mode="json") for point in result.points],
        **({} if result.cross_fit is None else {"cross_fit": _routers(result.cross_fit)}),
        "costs_counted_twice": [opinion.model_dump() for opinion in result.opinions],
        "executed_against_simulated": [agreement.model_dump() for agreement in result.agreements],
    }


def _routers(cross_fit: CrossFit) -> dict[str, list[dict[str, Any]]]:
    """The router of every fold by point, in the order of the folds."""
    return {name: [one.model_dump(mode="json") for one in routers] for name, routers in cross_fit.routers.items()}
