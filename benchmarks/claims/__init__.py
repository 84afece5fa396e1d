"""The papers' claims, checked on a finished run: what is higher than what, by how much, and how sure that is."""

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.claims import instances, resolution, routing, savings
from benchmarks.claims.pairing import Known, Models
from benchmarks.finding import Finding
from benchmarks.stats.inference import holm

CLAIMS: tuple[Callable[[Models, Known], Iterator[Finding]], ...] = (
    routing.beats_random,
    routing.beats_mixture,
    routing.effort,
    instances.statistics,
    instances.best,
    instances.budgets,
    instances.ablations,
    resolution.alike,
    resolution.beats_static,
    savings.selection,
    savings.exits,
)


@cache
def papers() -> dict[str, Any]:
    """papers.toml: `papers` by name, and `claim`, a list."""
    return tomllib.loads(Path(__file__).with_name("papers.toml").read_text(encoding="utf-8"))


def findings(models: Models, known: Known) -> list[Finding]:
    """Every claim on every method of a run; also those for which the run has nothing, saying what is missing.

    Those that decide the same claim of a paper are tested together, and so are the others of a check.
    """
    found = [replace(one, decides=_decides(one)) for check in CLAIMS for one in check(models, known)]
    families: dict[str, list[int]] = {}
    for place, finding in enumerate(found):
        families.setdefault(finding.decides or finding.claim, []).append(place)
    for family in families.values():
        for place, p in zip(family, holm([found[place].over_seeds[1] for place in family]), strict=True):
            found[place] = replace(found[place], p_holm=float(p))
    return found


def _decides(finding: Finding) -> str:
    """The title of the paper's claim that a finding decides; empty where it decides none."""
    titles = (
        claim["title"]
        for claim in papers()["claim"]
        if finding.claim in claim["of"] and re.match(claim["decides"], finding.line)
    )
    return next(titles, "")
