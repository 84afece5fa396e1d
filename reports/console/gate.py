"""A gate's result for people (a table), pull requests (Markdown) and machines (JUnit). Pure functions of its record."""

from collections import Counter
from typing import Any
from xml.etree import ElementTree

from rich.console import Group
from rich.table import Table
from rich.text import Text

MARKS = {"regression": "❌", "inconclusive": "❔", "improvement": "✅", "pass": "✔"}
STYLES = {"regression": "bold red", "inconclusive": "yellow", "improvement": "green", "pass": ""}
HEADLINES = {
    "regression": "Something costs more, runs slower or answers worse",
    "inconclusive": "Nothing is known to be worse, but some checks are undecided",
    "improvement": "Nothing is worse, something is better",
    "pass": "Nothing changed beyond the tolerances",
}
COLUMNS = ("model", "point", "metric", "base", "head", "change", "")
_LONGEST = 60_000
"""Characters of Markdown: a comment on GitHub holds 65,536."""

Check = dict[str, Any]


def terminal(record: dict[str, Any]) -> Group:
    """The verdict, every check that did not just pass and every latency, and how many passed."""
    table = Table(box=None, padding=(0, 1))
    for place, heading in enumerate(COLUMNS):
        table.add_column(heading, justify="right" if 3 <= place <= 5 else "left", overflow="fold")
    for check in _shown(record):
        cells = (*_cells(check), f"{check['verdict']}: {check['note']}")
        table.add_row(*(Text(cell) for cell in cells), style=STYLES[check["verdict"]])
    verdict = record["verdict"]
    head = Text(f"{verdict}: {HEADLINES[verdict]}", style=STYLES[verdict] or "bold")
    return Group(head, "", table, "", Text(_passed(record)), Text(_about(record), style="dim"))


def markdown(record: dict[str, Any]) -> str:
    """The same for a pull request, at most as long as a comment may be."""
    verdict = record["verdict"]
    lines = [f"### {MARKS[verdict]} Cost and latency gate: {verdict}", "", f"{HEADLINES[verdict]}.", ""]
    rows = _shown(record)
    table = [f"| {' | '.join((*COLUMNS[:-1], 'verdict', 'test'))} |", "|" + "---|" * (len(COLUMNS) + 1)]
    tail = ["", _passed(record), "", f"<sub>{_escaped(_about(record))}</sub>", ""]
    room = _LONGEST - sum(map(len, lines + table + tail))
    for place, check in enumerate(rows):
        cells = (*_cells(check), f"{MARKS[check['verdict']]} {check['verdict']}", check["note"])
        row = f"| {' | '.join(map(_escaped, cells))} |"
        room -= len(row) + 1
        if room < 0:
            tail = ["", f"{len(rows) - place} more rows in the JSON file.", *tail]
            break
        table.append(row)
    return "\n".join([*lines, *(table if rows else []), *tail])


def junit(record: dict[str, Any]) -> str:
    """One test case a check: a regression is a failure, an open question is skipped."""
    counts = Counter(check["verdict"] for check in record["checks"])
    suite = ElementTree.Element(
        "testsuite", name="gate", tests=str(len(record["checks"])), failures=str(counts["regression"]), errors="0",
        skipped=str(counts["inconclusive"]), time=f"{record['seconds']:.1f}",
    )  # fmt: skip
    for check in record["checks"]:
        name = f"{check['point']}: {check['metric']}"
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(_model(check)), name=_clean(name))
        *_, base, head, change = _cells(check)
        said = _clean(f"{base} -> {head} ({change}): {check['note']}")
        if check["verdict"] == "regression":
            ElementTree.SubElement(case, "failure", message=said).text = said
        elif check["verdict"] == "inconclusive":
            ElementTree.SubElement(case, "skipped", message=said)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _shown(record: dict[str, Any]) -> list[Check]:
    """Worst first; of what passed only the latencies, whose intervals are worth a look."""
    order = ("regression", "inconclusive", "improvement", "pass")
    shown = [c for c in record["checks"] if c["verdict"] != "pass" or _is_time(c)]
    return sorted(shown, key=lambda check: order.index(check["verdict"]))


def _passed(record: dict[str, Any]) -> str:
    counts = Counter(c["metric"].partition(",")[0] for c in record["checks"] if c["verdict"] == "pass")
    passed = ", ".join(f"{count} {metric}" for metric, count in counts.items())
    all_passed = f"{sum(counts.values())} of {len(record['checks'])} checks pass: {passed or 'none'}."
    return f"{all_passed} Latency: {record['latency']}."


def _about(record: dict[str, Any]) -> str:
    names = ("base", "head", "machine")
    return "; ".join(f"{name}: {record[name]}" for name in names if record.get(name))


def _is_time(check: Check) -> bool:
    return str(check["metric"]).partition(",")[0].endswith(" ms")


def _model(check: Check) -> str:
    if not check["backbone"]:  # a hot path of the suite is of no model
        return str(check["method"])
    variant = "" if check["variant"] == "default" else f":{check['variant']}"
    return f"{check['method']}{variant} {check['backbone']} {check['dataset']} s{check['seed']}"


def _cells(check: Check) -> tuple[str, str, str, str, str, str]:
    base, head = check["base"], check["head"]
    if check["metric"] == "accuracy":
        return (
            _model(check), check["point"], "accuracy %", f"{100 * base:.2f}", f"{100 * head:.2f}",
            f"{100 * (head - base):+.2f}",
        )  # fmt: skip
    change = f"{100 * (head / base - 1):+.1f}%" if base else "–"
    number = "{:,.3f}" if _is_time(check) else "{:,.0f}"
    return _model(check), check["point"], check["metric"], number.format(base), number.format(head), change


def _escaped(text: str) -> str:
    """Text in a Markdown table: no markup, no cell or line ends, no mentions."""
    text = "".join(f"&#{ord(character)};" if character in "\\`*_[]<>|#@&" else character for character in text)
    return " ".join(text.split())


def _clean(text: str) -> str:
    """Without the control characters that XML does not have."""
    return "".join(character for character in text if character.isprintable())
