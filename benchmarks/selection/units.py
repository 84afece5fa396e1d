"""Figures as people write them: 20M, 1.5G, 5MB, 5MiB, 90%."""

import math
import re

from benchmarks.core.errors import UsageError

_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BYTES = {name + "b": factor for name, factor in _THOUSANDS.items()} | {
    "": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*([a-z%]*)\s*", re.IGNORECASE)


def macs(option: str, text: str) -> float:
    """`20M`, `20e6`, `1.5G`, also with `MACs` behind, as a number; UsageError for anything else, FLOPs among it."""
    return _positive(option, text, _THOUSANDS | {n + "macs": f for n, f in _THOUSANDS.items()}, "MACs such as 20M")


def size(option: str, text: str) -> float:
    """`5MB`, `5MiB` or a number, as bytes: MB are 10^6, MiB 2^20. UsageError for anything else."""
    return _positive(option, text, _BYTES, "a size such as 5MB or 5MiB")


def share(option: str, text: str) -> float:
    """`0.9` or `90%` as 0.9; UsageError for anything that is no share of one."""
    found = _positive(option, text, {"": 1.0, "%": 0.01}, "a share such as 0.9 or 90%")
    if found > 1:
        raise UsageError(f"{option} takes a share such as 0.9 or 90%, not '{text}'")
    return found


def short(value: float) -> str:
    """`12.3M`: three digits and the prefix of thousands."""
    for letter, factor in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 0.9995 * factor:
            return f"{value / factor:.3g}{letter}" if value < 999.5 * factor else f"{value / factor:.0f}{letter}"
    return f"{value:.3g}"


def _positive(option: str, text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    found = _NUMBER.fullmatch(text)
    value = float(found[1]) * units[found[2].lower()] if found and found[2].lower() in units else math.nan
    if not 0 < value < math.inf:
        raise UsageError(f"{option} takes {wanted}, not '{text}'")
    return value
