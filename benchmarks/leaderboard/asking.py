"""The command that makes an entry: written from a run's configuration, and judged against what the entry shows."""

import datetime
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.config import RunConfig, configure
from benchmarks.core.errors import UsageError
from benchmarks.leaderboard.entry import Asked, Data, Entry
from benchmarks.training.recipes import adjusted
from methods.errors import MethodError
from methods.registry import changed, method_class

OPTIONS = tuple(name for name in Asked.model_fields if name not in ("methods", "set"))
"""In the order a command names them."""
FREE = ("dataset_name", "recipe", "epochs", "points")
"""What of a configuration may be written in several ways; all else follows from what an entry shows."""


def configuration(
    record: Mapping[str, Any], label: str, settings: Mapping[str, Any], backbone: str, data: Data, seeds: Sequence[int]
) -> Asked:
    """What of a run's configuration makes one method's part of it, in the one way to write it.

    `settings` are the method's own, `backbone` as the suite names it, `seeds` those that there are.
    """
    free = {name: record.get(name) for name in FREE} | {"points": record["points"]}
    recipe = {key: value for key, value in record.get("set", {}).items() if key.partition(".")[0] == "recipe"}
    return _written(free, recipe, label, settings, backbone, data, seeds)


def _written(
    free: Mapping[str, Any], recipe: Mapping[str, str], label: str, settings: Mapping[str, Any], backbone: str,
    data: Data, seeds: Sequence[int],
) -> Asked:  # fmt: skip
    named, own = _method(label, settings)
    of_data = {f"{data.source}.{key}": value for key, value in data.settings.items()}
    root = "DATA_ROOT" if data.rooted else None
    rest = {"dataset": data.source, "data_root": root, "backbone": backbone, "plugin": ()}
    return Asked.model_validate(
        {**free, **rest, "methods": (named,), "seeds": tuple(seeds), "set": {**recipe, **of_data, **own}}
    )


def _method(label: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """How `--methods` names a method with its settings, and what `--set` has to add: settings with a colon in them
    cannot stand behind a name."""
    name = label.partition(":")[0]
    try:
        texts = changed(method_class(name).Settings.model_validate(settings))
    except (MethodError, ValueError):  # a method of somebody else's file: the rules say what is wrong with it
        return label, {}
    if any(":" in text for text in texts.values()):
        return name, {f"{name}.{key}": text for key, text in texts.items()}
    return label, {}


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
    """What of an entry its command does not give: the method, data, backbone, recipe, seeds and points; its day."""
    asked, data = entry.configuration, entry.dataset
    found = _day(entry.date, today or datetime.datetime.now(datetime.UTC).date())
    if entry.command != (given := command(asked)) or not given.isprintable():
        found.append(f"its configuration is that of {given!r}")
    recipe = {key: value for key, value in asked.set.items() if key.partition(".")[0] == "recipe"}
    free = {name: getattr(asked, name) for name in FREE}
    shown = _written(free, recipe, entry.label, entry.settings, entry.backbone, data, entry.seed_numbers)
    found += [
        f"its command has the {name} {getattr(asked, name)!r}, the entry {getattr(shown, name)!r}"
        for name in Asked.model_fields
        if getattr(asked, name) != getattr(shown, name)
    ]
    if asked.dataset_name != data.name and (asked.dataset_name or not _by_default(data)):
        found.append(f"its command does not call the data set {data.name}: --dataset-name does")
    if (most := max(len(seed.points) for seed in entry.seeds)) > asked.points:
        found.append(f"its command shows at most {asked.points} points, the entry {most}")
    return [*found, *_trained(entry)]


def _by_default(data: Data) -> bool:
    """Whether the data set bears the name that the suite gives it."""
    return re.fullmatch(rf"{re.escape(data.source)}(-v\d+)?", data.name) is not None


def _trained(entry: Entry) -> list[str]:
    """What of the training is not that of the recipe and the device."""
    try:
        config = configure({**entry.configuration.model_dump(exclude={"plugin"}), "reference": False})
        recipe = adjusted(config.recipe, config.epochs, config.group("recipe")).model_dump(mode="json")
    except (UsageError, ValueError) as error:
        return [f"its command is none of this suite: {' '.join(str(error).split())}"]
    del recipe["title"]
    trained, device = entry.training, entry.environment.device
    precision = "bfloat16" if device.startswith("cuda") else "float32"
    pairs = {"recipe": (recipe, trained.recipe), f"precision of {device}": (precision, trained.precision)}
    return [
        f"its command has the {name} {given}, the entry {shown}"
        for name, (given, shown) in pairs.items()
        if given != shown
    ]


def _day(text: str, today: datetime.date) -> list[str]:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return [f"{text} is no day"]
    return [f"{day} is yet to come"] if day > today + datetime.timedelta(days=1) else []
