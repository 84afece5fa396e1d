"""`list`: what there is, read from the registries without importing torch."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cli.run import NO_FILES, Plugin

HELP = "List methods, backbones, datasets or recipes."
ROOT = Path(__file__).parents[2]


class Kind(StrEnum):
    """What can be listed."""

    methods = "methods"
    backbones = "backbones"
    datasets = "datasets"
    recipes = "recipes"


REGISTRIES = {
    Kind.methods: "methods/registry.toml",
    Kind.backbones: "methods/backbones/registry.toml",
    Kind.recipes: "benchmarks/training/recipes.toml",
}


What = Annotated[Kind, typer.Argument(help="What to list.")]


def list_known(kind: What, plugin: Plugin = NO_FILES) -> None:
    """Print one block per entry: name and title, then what can be set and where it comes from.

    Methods of installed packages are named without importing them; those of given files are imported.
    """
    for name, entry in _entries(kind).items():
        _print(name, entry["title"], _details(kind, entry))
    if kind is Kind.methods:
        _plugins(plugin)


def _entries(kind: Kind) -> Mapping[str, Mapping[str, Any]]:
    """Data sets say of themselves, each in its file, what registries say of all else."""
    if kind is Kind.datasets:
        from benchmarks.data.about import about
        from benchmarks.data.registry import files

        return {name: about(path) for name, path in files().items()}
    with (ROOT / REGISTRIES[kind]).open("rb") as file:
        return tomllib.load(file)


def _plugins(files: list[Path]) -> None:
    from methods.registry import installed

    for name, location in installed().items():
        _print(name, f"of an installed package: {location}", [])
    if files:
        from methods import plugins  # imports torch

        for entry in (entry for file in files for entry in plugins.add(file)):
            _print(entry.name, entry.title, _details(Kind.methods, vars(entry)))


def _print(name: str, title: str, details: list[str]) -> None:
    print(f"{name:<18}{title}")
    for line in details:
        print(f"{'':<18}{line}")


def _details(kind: Kind, entry: Mapping[str, Any]) -> list[str]:
    match kind:
        case Kind.methods:
            lines = [f"cost chosen by {entry['axis']}, {entry['decision']}" if entry["axis"] != "none" else ""]
            lines += [f"settings: {'  '.join(entry['options'])}" if entry["options"] else ""]
        case Kind.backbones:
            pattern = f"{entry['pattern']}, such as " if "pattern" in entry else ""
            lines = ["names: " + pattern + ", ".join(entry["examples"])]
            lines += [f"{key}={option['default']}: {option['help']}" for key, option in entry["options"].items()]
        case Kind.datasets:
            lines = [f"{option['name']}: {option['help']}" for option in entry.get("options", ())]
        case Kind.recipes:
            return [
                f"{entry['epochs']} epochs, batch {entry['batch']}, rate {entry['lr']:g}, "
                f"weight decay {entry['weight_decay']:g}, {entry['schedule']}"
            ]
    return [line for line in (*lines, entry.get("citation", "")) if line]
