"""A comparison as LaTeX: one booktabs table for each data set, training set-up and backbone. Pure functions."""

import math
from collections.abc import Iterator

from reports.data.comparison import Figure, Line, Place
from reports.data.tables import BUDGETS

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "$": r"\$", "&": r"\&",
    "#": r"\#", "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "×": r"$\times$", "≤": r"$\leq$",
    "±": r"$\pm$", "≈": r"$\approx$", "−": "$-$", "–": "--", "—": "---",
}  # fmt: skip
_LAST_LETTER = "\u017f"  # of those that LaTeX knows without further packages
_NONE = "--"


def escape(text: str) -> str:
    """Any text as LaTeX prints it, in one line; a character that needs further packages becomes a question mark."""
    return "".join(_SPECIAL.get(one) or _character(one) for one in " ".join(text.split()))


def _character(one: str) -> str:
    return one if one.isprintable() and (one.isascii() or (one.isalpha() and one <= _LAST_LETTER)) else "?"


def table(place: Place) -> str:
    """A table environment that needs the package booktabs and fits one column of `article`: accuracies in percent,
    mean and spread over seeds."""
    shares = [rf"{share:.0%}".replace("%", r"\%") for share in BUDGETS]
    heads = ["Method", *shares, "Summary", "Training"]
    span = len(BUDGETS)
    return "\n".join([
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption(place)}}}",
        r"\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        rf" & \multicolumn{{{span}}}{{c}}{{Accuracy at a share of the plain MACs}} & & \\",
        rf"\cmidrule(lr){{2-{span + 1}}}",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(" & ".join(_cells(line)) + r" \\" for line in place.lines),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]) + "\n"  # fmt: skip


def caption(place: Place) -> str:
    """What the table shows, so that it can be read without the suite's documentation."""
    return " ".join([rf"Test accuracy (\%) on {escape(place.title)}.", *_notes(place)])


def _notes(place: Place) -> Iterator[str]:
    yield r"Points are chosen on calibration images, cost at most 1\% above the budget, and are reported on test ones."
    seeds = sorted({line.seeds for line in place.lines})
    if seeds[-1] > 1:
        few = f"{seeds[0]} to " * (seeds[0] < seeds[-1])
        yield rf"Mean $\pm$ standard deviation over {few}{seeds[-1]} seeds."
    yield r"Summary: mean accuracy over $\log_2(\mathrm{budget}/\mathrm{plain})$ from $-3$ to $0$."
    plain = [line for line in place.lines if line.training == 1]
    cost = f" (${_scientific(plain[0].train_macs)}$)" if plain else ""
    yield f"Training: MACs relative to the plain network's{cost}."


def _scientific(value: float) -> str:
    exponent = math.floor(math.log10(value))
    return rf"{value / 10**exponent:.1f}\cdot 10^{{{exponent}}}"


def _cells(line: Line) -> list[str]:
    training = _NONE if math.isnan(line.training) else rf"{line.training:.2f}$\times$"
    return [
        escape(line.series),
        *(_percent(figure) for figure in (*line.budgets, line.summary)),
        training,
    ]


def _percent(figure: Figure | None) -> str:
    if figure is None:
        return _NONE
    mean = f"{100 * figure.mean:.1f}"
    return mean if math.isnan(figure.spread) else rf"${mean}_{{\pm {100 * figure.spread:.1f}}}$"
