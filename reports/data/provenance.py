"""Where the figures of a page come from: the runs, their commands, and what has to be known of them."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import pandas as pd

from reports.data.records import Run
from reports.data.series import machine_of, training_of

DETAILED = 6
"""Runs whose configuration, environment and jobs are written out; of more there is a table."""
SAID = 40
"""Warnings and failures that are written out."""
# The options of `run` that a configuration answers, in the order in which they are written.
_OPTIONS = (
    "methods", "dataset", "data_root", "dataset_name", "backbone", "recipe", "epochs", "seeds", "device",
    "threads", "points", "latency", "routing", "plugin",
)  # fmt: skip


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run, with what its points are loaded by: `folder` is missing where it cannot be loaded from here."""
    return pd.DataFrame([_row(run) for run in runs])


def command(run: Run) -> str:
    """The command line that repeats the run, from its configuration, in one line."""
    configuration = run.section("configuration")
    words = ["python", "-m", "benchmarks", "run"]
    for option in _OPTIONS:
        value = configuration.get(option)
        if option == "plugin":
            words += [word for file in value or () for word in ("--plugin", str(file))]
        elif value not in (None, "", []):
            words += ["--" + option.replace("_", "-"), _text(value)]
    settings = configuration.get("set") or {}
    if isinstance(settings, dict):
        settings = [f"{name}={_text(value)}" for name, value in settings.items()]
    for setting in settings:
        words += ["--set", str(setting)]
    if configuration.get("reference") is False:
        words.append("--no-reference")
    return shlex.join(" ".join(word.split()) for word in words)


def warnings(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Each warning with how many runs have it, the most frequent first; SAID of them."""
    return Counter(str(text) for run in runs for text in run.entries("warnings")).most_common(SAID)


def failures(runs: Sequence[Run]) -> list[dict[str, str]]:
    """What failed, with its run where there are several; SAID of them."""
    found = [(run, one) for run in runs for one in run.entries("failures")][:SAID]
    of = {id(run): f" of {run.name}" if len(runs) > 1 else "" for run in runs}
    return [{"name": f"{one.get('name')}{of[id(run)]}", "message": str(one.get("message"))} for run, one in found]


def uncounted(runs: Sequence[Run]) -> list[str]:
    """The operators that some run executed and did not count."""
    return sorted({str(name) for run in runs for name in run.entries("uncounted_operators")})


def _row(run: Run) -> dict[str, Any]:
    data, environment = run.section("data"), run.section("environment")
    classes = data.get("classes")
    commit = str(environment.get("commit") or "")
    return {
        "name": run.name,
        "folder": str(run.folder) if (run.folder / "models").is_dir() else None,
        "plugins": repr([PurePath(str(file)).name for file in run.section("configuration").get("plugin") or []]),
        "dataset": data.get("name"),
        "training": training_of(run),
        "seeds": ", ".join(map(str, run.seeds)),
        "machine": machine_of(run, str(environment.get("device") or "cpu")),
        "suite": environment.get("suite_version"),
        "torch": environment.get("torch"),
        "commit": commit[:10] + ("+" if environment.get("uncommitted_changes") else ""),
        "fingerprint": str(data.get("test_fingerprint") or "")[:10],
        "shape": ", ".join(str(int(side)) for side in data.get("image_shape") or []),
        "classes": len(classes) if isinstance(classes, list) else int(classes or 0),
    }


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
