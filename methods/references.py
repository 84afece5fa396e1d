"""The papers behind methods and backbones, from references.bib. Reading them imports no torch."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from methods.registry import Entry

FOLDER = Path(__file__).parent
_ENTRY = re.compile(r"^@(\w+)\{(\S+),\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class Reference:
    """A paper: `text` is its BibTeX as it stands in the file, `kind` inproceedings, misc and so on."""

    key: str
    kind: str
    fields: Mapping[str, str]
    text: str


@cache
def papers() -> dict[str, Reference]:
    """All papers by key, in the order of the file."""
    found = _ENTRY.finditer((FOLDER / "references.bib").read_text(encoding="utf-8"))
    return {one[2]: Reference(one[2], one[1], dict(_FIELD.findall(one[3])), one[0]) for one in found}


def of_method(entry: Entry) -> tuple[Reference, ...]:
    """The papers of a method of the registry; keys that this file does not have, as a plugin's may be, are left out."""
    return tuple(papers()[key] for key in entry.references if key in papers())


def of_backbone(name: str) -> tuple[Reference, ...]:
    """The papers of a backbone such as `resnet14:width=32`; none for a network of the user's."""
    text = (FOLDER / "backbones" / "registry.toml").read_text(encoding="utf-8")
    plain = name.partition(":")[0]
    return tuple(
        paper
        for family in tomllib.loads(text).values()
        if plain in family["examples"] or _matches(family.get("pattern"), plain)
        for paper in papers().values()
        if paper.fields.get("eprint") in _ARXIV.findall(family["citation"])
    )


def _matches(pattern: str | None, name: str) -> bool:
    return pattern is not None and re.fullmatch(re.sub(r"<\w+>", "[0-9]+", pattern), name) is not None
