"""The data sets that methods are compared on: named, split, fingerprinted.

`load("shapes").train.images` is a uint8 array [6000, 3, 32, 32].
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from datasets.base import DataSet, Split
from datasets.errors import DataError
from datasets.settings import nearest, typed

__all__ = ["REGISTRY", "DataError", "DataSet", "Split", "load"]

REGISTRY = Path(__file__).with_name("registry.toml")
_NONE: Mapping[str, str] = MappingProxyType({})


def load(name: str, root: Path | None = None, settings: Mapping[str, str] = _NONE) -> DataSet:
    """The data set `name`, in memory or streamed.

    `root` is the folder that files are read from or downloaded to, for the data sets that have files;
    `settings` are the options of the data set in registry.toml, as text. Raises DataError, one line, for all
    that is wrong with the name, the settings or the files.
    """
    with REGISTRY.open("rb") as file:
        registry: dict[str, dict[str, Any]] = tomllib.load(file)
    if name not in registry:
        raise DataError(f"no data set is called {name!r}{nearest(name, registry)}")
    entry = registry[name]
    if root is not None and entry.get("embedded"):
        raise DataError(f"{name} needs no --data-root: leave it out")
    keywords = typed(name, entry.get("options", ()), settings)
    module, function = entry["module"].split(":")
    data = getattr(importlib.import_module(module), function)(root and Path(root).expanduser(), **keywords)
    assert isinstance(data, DataSet)
    return data
