"""From what a user writes (`resnet14:width=32`) to a family, a name and settings."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from methods.errors import MethodError


@dataclass(frozen=True)
class Specification:
    """A backbone by name: its family in `registry.toml`, and every option of the family with its value."""

    family: str
    name: str
    settings: Mapping[str, int]


@cache
def families() -> dict[str, dict[str, Any]]:
    """The tables of `registry.toml`: title, citation, example names and options of each family."""
    return tomllib.loads(Path(__file__).with_name("registry.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Specification:
    """Read `name` or `name:option=value,...`; MethodError names the nearest known name or option."""
    name, colon, rest = text.partition(":")
    family = _family(name)
    options = families()[family]["options"]
    settings = {option: facts["default"] for option, facts in options.items()}
    for pair in rest.split(",") if colon else ():
        option, equals, value = pair.partition("=")
        if not equals:
            raise MethodError(f"backbone '{text}': expected name:option=value, got '{pair}' after the colon")
        if option not in options:
            has = _nearest(option, options) or ", ".join(options) or "none"
            raise MethodError(f"backbone '{name}' has no option '{option}'; it has {has}")
        settings[option] = _whole_number(f"{name}:{option}", value, options[option]["minimum"])
    return Specification(family, name, settings)


def wide(name: str) -> tuple[int, int]:
    """Depth and factor of `wrn-<depth>-<factor>`; MethodError where no such network exists."""
    found = re.fullmatch(r"wrn-([1-9][0-9]{0,3})-([1-9][0-9]{0,2})", name)
    if not found:
        raise MethodError(f"backbone '{name}': expected wrn-<depth>-<factor>, for example wrn-16-4")
    depth, factor = int(found[1]), int(found[2])
    if depth < 10 or (depth - 4) % 6:
        nearest = f"wrn-{max(10, 6 * round((depth - 4) / 6) + 4)}-{factor}"
        raise MethodError(f"backbone '{name}': the depth must be 6n + 4, nearest is {nearest}")
    return depth, factor


def _family(name: str) -> str:
    names = {example: family for family, facts in families().items() for example in facts["examples"]}
    if name in names:
        return names[name]
    if name.startswith("wrn-"):
        wide(name)
        return "cifar-wrn"
    known = _nearest(name, names) or ", ".join(facts["examples"][0] for facts in families().values())
    raise MethodError(f"unknown backbone '{name}'; known are, among others, {known}")


def _whole_number(what: str, text: str, minimum: int) -> int:
    value = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if value < minimum:
        raise MethodError(f"{what} must be a whole number of at least {minimum}, got '{text}'")
    return value


def _nearest(word: str, known: Iterable[str]) -> str:
    """Up to four known words like `word`: those that begin alike first; empty where none is like it."""
    word, known = word.lower(), list(known)
    alike = get_close_matches(word, known, n=len(known) or 1)
    alike.sort(key=lambda candidate: -_shared_start(word, candidate))
    return ", ".join(alike[:4])


def _shared_start(a: str, b: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
