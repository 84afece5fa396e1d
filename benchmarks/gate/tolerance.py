"""The tolerance of this host: what its calibration found, kept in the user's cache folder."""

import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.core.environment import describe
from benchmarks.core.written import write_text
from benchmarks.data.cache import folder
from benchmarks.gate.shift import TOLERANCE
from benchmarks.store import key_of


def machine() -> dict[str, Any]:
    """What a tolerance belongs to: processor, system, torch."""
    environment = describe(torch.device("cpu"))
    return {name: environment[name] for name in ("cpu", "platform", "python", "torch")}


def calibrated(batch: int, threads: int) -> float | None:
    """The tolerance found on this machine with this batch size and threads; None if nobody calibrated it."""
    try:
        stored = json.loads(_path(batch, threads).read_text(encoding="utf-8"))
        return float(stored["tolerance"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(batch: int, threads: int, summary: dict[str, Any]) -> Path:
    """Keep a calibration's summary; where it is."""
    path = _path(batch, threads)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"machine": machine(), **summary}, indent=1) + "\n")
    return path


def tolerance(batch: int, threads: int, asked: float | None) -> tuple[float, str]:
    """The tolerance to use, and where it is from."""
    if asked is not None:
        return asked, "given"
    found = calibrated(batch, threads)
    return (TOLERANCE, "default, not calibrated here") if found is None else (found, "calibrated here")


def _path(batch: int, threads: int) -> Path:
    key = key_of({**machine(), "batch": batch, "threads": threads})
    return folder() / "gate" / f"{key[:16]}.json"
