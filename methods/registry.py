"""Which methods there are, and making one by name. Reading the registry imports no torch.

Beside the suite's own methods there are those of installed packages (entry points of the group GROUP, the name of
the method to `module:Class`) and those of a user's files, which `methods.plugins.add` registers here.
"""

import difflib
import importlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from methods.errors import MethodError

if TYPE_CHECKING:
    from methods.base import AdjustableModel, ImageShape, MethodSettings


GROUP = "cost_adjustable.methods"
_ADDED: "dict[str, Entry]" = {}


@dataclass(frozen=True)
class Entry:
    """One method of the registry; `location` is `module:class`. `digest`: SHA-256 of a user's file it came from.

    `version` is raised when the method's results change: results of an earlier one are then out of date.
    `references` are keys of the papers in references.bib.
    """

    name: str
    location: str
    title: str
    axis: str
    decision: str
    citation: str
    options: tuple[str, ...]
    digest: str = ""
    version: int = 1
    references: tuple[str, ...] = ()


@cache
def entries() -> dict[str, Entry]:
    """The suite's own methods by name."""
    text = (Path(__file__).parent / "registry.toml").read_text(encoding="utf-8")
    return {
        name: Entry(
            name,
            row["class"],
            row["title"],
            row["axis"],
            row["decision"],
            row["citation"],
            tuple(row["options"]),
            version=row["version"],
            references=tuple(row["references"]),
        )
        for name, row in tomllib.loads(text).items()
    }


def installed() -> dict[str, str]:
    """The methods of installed packages, name -> `module:class`, without importing any.

    The suite's own come first: a name of theirs is not taken over.
    """
    return {point.name: point.value for point in entry_points(group=GROUP) if point.name not in entries()}


def added() -> dict[str, Entry]:
    """The methods of the user's files that this process was given, by name."""
    return dict(_ADDED)


def register(module: str, methods: Sequence[Entry]) -> None:
    """Make the methods of a user's file known, in place of those its module had before.

    MethodError if a name is taken, by the suite or by another file.
    """
    others = {name: entry for name, entry in _ADDED.items() if entry.location.partition(":")[0] != module}
    for entry in methods:
        if entry.name in entries() or entry.name in others:
            whose = "the suite" if entry.name in entries() else "another plugin"
            raise MethodError(f"'{entry.name}' is a method of {whose}: give your class a `name` of its own")
    _ADDED.clear()
    _ADDED.update(others | {entry.name: entry for entry in methods})


def method_class(name: str) -> "type[AdjustableModel]":
    """The class of the method `name`; MethodError names the nearest known ones."""
    own = entries() | _ADDED
    if name in own:
        module, _, attribute = own[name].location.partition(":")
        found: type[AdjustableModel] = getattr(importlib.import_module(module), attribute)
        return found
    packages = installed()
    if name not in packages:
        known = nearest(name, own | dict.fromkeys(packages))
        ending = "" if known.endswith("?") else "; one in a file of yours needs --plugin FILE.py"
        raise MethodError(f"unknown method '{name}'; {known}{ending}")
    return _of_package(name, packages[name])


def _of_package(name: str, location: str) -> "type[AdjustableModel]":
    """The class behind an entry point; MethodError, in one line, if it is none or cannot be imported."""
    from methods.base import AdjustableModel

    module, _, attribute = location.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever another's module raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise MethodError(f"the plugin '{name}' cannot be imported from {location}: {reason}") from None
    if not (isinstance(found, type) and issubclass(found, AdjustableModel)):
        raise MethodError(f"the plugin '{name}', {location}, is no class of methods.base.AdjustableModel")
    return found


def nearest(name: str, known: Mapping[str, object]) -> str:
    """`did you mean 'x'?` where something is near, else all that is known."""
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return "known are " + (", ".join(known) or "none")


def parse_settings(name: str, given: Mapping[str, str]) -> "MethodSettings":
    """Settings of the method `name` from texts such as {"ratios": "0.5,0.75"}.

    MethodError, in one line, for an unknown setting or a value that does not fit.
    """
    declared = method_class(name).Settings
    fields = declared.model_fields
    for key in given:
        if key not in fields:
            raise MethodError(f"{name} has no setting '{key}'; {nearest(key, fields)}")
    values = {key: _listed(text) if "tuple" in str(fields[key].annotation) else text for key, text in given.items()}
    try:
        return declared.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"setting '{first['loc'][0]}' of {name}" if first["loc"] else name
        raise MethodError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _listed(text: str) -> list[str]:
    """The values of a list: separated by commas, or by slashes where commas separate methods.

    A slash may stand in the path of a file, too: what stands before FILE.py:FUNCTION belongs to it, but for names of
    backbones.
    """
    if "," in text or ".py:" not in text:
        return text.split("," if "," in text else "/")
    from methods.backbones import known

    found: list[str] = []
    begun: list[str] = []
    for part in text.split("/"):
        begun.append(part)
        if ".py:" in part or (len(begun) == 1 and known(part)):
            found.append("/".join(begun))
            begun = []
    return found + begun


def variant(settings: "MethodSettings") -> str:
    """What differs from the defaults, `bn=uniform:ratios=0.5/0.75`, or `default`."""
    return ":".join(f"{key}={text}" for key, text in changed(settings).items()) or "default"


def changed(settings: "MethodSettings") -> dict[str, str]:
    """The settings that are not at their defaults, as `parse_settings` reads them, in the order of their names."""
    found = {}
    for key, field in sorted(type(settings).model_fields.items()):
        value = getattr(settings, key)
        if value != field.get_default(call_default_factory=True):
            found[key] = "/".join(map(_text, value)) if isinstance(value, tuple) else _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return str(value).lower() if isinstance(value, bool) else str(value)


def create(
    name: str, settings: "MethodSettings", backbone: str, classes: int, image_shape: "ImageShape", seed: int
) -> "AdjustableModel":
    """A fresh model; its weights depend on `seed` alone, and the backbone's are the same for every method."""
    import torch

    from methods.backbones import build

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return method_class(name)(build(backbone, classes), settings, image_shape)
