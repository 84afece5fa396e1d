"""Settings given as text, made what the registry says they are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.data.errors import DataError


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_TYPES: Mapping[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str, "bool": _truth}
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text of letters, digits, dots and dashes",
    "bool": "true or false",
}


def typed(name: str, options: Iterable[Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, Any]:
    """The settings of data set `name`: those `given`, converted and checked, and the defaults of the others.

    Raises DataError for a setting that is unknown, of another type, or out of its range.
    """
    known = {option["name"]: option for option in options}
    for key in given:
        if key not in known:
            raise DataError(f"{name} has no setting {key!r}{nearest(key, known)}")
    return {
        key: _converted(name, option, given[key]) if key in given else option.get("default")
        for key, option in known.items()
    }


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known ones, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names)
    if close:
        return f": did you mean {' or '.join(close)}?"
    return f": known are {', '.join(names)}" if names else ": it has none"


def _converted(name: str, option: Mapping[str, Any], text: str) -> Any:
    low, high = option.get("minimum"), option.get("maximum")
    choices = option.get("choices", ())
    wanted = f"one of {', '.join(choices)}" if choices else _WORDS[option["type"]] + _span(low, high)
    try:
        value = _TYPES[option["type"]](text)
    except ValueError:
        value = None
    # written so that a NaN is refused too
    within = value is not None and (low is None or value >= low) and (high is None or value <= high)
    if not within or (choices and text not in choices) or not re.fullmatch(option.get("pattern", ".*"), text):
        raise DataError(f"{name}: {option['name']} is {wanted}, not {text!r}")
    return value


def _span(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return "" if low is None else f", at least {low}"
