"""BibTeX of what the suite itself is cited as: its software and its leaderboard's entries. Pure functions."""

import re
from collections.abc import Mapping

from reports.paper.latex import escape

_SCALAR = re.compile(r"^(\w[\w-]*): (\S.*)$", re.MULTILINE)
_NAME = re.compile(r"^  - name: (\S.*)$", re.MULTILINE)


def software(citation: str) -> str:
    """The suite's entry, from the text of its CITATION.cff: who, what, which version and when."""
    facts = dict(_SCALAR.findall(citation))
    authors = " and ".join(f"{{{escape(name)}}}" for name in _NAME.findall(citation))
    name, version = facts["title"], facts["version"]
    fields = {
        "author": authors, "title": f"{{{escape(name)}}}", "version": escape(version),
        "year": facts["date-released"][:4], "license": escape(facts["license"]),
    }  # fmt: skip
    return bibtex("software", f"{name}-{version}", fields)


def result(key: str, about: Mapping[str, str]) -> str:
    """A leaderboard entry as @misc.

    `about`: `method` (with its variant), `backbone`, `dataset`, `fingerprint` of its test images, `protocol`, `tier`,
    `date` (ISO), `suite` (the version that made it), `version` (of the method). It is nobody's text: the key sorts it.
    """
    said = {name: escape(text) for name, text in about.items()}
    fields = {
        "key": said["method"],
        "title": f"{{{said['method']} on {said['dataset']}, {said['backbone']}: a result of the cost-adjustable "
        "inference benchmark}",
        "howpublished": f"Leaderboard entry, protocol {said['protocol']}, suite version {said['suite']}",
        "year": said["date"][:4],
        "date": said["date"],
        "note": f"Data set {said['dataset']}, test images {said['fingerprint'][:12]}; method version "
        f"{said['version']}; {said['tier']}",
    }
    return bibtex("misc", key, fields)


def bibtex(kind: str, key: str, fields: Mapping[str, str]) -> str:
    """One entry; the values are LaTeX. The key keeps its letters, digits and hyphens."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-").lower()
    lines = (f"  {name} = {{{value}}}," for name, value in fields.items())
    return "\n".join([f"@{kind}{{{plain},", *lines, "}"])
