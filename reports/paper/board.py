"""The leaderboard as people read it: Markdown, CSV, JSON and LaTeX, from standings. Pure text; nothing is trusted.

A board is what there is of one data set, backbone and division: its ranked lines by class of training cost, the
lines that have no rank, and the stale ones.
"""

import csv
import html
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.leaderboard.standing import CLAIM, Standing, duels
from reports.data.records import EXTRAS, LATENCY_COLUMNS, RATIOS, STALE, Run
from reports.paper.latex import escape

Boards = Mapping[tuple[str, str, str], Sequence[Standing]]
HEADER = (
    "rank", "method", "25%", "50%", "75%", "100%", "summary", "to the best", "training", "execution", "tier", "seeds",
    "date", "suite", "data", "machine",
)  # fmt: skip
NUMBERS = 8
"""Columns from `25%` on that are numbers."""
MADE_BY = "python -m benchmarks leaderboard build"
COLUMNS = (
    "dataset", "backbone", "division", "class", "rank", "method", "variant", "method_version", "protocol",
    "accuracy_25", "accuracy_50", "accuracy_75", "accuracy_100", "low_25", "low_50", "low_75", "low_100", "high_25",
    "high_50", "high_75", "high_100", "summary", "summary_low", "summary_high", "leader", "difference",
    "difference_low", "difference_high", "p_holm", "pairs", "mark", "training", "plain_macs", "plain_flops",
    "parameters", "storage_bytes", "execution", "tier", "seeds", "date", "suite_version", "commit", "data_fingerprint",
    "machine", "stale", "note", "tuning", "entry", "command",
)  # fmt: skip


def rows(boards: Boards) -> list[dict[str, Any]]:
    """One row an entry, in the order of the boards, under the names of COLUMNS; accuracies in [0, 1]."""
    return [_row(line) for lines in boards.values() for line in lines]


def _row(line: Standing) -> dict[str, Any]:
    entry, against = line.entry, line.against
    found: dict[str, Any] = {
        "dataset": entry.dataset.name, "backbone": entry.backbone, "division": entry.division, "class": line.group,
        "rank": line.rank, "method": entry.method, "variant": entry.variant, "method_version": entry.method_version,
        "protocol": entry.protocol, "summary": entry.figures.summary.mean, "summary_low": entry.figures.summary.low,
        "summary_high": entry.figures.summary.high, "training": line.training, "plain_macs": entry.costs.plain_macs,
        "plain_flops": 2 * entry.costs.plain_macs, "parameters": entry.costs.parameters,
        "storage_bytes": entry.costs.storage_bytes, "execution": line.executed, "tier": entry.tier,
        "seeds": " ".join(map(str, entry.seed_numbers)), "date": entry.date,
        "suite_version": entry.environment.suite_version, "commit": entry.environment.commit,
        "data_fingerprint": entry.dataset.test_fingerprint, "machine": entry.environment.machine, "stale": line.stale,
        "note": line.note, "tuning": entry.tuning, "entry": line.file, "command": entry.command,
    }  # fmt: skip
    for budget in line.budgets:
        at = f"{budget.share:.0%}".removesuffix("%")
        found |= {f"accuracy_{at}": budget.accuracy, f"low_{at}": budget.low, f"high_{at}": budget.high}
    if against is not None:
        found |= {
            "leader": against.leader, "difference": against.difference, "difference_low": against.low,
            "difference_high": against.high, "p_holm": against.p, "pairs": against.pairs, "mark": against.mark,
        }  # fmt: skip
    return {name: found.get(name) for name in COLUMNS}


def as_csv(boards: Boards) -> str:
    """All rows as CSV; a text that a spreadsheet would take for a formula is quoted by an apostrophe."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows({name: _harmless(value) for name, value in row.items()} for row in rows(boards))
    return text.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and re.match(r"[=+@\t\r]|-(?!\d)", value) else value


def as_json(boards: Boards) -> str:
    """All rows as JSON, each with its duels: against the leader of its class on the same images, budget by budget
    and seed by seed, by McNemar's test."""
    found = []
    for lines in boards.values():
        for line, row in zip(lines, (_row(line) for line in lines), strict=True):
            leader = next((other for other in lines if other.rank == 1 and other.group == line.group), None)
            against = duels(leader.entry, line.entry) if leader and line.against else []
            found.append(row | {"settings": line.entry.settings, "duels": against})
    return json.dumps({"made_by": MADE_BY, "entries": found}, indent=1) + "\n"


def as_markdown(boards: Boards, titles: Mapping[str, str]) -> str:
    """The boards as GitHub shows them; `titles` say what the data sets are."""
    parts = [_INTRODUCTION]
    if not boards:
        parts.append("There are no entries yet.\n")
    for (dataset, backbone, division), lines in boards.items():
        parts.append(f"## {_md(dataset)}, {_md(backbone)}, {division} division\n")
        parts.append("".join(f"{line}\n" for line in _about(lines[0], titles.get(dataset, ""))))
        parts += [_section(group, own) for group, own in _sections(lines)]
    return "\n".join(parts)


def _about(line: Standing, title: str) -> Iterator[str]:
    """What all entries of a board share."""
    entry = line.entry
    closed = entry.division == "closed"
    epochs = f"; epochs of a network: {entry.training.recipe['epochs']}" if closed else ""
    macs, images = entry.costs.plain_macs, entry.dataset.test_images
    if title:
        yield f"{_md(title)}."
    yield (
        f"The plain network takes {macs / 1e6:,.2f} MMACs ({2 * macs / 1e6:,.2f} MFLOPs) an image; {images:,} test "
        f"images of {entry.dataset.classes} classes{epochs}."
    )


def _sections(lines: Sequence[Standing]) -> Iterator[tuple[str, list[Standing]]]:
    """The lines under their headings: classes of training cost, and at the end what is stale."""
    for group, own in groupby(lines, key=lambda line: "stale" if line.stale else line.group):
        yield group, list(own)


def _section(group: str, lines: Sequence[Standing]) -> str:
    heading = "Out of date" if group == "stale" else f"Training: {group}"
    header = ["changed", *HEADER[1:]] if group == "stale" else list(HEADER)
    ruler = ["---" if not 2 <= place < 2 + NUMBERS - 1 else "---:" for place in range(len(header))]
    body = [[_grey(line, _md(cell)) for cell in _cells(line)] for line in lines]
    return "\n".join([f"### {heading}\n", *(f"| {' | '.join(cells)} |" for cells in (header, ruler, *body)), ""])


def _grey(line: Standing, cell: str) -> str:
    return f"<sub>{cell}</sub>" if line.stale and cell else cell


def _cells(line: Standing) -> list[str]:
    """One line as plain texts, under HEADER."""
    entry, summary = line.entry, line.entry.figures.summary
    first = line.stale or (str(line.rank) if line.rank is not None else "–")
    return [
        first,
        entry.label,
        *(_percent(b.accuracy, b.low, b.high, len(entry.seeds)) for b in line.budgets),
        _percent(summary.mean, summary.low, summary.high, len(entry.seeds)),
        _difference(line),
        "–" if line.training is None else f"{line.training:.3f}",
        line.executed,
        entry.tier,
        str(len(entry.seeds)),
        entry.date,
        entry.environment.suite_version,
        entry.dataset.test_fingerprint[:8],
        entry.environment.machine[:8],
    ]


def _percent(mean: float | None, low: float | None, high: float | None, seeds: int) -> str:
    if mean is None:
        return "–"
    spread = f" ({100 * low:.1f} to {100 * high:.1f})" if low is not None and high is not None and seeds > 1 else ""
    return f"{100 * mean:.1f}{spread}"


def _difference(line: Standing) -> str:
    """How far the summary is from the best of the class, with its mark."""
    against = line.against
    if against is None:
        return "best" if line.rank == 1 else "–"
    return f"{100 * against.difference:+.1f} {against.mark}".replace("-", "−")


OPENED = r"{\noindent\footnotesize\setlength{\tabcolsep}{3pt}\begin{tabular}{rlrrrrrrr}"


def as_latex(boards: Boards) -> str:
    """A tabular a board, which needs no package and fits the column of an article. Accuracies in per cent, means over
    seeds; their ranges are in the other files."""
    parts = [f"% made by {MADE_BY}"]
    for (dataset, backbone, division), lines in boards.items():
        parts += [f"% {escape(dataset)}, {escape(backbone)}, {division} division", OPENED, r"\hline"]
        header = ("", "method", *(rf"{share}\%" for share in (25, 50, 75, 100)), "summary", "to the best", "training")
        parts += [" & ".join(header) + r" \\", r"\hline"]
        for group, own in _sections([line for line in lines if not line.stale]):
            parts.append(rf"\multicolumn{{9}}{{l}}{{\emph{{training: {escape(group)}}}}} \\")
            parts += [" & ".join(escape(cell.partition(" (")[0]) for cell in _cells(line)[:9]) + r" \\" for line in own]
        parts += [r"\hline", r"\end{tabular}}", ""]
    return "\n".join(parts)


def _md(text: str) -> str:
    """A text in Markdown: no tags, no cells of its own, no emphasis, no links."""
    return re.sub(r"([\\|*_`\[\]~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


FACTS = ("rank", "division", "class", "tier", STALE)
"""What the page says of a series beside its figures."""


def runs(boards: Boards) -> list[Run]:
    """The entries as the page reads runs, each with the facts of its line."""
    return [_run(line) for lines in boards.values() for line in lines]


def _run(line: Standing) -> Run:
    entry = line.entry
    macs = {seed.seed: seed.train_macs for seed in entry.seeds}
    about = {
        "method": entry.method, "variant": entry.variant, "backbone": entry.backbone, "dataset": entry.dataset.name,
        "kind": "point", "split": "test", "parameters": entry.costs.parameters,
        "storage_bytes": entry.costs.storage_bytes, "division": entry.division, "class": line.group,
        "tier": entry.tier, STALE: line.stale, "rank": math.nan if line.rank is None else line.rank,
    }  # fmt: skip
    table = pd.DataFrame([about | row.model_dump() | {"train_macs": macs[row.seed]} for row in entry.figures.points])
    record = {
        "name": line.file.removesuffix(".json"),
        "configuration": entry.configuration.model_dump(mode="json"),
        "recipe": entry.training.recipe,
        "environment": entry.environment.model_dump(),
        "data": entry.dataset.model_dump() | {"chance": line.chance},
        "plain_macs": {"torch": entry.costs.plain_macs},
    }
    latency = pd.DataFrame(columns=[*LATENCY_COLUMNS, *RATIOS, *EXTRAS])
    return Run(Path(line.file), record, table, latency)


_INTRODUCTION = f"""<!-- made by `{MADE_BY}` from entries/; do not edit -->
# Leaderboard

Every line is one entry: one method, variant, backbone and data set, with its per-image answers, from which all
figures here are recomputed. Accuracies are per cent of the test images, at 25, 50, 75 and 100% of the plain network's
MACs: of the point that calibration images choose, mean over the seeds (lowest to highest seed). A point counts whose
mean cost is at most 1% above the budget, on calibration and on test images. The *summary* is the mean accuracy at a
budget from an eighth of the plain cost up to all of it, over the logarithm of the cost (the higher of the two), chance
below the cheapest point; in brackets its 95% t interval over the seeds. Methods are ranked by it, among those of
similar training cost: *training* is in trainings of the plain network, by MACs.

*To the best*: difference of the summary to the best of the class, paired by seed. `<`: below it, `≈`: not told apart
(t test, p-values adjusted by Holm's method over all pairs of the class); `?`: fewer than {CLAIM} seeds, so no claim.
*Execution*: whether the chosen points were executed, or looked up in what every answer says. *Tier*: self-reported,
reproduced (replayed from the weights) or verified (trained again). *Data* and *machine* are the beginnings of hashes.

Closed division: same data, splits, backbone, recipe, seeds and calibration images as the plain network's entry. Open:
anything that keeps the other rules. Make an entry: `python -m benchmarks leaderboard submit RUN`.
"""
