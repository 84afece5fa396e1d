"""A made-up run folder with the columns of a real one: plain, SDPoint and early exits on a ResNet-20."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.data.records import EXTRAS, Run

PLAIN = 40_813_184
TEST_IMAGES = 2_000
# MACs from each downsampling point on: SDPoint's F(p, r) = F - (1 - r^2) * T_p.
AFTER_POINT = [PLAIN * share for share in (0.87, 0.76, 0.64, 0.54, 0.43, 0.32, 0.22, 0.11, 0.02)]
EXITS = [int(PLAIN * share) for share in (0.36, 0.69, 1.02)]
LABELS = {"backbone": "resnet20", "dataset": "shapes", "split": "test"}


def _wilson(share: float) -> tuple[float, float]:
    half = 1.96 * np.sqrt(share * (1 - share) / TEST_IMAGES)
    return max(share - half, 0.0), min(share + half, 1.0)


def _row(rng: np.random.Generator, seed: int, method: str, point: str, macs: float, accuracy: float, **more: Any):
    seen = round(float(np.clip(accuracy + rng.normal(0, 0.004), 0, 1)) * TEST_IMAGES) / TEST_IMAGES
    low, high = _wilson(seen)
    is_point = more.get("kind", "point") == "point"
    return LABELS | {
        "method": method, "variant": "default", "seed": seed, "point": point, "kind": "point",
        "decision": "static", "execution": "executed" if is_point else "simulated",
        "macs": macs, "macs_low": macs * 0.99, "macs_high": macs * 1.01, "macs_max": macs, "flops": 2 * macs,
        "parameters": 272_474, "storage_bytes": 1_089_896, "train_macs": PLAIN * 3 * 60_000,
        "accuracy": seen, "accuracy_low": low, "accuracy_high": high,
        "accuracy_top5": min(1.0, seen + 0.09), "samples": TEST_IMAGES,
        "selected": False, "on_frontier": False,
        "calibration_macs": macs * (1 + rng.normal(0, 0.004) * ("decision" in more)) if is_point else np.nan,
        "calibration_accuracy": accuracy + rng.normal(0, 0.006) if is_point else np.nan,
    } | more  # fmt: skip


def _sdpoint(rng: np.random.Generator, seed: int) -> list[dict[str, Any]]:
    rows = [_row(rng, seed, "sdpoint", "full", PLAIN, 0.905)]
    for p, after in enumerate(AFTER_POINT, start=1):
        for r in (0.5, 0.75):
            macs = PLAIN - (1 - r * r) * after
            rows.append(_row(rng, seed, "sdpoint", f"p{p}_r{r}", macs, 0.908 - 0.13 * (1 - macs / PLAIN) ** 1.6))
    return rows


def _early_exit(rng: np.random.Generator, seed: int) -> list[dict[str, Any]]:
    right = (0.742, 0.851, 0.901)
    rows = [_row(rng, seed, "earlyexit", f"exit{k}", macs, right[k - 1]) for k, macs in enumerate(EXITS, start=1)]
    for place in np.linspace(0.02, 0.98, 20):
        macs = EXITS[0] + place * (EXITS[2] - EXITS[0])
        static = np.interp(macs, EXITS, right)
        accuracy, per_sample = static + 0.06 * place * (1 - place) ** 0.6, {"decision": "per-sample"}
        point = f"entropy<{(1 - place) ** 2 * 2.1 + rng.uniform(0, 0.01):.4f}"
        rows.append(_row(rng, seed, "earlyexit", point, macs, accuracy, macs_max=EXITS[2] * 1.03, **per_sample))
        random = right[0] + place * (right[2] - right[0])
        rows.append(_row(rng, seed, "earlyexit", point, macs, random, kind="random", **per_sample))
        rows.append(_row(rng, seed, "earlyexit", point, macs, static + 0.004, kind="mixture", **per_sample))
    oracle = _row(
        rng,
        seed,
        "earlyexit",
        "oracle of 3 answers",
        EXITS[0] * 1.4,
        0.957,
        kind="oracle",
        decision="per-sample",
    )
    return [*rows, oracle]


def _frontier(frame: pd.DataFrame, cost: str, accuracy: str) -> pd.Series:
    def beaten(row: pd.Series) -> bool:
        return bool(((frame[cost] < row[cost]) & (frame[accuracy] >= row[accuracy])).any())

    return ~frame.apply(beaten, axis=1) & (frame["kind"] == "point")


def points(seeds: int) -> pd.DataFrame:
    """Every operating point and control of `seeds` trainings."""
    frames = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        plain = [_row(rng, seed, "plain", "full", PLAIN, 0.912)]
        for rows in (plain, _sdpoint(rng, seed), _early_exit(rng, seed)):
            frame = pd.DataFrame(rows)
            own = frame["kind"] == "point"
            frame["selected"] = _frontier(frame[own], "calibration_macs", "calibration_accuracy")
            frame["on_frontier"] = _frontier(frame[own], "macs", "accuracy")
            frames.append(frame.fillna({"selected": False, "on_frontier": False}))
    return pd.concat(frames, ignore_index=True)


def latency(table: pd.DataFrame) -> pd.DataFrame:
    """Batch-1 timings of the selected points of the first seed; one of them flagged."""
    rng = np.random.default_rng(7)
    rows = table[table["selected"] & (table["seed"] == 0)].copy()
    routing = np.where(rows["decision"] == "per-sample", 0.25, 0.0)
    ratio = (0.12 + 0.88 * rows["macs"] / PLAIN + routing) * np.exp(rng.normal(0, 0.02, len(rows)))
    rows = rows[["method", "variant", "backbone", "dataset", "seed", "point"]].assign(
        scenario="batch", backend="eager", precision="float32", device="cpu", threads=1, batch_size=1,
        protocol="quick-1", p50_ms=2.1 * ratio, p90_ms=2.6 * ratio, p99_ms=3.4 * ratio, low_ms=2.05 * ratio,
        high_ms=2.17 * ratio, images_per_s=1000 / (2.1 * ratio), ratio_to_plain=ratio, ratio_low=ratio * 0.97,
        ratio_high=ratio * 1.03, flags="",
    )  # fmt: skip
    rows.loc[rows.index[3], "flags"] = "high spread"
    return rows


def record(seeds: int) -> dict[str, Any]:
    """run.json as a dictionary."""
    names = ["plain", "sdpoint", "earlyexit"]
    return {
        "schema_version": 1,
        "name": "sdpoint-earlyexit-shapes",
        "configuration": {
            "methods": names, "dataset": "shapes", "backbone": "resnet20", "recipe": "cifar", "epochs": 8,
            "seeds": list(range(seeds)), "device": "cpu", "threads": 2, "points": 20, "latency": "quick",
        },
        "environment": {
            "python": "3.11.9", "torch": "2.6.0+cpu", "torchvision": "0.21.0", "platform": "Linux-6.1-x86_64",
            "cpu": "Generic CPU @ 2.60GHz", "threads": 2, "suite_version": "0.1.0",
        },
        "data": {
            "name": "shapes-v1", "train_fingerprint": "9c1f6e0a77aa41e2",
            "test_fingerprint": "0b52c4e19d3f8870", "classes": 10, "chance": 0.1, "train_images": 8000,
            "calibration_images": 800, "test_images": TEST_IMAGES,
            "image_shape": [3, 32, 32],
        },
        "jobs": [
            {"key": f"{name}{seed}"[-8:], "kind": kind, "name": f"{name}-resnet20-s{seed}", "status": "done",
             "seconds": 21.5, "reused": kind == "train" and name == "plain"}
            for seed in range(seeds) for name in names for kind in ("train", "table")
        ],
        "warnings": ["earlyexit exit3 costs 102.0% of the plain network: more than the network it shortens"],
        "uncounted_operators": ["adaptive_avg_pool2d", "batch_norm", "relu"],
        "failures": [],
    }  # fmt: skip


def write_run(folder: Path, seeds: int = 1, *, timed: bool = True) -> Path:
    """A run folder as the harness leaves it, without models and path tables."""
    folder.mkdir(parents=True, exist_ok=True)
    table = points(seeds)
    table.to_csv(folder / "points.csv", index=False)
    if timed:
        latency(table).to_csv(folder / "latency.csv", index=False)
    (folder / "run.json").write_text(json.dumps(record(seeds), indent=1), encoding="utf-8")
    return folder


def many_runs(count: int) -> list[Run]:
    """`count` runs of plain and one or two methods, timed, on 5 data sets and 4 backbones; every variant is another."""
    made = []
    for place in range(8):
        table = points(place + 1).query(f"seed == {place}")
        made.append((table, latency(table.assign(seed=0)).assign(seed=place)))
    return [_another(*made[place % 8], place) for place in range(count)]


def _another(table: pd.DataFrame, timed: pd.DataFrame, place: int) -> Run:
    left_out = [None, "sdpoint", "earlyexit"][place % 3]
    shift = np.random.default_rng(place).normal(0, 0.01)
    where = {"dataset": f"data{place % 5}", "backbone": f"net{place % 4}"}
    accuracies = [name for name in table if name.startswith("accuracy") or name == "calibration_accuracy"]
    table, timed = (one[one["method"] != left_out].assign(**where).reset_index(drop=True) for one in (table, timed))
    table[accuracies] += shift
    for one in (table, timed):
        one["variant"] = np.where(one["method"] == "plain", "default", f"k={place}")
    timed = timed.reindex(columns=[*timed.columns, *EXTRAS]).assign(execution="executed")
    name = f"run{place}"
    return Run(Path("made-up") / name, record(1) | {"name": name}, table, timed)
