"""What an entry must not give away: folders, people and secrets of the machine it was made on."""

import re
from collections.abc import Iterator
from typing import Any

from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.judging import Problems

_PACKED = {"labels", "ids", "select_ids"}
PATTERNS = {
    "a folder of a machine": r"(?<![\w.:/])(?:~/|/(?:home|root|Users|tmp|mnt|work|var|opt|srv|data|media|scratch)\b)"
    r"|\b[A-Za-z]:\\",
    "an e-mail address": r"\b[\w.+-]+@[\w-]+\.[\w.]+\b",
    "a token": r"\b(?:gh[pousr]_\w{20,}|github_pat_\w+|hf_\w{20,}|sk-[\w-]{16,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]+)",
    "a secret": r"(?i)\b(?:pass(?:word|wd)|secret|token|api[_-]?key)\s*[=:]\s*\S|-----BEGIN [A-Z ]*PRIVATE KEY",
    "the user of an address": r"(?i)\bhttps?://[^/\s]*@",
}
"""What is looked for in every text of an entry, by what it is called."""


def problems(entry: Entry, _: object = None) -> Problems:
    """Where a text of the entry gives something away."""
    content = entry.model_dump(mode="json", exclude=_PACKED)
    return [
        f"{where} holds {what}"
        for where, text in _texts(content, "")
        for what, pattern in PATTERNS.items()
        if re.search(pattern, text)
    ]


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """All texts with the place they stand at; packed arrays are numbers."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict) and value.keys() != {"dtype", "shape", "data"}:
        for key, inner in value.items():
            yield from _texts(inner, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, f"{where}[{place}]")
