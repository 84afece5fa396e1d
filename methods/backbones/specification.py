"""From what a user writes (`resnet14:width=32`) to a family, a name and settings; and a network's cheaper relatives."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from methods.errors import MethodError
from methods.names import alike


@dataclass(frozen=True)
class Specification:
    """A backbone by name: its family in `registry.toml`, the numbers that its name holds where the family has
    a pattern, and every option of the family with its value."""

    family: str
    name: str
    numbers: Mapping[str, int]
    settings: Mapping[str, Any]

    @property
    def depth(self) -> int:
        """The first number of the name; 0 where it has none."""
        found = re.search(r"[0-9]+", self.name)
        return int(found[0]) if found else 0

    @property
    def text(self) -> str:
        """The one way to write it: options in the registry's order, without those at their default."""
        options = families()[self.family]["options"]
        changed = [
            f"{option}={str(self.settings[option]).removesuffix('.0')}"
            for option, facts in options.items()
            if self.settings[option] != facts["default"]
        ]
        return ":".join(part for part in (self.name, ",".join(changed)) if part)


@dataclass(frozen=True)
class Relatives:
    """Cheaper networks of a backbone's family, cheapest first, each as a specification's text."""

    depths: tuple[str, ...]
    """Shallower ones, otherwise the same."""
    widths: tuple[str, ...]
    """Half and three quarters as wide, where these widths exist."""


@cache
def families() -> dict[str, dict[str, Any]]:
    """The tables of `registry.toml`: title, citation, example names and options of each family."""
    return tomllib.loads(Path(__file__).with_name("registry.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Specification:
    """Read `name` or `name:option=value,...`; MethodError names the nearest known name or option."""
    name, colon, rest = text.partition(":")
    family, numbers = _family(name)
    options = families()[family]["options"]
    settings = {option: facts["default"] for option, facts in options.items()}
    for pair in rest.split(",") if colon else ():
        option, equals, value = pair.partition("=")
        if not equals:
            raise MethodError(f"backbone '{text}': expected name:option=value, got '{pair}' after the colon")
        if option not in options:
            has = ", ".join(alike(option, options)) or ", ".join(options) or "none"
            raise MethodError(f"backbone '{name}' has no option '{option}'; it has {has}")
        settings[option] = _value(f"{name}:{option}", value, options[option])
    return Specification(family, name, numbers, settings)


def relatives(spec: str) -> Relatives:
    """What a user would train instead of `spec` to pay less: its family's shallower and narrower networks.

    Raises MethodError for what `parse` does not know.
    """
    wanted = parse(spec)
    shallower = sorted(_shallower(wanted), key=lambda relative: relative.depth)
    return Relatives(tuple(r.text for r in shallower), tuple(r.text for r in _narrower(wanted)))


def _shallower(wanted: Specification) -> Iterator[Specification]:
    facts = families()[wanted.family]
    if "pattern" in facts:
        names = [_named(facts["pattern"], {**wanted.numbers, "depth": depth}) for depth in facts["depths"]]
    else:
        names = facts["examples"]
    others = (replace(wanted, name=name) for name in names)
    return (other for other in others if other.depth < wanted.depth)


def _narrower(wanted: Specification) -> Iterator[Specification]:
    """The family's `scale` names what to scale: an option, or a number of the name."""
    facts = families()[wanted.family]
    scale: str = facts.get("scale", "")
    option = facts["options"].get(scale)
    full = wanted.settings[scale] if option else wanted.numbers.get(scale, 0)
    for share in (0.5, 0.75) if scale else ():
        width = round(full * share, DIGITS)
        if width < (option or {"minimum": 1})["minimum"] or type(full)(width) != width:
            continue
        if option:
            yield replace(wanted, settings={**wanted.settings, scale: type(full)(width)})
        else:
            yield replace(wanted, name=_named(facts["pattern"], {**wanted.numbers, scale: int(width)}))


def _family(name: str) -> tuple[str, dict[str, int]]:
    """The family of a name, and the numbers in it by the placeholders of the family's pattern."""
    for family, facts in families().items():
        if "pattern" in facts:
            if numbers := _numbers(name, facts):
                return family, numbers
        elif name in facts["examples"]:
            return family, {}
    patterns = {example: facts.get("pattern") for facts in families().values() for example in facts["examples"]}
    near = alike(name, patterns)
    known = ", ".join(near or [facts["examples"][0] for facts in families().values()])
    form = f" ({patterns[near[0]]})" if near and patterns[near[0]] else ""
    raise MethodError(f"unknown backbone '{name}'; known are, among others, {known}{form}")


def _numbers(name: str, facts: Mapping[str, Any]) -> dict[str, int]:
    """The numbers in a name that has the family's pattern, else none; MethodError for a depth that does not exist."""
    found = re.fullmatch(re.sub(r"<(\w+)>", r"(?P<\1>[1-9][0-9]{0,3})", facts["pattern"]), name)
    numbers = {key: int(value) for key, value in found.groupdict().items()} if found else {}
    per, plus = facts["repeats"]
    if numbers and (numbers["depth"] < per + plus or (numbers["depth"] - plus) % per):
        depth = per * max(1, round((numbers["depth"] - plus) / per)) + plus
        nearest = _named(facts["pattern"], numbers | {"depth": depth})
        raise MethodError(f"backbone '{name}': the depth must be {per}n + {plus}, nearest is {nearest}")
    return numbers


def _named(pattern: str, numbers: Mapping[str, int]) -> str:
    return re.sub(r"<(\w+)>", lambda placeholder: str(numbers[placeholder[1]]), pattern)


DIGITS = 4
"""Decimals that a value may have, so that every one is written as it was read."""


def _value(what: str, text: str, facts: Mapping[str, Any]) -> int | float:
    """The value of an option, of the type of its default and within its limits."""
    whole = isinstance(facts["default"], int)
    if re.fullmatch(r"[0-9]{1,9}" if whole else rf"([0-9]{{0,4}}\.)?[0-9]{{1,{DIGITS}}}", text):
        value = int(text) if whole else float(text)
        if facts["minimum"] <= value <= facts.get("maximum", value):
            return value
    kind = "a whole number" if whole else f"a number with up to {DIGITS} decimals"
    limit = f" and at most {facts['maximum']:g}" if "maximum" in facts else ""
    raise MethodError(f"{what} must be {kind} of at least {facts['minimum']:g}{limit}, got '{text}'")
