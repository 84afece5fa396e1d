"""What the project's pages hold: fenced blocks, commands, links and headings.

A block fenced without a language holds commands, one a line; `python`, `toml` and `yaml` say what they are; anything
else is to be read and not run, and is fenced as `text`. Commands also stand between backticks, in tables and sentences.
"""

import re
import shlex
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

HOUSE = Path(__file__).parents[2]
PAGES = [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted((HOUSE / "docs").glob("*.md"))]
LANGUAGES = {"", "python", "toml", "yaml", "text"}
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(python -m benchmarks [^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: its language and what is in it."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(language, dedent(text)) for _, language, text in _FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> list[list[str]]:
    """Every command of a page, split into words, without comments; `a && b` are two."""
    lines = [line for block in blocks(page) if not block.language for line in block.text.splitlines()]
    words = [shlex.split(line, comments=True) for line in [*lines, *_SPAN.findall(_unfenced(page))]]
    return [command for line in words for command in _parts(line)]


def links(page: Path) -> list[str]:
    """Targets of the page's links."""
    return _LINK.findall(_unfenced(page))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the page's headings."""
    titles = re.findall(r"^#+ (.+)$", _unfenced(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _unfenced(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _parts(words: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            found.append([])
        else:
            found[-1].append(word)
    return [part for part in found if part]
