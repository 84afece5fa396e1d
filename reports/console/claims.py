"""The table of `claims` on the terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from reports.data.claims import HEADINGS, Finding, figures_of

_STYLES = {
    "holds": "green",
    "does not": "red",
    "leans to it": "dim green",
    "leans against": "dim red",
    "not separated": "yellow",
}
_WIDE = 100  # columns of terminal from which the seeds' own figures have room
_NARROWEST = 20  # of the names, which are folded


def verdicts(findings: Sequence[Finding], width: int) -> Iterator[RenderableType]:
    """What `claims` found, one line a finding under its claim: the entries of claims.json.

    On a terminal of less than 100 columns the seeds' own figures are left out.
    """
    shown = HEADINGS if width >= _WIDE else HEADINGS[:-1]
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


def _title(finding: Finding) -> str:
    return ", ".join(filter(None, (finding["claim"], finding["among"])))
