"""Names near to one that nobody knows."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import takewhile


def alike(word: str, known: Iterable[str], most: int = 4) -> list[str]:
    """Up to `most` known names like `word`: those that begin alike first; empty where none is like it."""
    word, known = word.lower(), list(known)
    near = get_close_matches(word, known, n=len(known) or 1)
    near.sort(key=lambda candidate: -_shared_start(word, candidate))
    return near[:most]


def _shared_start(a: str, b: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
