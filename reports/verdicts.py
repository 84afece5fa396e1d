"""The table of `claims` on the terminal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

_STYLES = {
    "holds": "green",
    "does not": "red",
    "leans to it": "dim green",
    "leans against": "dim red",
    "not separated": "yellow",
}
_WIDE = 100  # columns of terminal from which the seeds' own figures have room
_NARROWEST = 20  # of the names, which are folded
_HEADINGS = ("mean", "95% over seeds", "above", "by seed")
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


def verdicts(findings: Sequence[Finding], width: int) -> Iterator[RenderableType]:
    """What `claims` found, one line a finding under its claim: the entries of claims.json.

    On a terminal of less than 100 columns the seeds' own figures are left out.
    """
    shown = _HEADINGS if width >= _WIDE else _HEADINGS[:-1]
    names = [f"{'>' if finding['decides'] else ' '} {finding['line']}" for finding in findings]
    cells = [figures_of(finding)[: len(shown)] for finding in findings]
    widths = [max(map(len, column)) for column in zip(shown, *cells, strict=True)]
    verdict_width = max(len(finding["verdict"]) for finding in findings)
    room = width - sum(widths) - verdict_width - len(widths) - 2  # what figures, verdict and gaps leave for names
    name_width = max(_NARROWEST, min(room, max(map(len, names))))
    lines = iter(zip(findings, names, cells, strict=True))
    head = True
    for claim, group in groupby(lines, key=lambda line: _title(line[0])):
        table = Table(show_header=head, box=None, padding=(0, 1, 0, 0))
        table.add_column("", width=name_width, overflow="fold")
        for heading, wide in zip(shown, widths, strict=True):
            table.add_column(heading if head else "", justify="right", width=wide, no_wrap=True)
        table.add_column("verdict" if head else "", width=verdict_width, no_wrap=True)
        for finding, name, figures in group:
            verdict = Text(finding["verdict"], style=_STYLES.get(finding["verdict"], "dim"))
            table.add_row(Text(name), *figures, verdict)
        yield from (Text(claim, style="bold"), table)
        head = False


def closing(findings: Sequence[Finding]) -> list[Text]:
    """What has to be known to read the table."""
    seeds = max((len(finding["seeds"]) for finding in findings), default=0)
    lines = [
        "mean: percentage points of accuracy on the same images, rank correlation, share saved (%), or similarity; *: "
        "the 95% interval of that seed over images (bootstrap) leaves zero out; above: at how many points of all seeds "
        "it is positive",
        "verdict: Student's t over seeds at 5%, adjusted by Holm over the lines that decide a paper's claim (marked "
        ">), or over a claim's others; the 95% interval over seeds and "
        "images has to agree; a loss is tested against the point that may be lost",
    ]
    if 0 < seeds < 5:
        lines.append(f"{seeds} seed{'s' if seeds > 1 else ''}, fewer than 5: shown, but no claim of significance")
    missing = [finding for finding in findings if not finding["seeds"]]
    lines += dict.fromkeys(f"{finding['verdict']}: {finding['note']}" for finding in missing)
    return [Text(line, style="dim") for line in lines]


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


def _title(finding: Finding) -> str:
    return ", ".join(filter(None, (finding["claim"], finding["among"])))


def figures_of(finding: Finding) -> list[str]:
    """Mean, interval, at how many points of the seeds it is positive, and the seeds' own."""
    seeds = finding["seeds"]
    if not seeds:
        return [""] * len(_HEADINGS)
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
