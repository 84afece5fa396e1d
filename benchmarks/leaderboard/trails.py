"""What a stored router allows and costs, from its JSON alone: no torch, so that entries can be read anywhere.

A router is the dictionary that `methods.routers` stores; a trail is the sequence of outputs an image went through.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

ROUNDING = 1e-4
"""Of a signal: as near a threshold, another batch shape decides otherwise."""


def is_static(router: Mapping[str, Any]) -> bool:
    """Whether every image gets the same answer."""
    return bool(router["kind"] == "constant")


def possible(router: Mapping[str, Any], trail: Sequence[int], classes: int) -> bool:
    """Whether an image can take this trail, whatever it shows of so many classes. ValueError for a kind of router
    nobody knows."""
    trail = list(trail)
    match router["kind"]:
        case "constant":
            return trail == [router["answer"]]
        case "argmax":
            return len(trail) == 2 and trail[0] == router["probe"] and trail[1] in router["options"]
        case "threshold":
            asked = list(router["cascade"])
            return bool(trail) and trail == asked[: len(trail)] and _passes(router, len(trail) - 1, classes)
        case "learned":
            return _follows(router, trail, classes)
    raise ValueError(f"no router is of the kind {router['kind']!r}")


def span(signal: str, classes: int) -> tuple[float, float]:
    """The lowest and the highest value of a confidence signal over so many classes, rounding included."""
    low, high = {"entropy": (0.0, math.log(classes)), "max_prob": (1 / classes, 1.0), "margin": (0.0, 1.0)}[signal]
    return max(0.0, low - ROUNDING), high + ROUNDING


def _passes(router: Mapping[str, Any], last: int, classes: int) -> bool:
    """Whether an image can go on at every place before the last, and stop there."""
    low, high = span(router["signal"], classes)
    *before, end = [*router["thresholds"], math.inf][: last + 1]
    below = router["signal"] == "entropy"  # it stops where entropy is below its threshold, the others from theirs on
    goes = all(threshold is None or (high >= threshold if below else low < threshold) for threshold in before)
    stops = last == len(router["thresholds"]) or (end is not None and (low < end if below else high >= end))
    return goes and stops


def decisions(router: Mapping[str, Any], trail: Sequence[int]) -> int:
    """MACs of the decisions on a trail, the router's own: the weights of the policies that were asked."""
    if router["kind"] != "learned":
        return 0
    cascade, policies = list(router["cascade"]), router["policies"]
    places = [cascade.index(at) for at in trail]
    return sum(len(row) for place in places if place < len(policies) for row in policies[place]["weights"])


def _follows(router: Mapping[str, Any], trail: list[int], classes: int) -> bool:
    """A policy of r rows after the answer at place k stops, or goes on to one of the r answers behind it: it goes past
    an option where the row's score is above zero."""
    cascade, policies = list(router["cascade"]), router["policies"]
    if not trail or trail[0] != cascade[0] or any(at not in cascade for at in trail):
        return False
    places = [cascade.index(at) for at in trail]
    steps = [(at, to - at) for at, to in pairwise(places)]
    if any(at >= len(policies) or option < 1 for at, option in steps):
        return False
    steps += [(places[-1], 0)] * (places[-1] < len(policies))  # the last answer asks no policy
    return all(_takes(router, at, option, classes) for at, option in steps)


def _takes(router: Mapping[str, Any], at: int, option: int, classes: int) -> bool:
    """Whether the policy at a place can take this option: to stop, then the answers behind it."""
    policy = router["policies"][at]
    rows = list(zip(policy["weights"], policy["bias"], strict=True))
    if option > len(rows):
        return False
    scores = [_scores(router["features"], weights, bias, classes) for weights, bias in rows]
    return all(high > 0 for _, high in scores[:option]) and (option == len(rows) or scores[option][0] <= 0)


def _scores(features: Sequence[str], weights: Sequence[float], bias: float, classes: int) -> tuple[float, float]:
    """The lowest and the highest score of a row over all that its features can be; one set of features an answer."""
    spans = [span(name, classes) for name in features] * (len(weights) // max(len(features), 1))
    ends = [sorted((weight * low, weight * high)) for weight, (low, high) in zip(weights, spans, strict=True)]
    return bias + sum(low for low, _ in ends), bias + sum(high for _, high in ends)
