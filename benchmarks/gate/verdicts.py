"""What a gate found: one check a point and metric, and what they add up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gate.shift import Verdict

STATUS: dict[Verdict, int] = {"pass": 0, "improvement": 0, "regression": 1, "inconclusive": 4}
"""The exit status of a gate by its verdict."""


@dataclass(frozen=True)
class Check:
    """One metric of one point (or answer, or model) in both versions. `note`: the test behind the verdict."""

    method: str
    variant: str
    backbone: str
    dataset: str
    seed: int
    point: str
    metric: str
    base: float
    head: float
    verdict: Verdict
    note: str = ""


def overall(checks: Sequence[Check]) -> Verdict:
    """One regression is a regression; else one open question leaves it open."""
    found = {check.verdict for check in checks}
    for verdict in ("regression", "inconclusive", "improvement"):
        if verdict in found:
            return verdict
    return "pass"


def record(checks: Sequence[Check], about: dict[str, Any]) -> dict[str, Any]:
    """A gate as plain data: the verdict, every check, and what was compared, how and where (`about`)."""
    return {"schema_version": 1, "verdict": overall(checks), **about, "checks": [vars(check) for check in checks]}
