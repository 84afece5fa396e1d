"""Which methods there are, and making one by name. Reading the registry imports no torch."""

import difflib
import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from methods.errors import MethodError

if TYPE_CHECKING:
    from methods.base import AdjustableModel, ImageShape, MethodSettings


@dataclass(frozen=True)
class Entry:
    """One method of the registry; `location` is `module:class`."""

    name: str
    location: str
    title: str
    axis: str
    decision: str
    citation: str
    options: tuple[str, ...]


@cache
def entries() -> dict[str, Entry]:
    """All known methods by name."""
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
        )
        for name, row in tomllib.loads(text).items()
    }


def method_class(name: str) -> "type[AdjustableModel]":
    """The class of the method `name`; MethodError names the nearest known ones."""
    if name not in entries():
        raise MethodError(f"unknown method '{name}'; {nearest(name, entries())}")
    module, _, attribute = entries()[name].location.partition(":")
    found: type[AdjustableModel] = getattr(importlib.import_module(module), attribute)
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
    values = {
        key: text.replace("/", ",").split(",") if "tuple" in str(fields[key].annotation) else text
        for key, text in given.items()
    }
    try:
        return declared.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"setting '{first['loc'][0]}' of {name}" if first["loc"] else name
        raise MethodError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def variant(settings: "MethodSettings", without: frozenset[str] = frozenset()) -> str:
    """What differs from the defaults, `bn=uniform:ratios=0.5/0.75`, or `default`.

    `without`: settings to leave out.
    """
    changed = []
    for key, field in sorted(type(settings).model_fields.items()):
        value = getattr(settings, key)
        if key not in without and value != field.get_default(call_default_factory=True):
            text = "/".join(str(v).removesuffix(".0") for v in value) if isinstance(value, tuple) else str(value)
            changed.append(f"{key}={text}")
    return ":".join(changed) or "default"


def create(
    name: str, settings: "MethodSettings", backbone: str, classes: int, image_shape: "ImageShape", seed: int
) -> "AdjustableModel":
    """A fresh model; its weights depend on `seed` alone, and the backbone's are the same for every method."""
    import torch

    from methods.backbones import build

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return method_class(name)(build(backbone, classes), settings, image_shape)
