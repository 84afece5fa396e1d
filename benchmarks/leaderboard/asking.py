"""The command that makes an entry: written from a run's configuration, and judged against what the entry shows."""

import datetime
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.config import RunConfig, configure
from benchmarks.errors import UsageError
from benchmarks.leaderboard.entry import Asked, Entry
from benchmarks.recipes import adjusted
from methods.errors import MethodError
from methods.registry import parse_settings

OPTIONS = tuple(name for name in Asked.model_fields if name not in ("methods", "set"))
"""In the order a command names them."""


def configuration(record: Mapping[str, Any], label: str, seeds: Sequence[int]) -> Asked:
    """What of a run's configuration makes one method's part of it, with the seeds that there are."""
    own = {name: record[name] for name in OPTIONS if record.get(name) is not None}
    owners, settings = (record["dataset"], "recipe"), record.get("set", {})
    kept = {key: value for key, value in settings.items() if key.partition(".")[0] in owners}
    empty = dict.fromkeys(OPTIONS)
    return Asked.model_validate({**empty, **own, "methods": [label], "seeds": list(seeds), "set": kept})


def command(asked: Asked) -> str:
    """The command line of a configuration, without what it is by default; seeds are always said."""
    words = ["python", "-m", "benchmarks", "run", "--methods", *asked.methods]
    for name in OPTIONS:
        value = getattr(asked, name)
        if name == "seeds" or value not in (None, (), RunConfig.model_fields[name].default):
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    for key, value in asked.set.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words)


def problems(entry: Entry, today: datetime.date | None = None) -> list[str]:
    """What of an entry its command does not give: the method, data, backbone, recipe and seeds; and its day."""
    found = _day(entry.date, today or datetime.datetime.now(datetime.UTC).date())
    asked = entry.configuration
    if entry.command != (given := command(asked)):
        found.append(f"its configuration is that of '{given}'")
    try:
        config = configure({**asked.model_dump(exclude={"plugin"}), "reference": False})
        (spec,) = config.specs()
        settings = parse_settings(spec.name, spec.settings).model_dump(mode="json")
        recipe = adjusted(config.recipe, config.epochs, config.group("recipe")).model_dump(mode="json")
    except (UsageError, MethodError, ValueError) as error:
        return [*found, f"its command is none of this suite: {' '.join(str(error).split())}"]
    del recipe["title"]
    given_and_shown = {
        "method": (spec.name, entry.method),
        "settings": (settings, entry.settings),
        "backbone": (config.backbone, entry.backbone),
        "dataset": (config.dataset, entry.dataset.source),
        "settings of the data set": (config.group(config.dataset), entry.dataset.settings),
        "name of the data set": (config.dataset_name or entry.dataset.name, entry.dataset.name),
        "recipe": (recipe, entry.training.recipe),
        "seeds": (sorted(config.seeds), sorted(entry.seed_numbers)),
    }
    return found + [
        f"its command has the {name} {given}, the entry {shown}"
        for name, (given, shown) in given_and_shown.items()
        if given != shown
    ]


def _day(text: str, today: datetime.date) -> list[str]:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return [f"{text} is no day"]
    return [f"{day} is yet to come"] if day > today + datetime.timedelta(days=1) else []
