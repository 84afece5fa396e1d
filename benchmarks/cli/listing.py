"""`list`: what there is, read from the registries without importing torch."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

HELP = "List methods, backbones, datasets or recipes."
ROOT = Path(__file__).parents[2]


class Kind(StrEnum):
    """What can be listed, and the registry it stands in."""

    methods = "methods"
    backbones = "backbones"
    datasets = "datasets"
    recipes = "recipes"


REGISTRIES = {
    Kind.methods: "methods/registry.toml",
    Kind.backbones: "methods/backbones/registry.toml",
    Kind.datasets: "datasets/registry.toml",
    Kind.recipes: "benchmarks/recipes.toml",
}


def list_known(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """Print one block per entry: name and title, then what can be set and where it comes from."""
    with (ROOT / REGISTRIES[kind]).open("rb") as file:
        entries: dict[str, dict[str, Any]] = tomllib.load(file)
    for name, entry in entries.items():
        print(f"{name:<18}{entry['title']}")
        for line in _details(kind, entry):
            print(f"{'':<18}{line}")


def _details(kind: Kind, entry: dict[str, Any]) -> list[str]:
    match kind:
        case Kind.methods:
            lines = [f"cost chosen by {entry['axis']}, {entry['decision']}" if entry["axis"] != "none" else ""]
            lines += [f"settings: {'  '.join(entry['options'])}" if entry["options"] else ""]
        case Kind.backbones:
            lines = ["names: " + ", ".join(entry["examples"])]
            lines += [f"{key}={option['default']}: {option['help']}" for key, option in entry["options"].items()]
        case Kind.datasets:
            lines = [f"{option['name']}: {option['help']}" for option in entry.get("options", ())]
        case Kind.recipes:
            return [
                f"{entry['epochs']} epochs, batch {entry['batch']}, rate {entry['lr']:g}, "
                f"weight decay {entry['weight_decay']:g}, {entry['schedule']}"
            ]
    return [line for line in (*lines, entry.get("citation", "")) if line]
