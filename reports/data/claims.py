"""What findings of claims are written as: figures by their units, verdicts of several findings, claims.csv."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

HEADINGS = ("mean", "95% over seeds", "above", "by seed")
_WRITE: dict[str, Callable[[float], str]] = {
    "accuracy": lambda value: f"{100 * value:+.1f}",
    "rho": lambda value: f"{value:+.2f}",
    "share": lambda value: f"{round(100 * value):+d}%",
    "similarity": lambda value: f"{value:+.3f}",
}
"""How figures are written, by their unit; accuracies in percentage points."""
_WORST_FIRST = ("does not", "leans against", "not separated", "leans to it", "holds")
_FOR = ("holds", "leans to it")
NOTHING = "not comparable"
Finding = Mapping[str, Any]


def summed(findings: Sequence[Finding], whole: bool = False) -> tuple[str, Finding | None]:
    """What several findings say of one claim, in the words of one, and the finding that decides it.

    It holds where all that can be compared do, and the subject meets all that others do; else it is as good as the
    worst. `whole`: nothing is said unless all can be compared.
    """
    found = [finding for finding in findings if finding["verdict"] != NOTHING]
    if not found or (whole and len(found) < len(findings)):
        return NOTHING, None
    worst = min(found, key=lambda finding: (_WORST_FIRST.index(finding["verdict"]), finding["mean"]))
    if worst["verdict"] in _FOR and any(finding["forfeits"] for finding in findings):
        return NOTHING, None
    return str(worst["verdict"]), worst


def figures_of(finding: Finding) -> list[str]:
    """Mean, interval, at how many points of the seeds it is positive, and the seeds' own."""
    seeds = finding["seeds"]
    if not seeds:
        return [""] * len(HEADINGS)
    write = _WRITE[finding["unit"]]
    repeated = finding["untimed"] is not None and len(seeds) == 1  # a time: its interval is over repetitions
    low, high = ((seeds[0] if repeated else finding)[end] for end in ("low", "high"))
    interval = f"{write(low)} to {write(high)}" if repeated or len(seeds) > 1 else "one seed"
    own = [write(seed["value"]) + ("*" if seed["low"] > 0 or seed["high"] < 0 else "") for seed in seeds]
    points = sum(len(seed["points"]) for seed in seeds)
    above = f"{sum(seed['above'] for seed in seeds)}/{points}"
    return [write(finding["mean"]), interval, above, " ".join(own)]


def over_both(finding: Finding) -> str:
    """The interval over seeds and images; empty where there is none."""
    low, high = finding["both_low"], finding["both_high"]
    write = _WRITE[finding["unit"]]
    return "" if low is None or pd.isna(low) else f"{write(low)} to {write(high)}"


def rows(findings: Sequence[Finding]) -> pd.DataFrame:
    """claims.csv: a line a finding (`seed` is `all`), then a line each of its seeds, then their points.

    The interval of a finding is over seeds, that of a seed over images; points have none.
    """
    lines = []
    for finding in findings:
        about = {
            name: finding[name]
            for name in ("claim", "decides", "among", "subject", "against", "where", "unit", "margin")
        }
        summary = {
            name: finding[name] for name in ("low", "high", "both_low", "both_high", "p", "p_holm", "verdict", "note")
        }
        lines.append(about | {"seed": "all", "point": "", "value": finding["mean"]} | summary)
        for seed in finding["seeds"]:
            own = {name: seed[name] for name in ("value", "low", "high", "above", "macs", "against_macs", "images")}
            lines.append(about | {"seed": seed["seed"], "point": "", "points": len(seed["points"])} | own)
            lines += [
                about | {"seed": seed["seed"], "point": point["name"]}
                | {name: point[name] for name in ("value", "p", "p_holm")}
                for point in seed["points"]
            ]  # fmt: skip
    return pd.DataFrame(lines)
