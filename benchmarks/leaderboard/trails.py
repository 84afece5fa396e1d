"""What a stored router allows and costs, from its JSON alone: no torch, so that entries can be read anywhere.

A router is the dictionary that `methods.routers` stores; a trail is the sequence of outputs an image went through.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def is_static(router: Mapping[str, Any]) -> bool:
    """Whether every image gets the same answer."""
    return bool(router["kind"] == "constant")


def possible(router: Mapping[str, Any], trail: Sequence[int]) -> bool:
    """Whether an image can take this trail, whatever it shows. ValueError for a kind of router nobody knows."""
    trail = list(trail)
    match router["kind"]:
        case "constant":
            return trail == [router["answer"]]
        case "argmax":
            return len(trail) == 2 and trail[0] == router["probe"] and trail[1] in router["options"]
        case "threshold":
            asked = list(router["cascade"])
            never = [threshold is None for threshold in router["thresholds"]] + [False]
            return bool(trail) and trail == asked[: len(trail)] and not never[len(trail) - 1]
        case "learned":
            return _follows(router, trail)
    raise ValueError(f"no router is of the kind {router['kind']!r}")


def decisions(router: Mapping[str, Any], trail: Sequence[int]) -> int:
    """MACs of the decisions on a trail, the router's own: the weights of the policies that were asked."""
    if router["kind"] != "learned":
        return 0
    cascade, policies = list(router["cascade"]), router["policies"]
    places = [cascade.index(at) for at in trail]
    return sum(len(row) for place in places if place < len(policies) for row in policies[place]["weights"])


def _follows(router: Mapping[str, Any], trail: list[int]) -> bool:
    """A policy of r rows after the answer at place k stops, or goes on to one of the r answers behind it."""
    cascade, policies = list(router["cascade"]), router["policies"]
    if not trail or trail[0] != cascade[0] or any(at not in cascade for at in trail):
        return False
    places = [cascade.index(at) for at in trail]
    return all(0 < to - at <= len(policies[at]["bias"]) for at, to in pairwise(places))
