"""What the suite knows of its methods: the cards of the page. Read as data, without the methods themselves."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REGISTRY = Path(__file__).parents[2] / "methods" / "registry.toml"
UNKNOWN_AXIS = "not stated"
CHOSEN = {
    "none": "nothing: one network, one cost",
    "resolution": "at which resolution an image, or the maps inside the network, are computed",
    "depth": "after how many blocks the network answers",
    "width": "how many channels are computed",
    "network": "which network answers",
}
"""By axis: what is chosen at inference."""
WHO = {
    "static": "by the user, for all images alike",
    "per-sample": "image by image, by what the network has said of it so far; the user sets how readily it stops",
}
"""By decision: who chooses."""


@dataclass(frozen=True)
class Card:
    """One method: `axis` and `decision` are its place in the taxonomy, `options` what can be set when it is trained."""

    name: str
    title: str
    axis: str
    decision: str
    citation: str
    options: tuple[str, ...]

    @property
    def chosen(self) -> str:
        """What is chosen at inference, and by whom."""
        return f"{CHOSEN.get(self.axis, self.axis)}; {WHO.get(self.decision, self.decision)}"


@cache
def registry() -> dict[str, dict[str, Any]]:
    """The suite's own methods by name, as registry.toml has them."""
    return tomllib.loads(REGISTRY.read_text(encoding="utf-8"))


def axis_of(method: str) -> str:
    """What a method adjusts; UNKNOWN_AXIS for one that the suite does not have."""
    return str(registry().get(method, {}).get("axis", UNKNOWN_AXIS))


def cards(methods: Iterable[str]) -> list[Card]:
    """The cards of `methods`, in their order; one that the suite does not have says so."""
    return [_card(name) for name in dict.fromkeys(methods)]


def _card(name: str) -> Card:
    row = registry().get(name)
    if row is None:
        return Card(name, "A method of its own, not part of this suite", UNKNOWN_AXIS, UNKNOWN_AXIS, "not stated", ())
    return Card(name, row["title"], row["axis"], row["decision"], row["citation"], tuple(row["options"]))
