"""The tables of `analyse` and `scales` on the terminal: a few lines a method, of files that hold all of it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from benchmarks.stats.inference import paired_t
from reports.data.tables import with_series

BUDGETS = (0.25, 0.35, 0.5, 0.75, 1.0)
_ABOVE = ["above_plain", "above_low", "above_high"]
SHOWN = 4  # answers or points of a method; all are in the files


def analyses(tables: Mapping[str, pd.DataFrame]) -> list[Table]:
    """What `analyse` found, by the names of its files. Shares and errors are means over seeds."""
    makers = {
        "cost-needed": _cost_needed, "agreement": _agreement, "calibration": _calibration,
        "difficulty": _difficulty, "effort": _effort,
    }  # fmt: skip
    return [make(_named(tables[name])) for name, make in makers.items() if name in tables]


def scales(similarity: pd.DataFrame, accuracy: pd.DataFrame) -> Table:
    """What `scales` found: with one seed the intervals over images, with several Student's over seeds."""
    rows, right = _named(similarity), _named(accuracy)
    sides = list(dict.fromkeys(right["side"]))
    headings = [*(f"{side} px" for side in sides), "alike", "over plain"]
    table = _table(
        "Accuracy % at test sizes, and how alike the predictions are (mean cosine similarity)", ["method"], headings
    )
    for name, own in _by(rows, "series"):
        at = right[right["series"] == name].groupby("side")["accuracy"].mean()
        if own["above_plain"].isna().any():
            more = "–"
        else:
            mean, low, high = paired_t(own["above_plain"])[0] if len(own) > 1 else own[_ABOVE].iloc[0]
            more = f"{mean:+.3f} ±{(high - low) / 2:.3f}"
        table.add_row(name, *(_percent(at[side]) for side in sides), f"{own['similarity'].mean():.3f}", more)
    seeds = rows["seed"].nunique()
    over = f"{seeds} seeds" if seeds > 1 else "images (one seed)"
    table.caption = f"±: half the 95% interval over {over}"
    return table


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return with_series(table.assign(backbone=""))


def _cost_needed(rows: pd.DataFrame) -> Table:
    title = "Images % whose cheapest right answer costs at most this share of plain"
    table = _table(title, ["method"], [*(f"{share:.0%}" for share in BUDGETS), "any", "none right"])
    for name, own in _by(rows, "series"):
        seeds = own["seed"].nunique()
        # what no answer gets right has no cost, and no comparison holds for it
        within = [own.loc[own["of_plain"] <= share + 1e-9, "share"].sum() / seeds for share in BUDGETS]
        never = own.loc[own["needed"] == "none", "share"].mean()
        table.add_row(
            name, *(_percent(share) if share else "–" for share in within), _percent(1 - never), _percent(never)
        )
    return table


def _agreement(rows: pd.DataFrame) -> Table:
    """Of every method the first answer against the last: the cheapest against the full model."""
    columns = ["same", "both_right", "both_wrong", "first_only", "second_only"]
    headings = ["same", "both right", "both wrong", "first only", "second only"]
    table = _table("Agreement of the first and the last answer, % of images", ["answers"], headings)
    for name, own in _by(rows, "series"):
        first, last = own["first"].iloc[0], own["second"].iloc[-1]
        pair = own[(own["first"] == first) & (own["second"] == last)]
        table.add_row(Text(name, style="bold"))
        table.add_row(f"  {first}, {last}", *(_percent(pair[column].mean()) for column in columns))
    return table


def _calibration(rows: pd.DataFrame) -> Table:
    bins = rows["bins"].iloc[0]
    headings = ["accuracy %", "confidence %", "error %", "by width %", "loss", "AUROC"]
    title = f"Calibration of the largest probability ({bins} bins of equally many images, or of equal width)"
    table = _table(title, ["answer"], headings)
    columns = ["macs", "accuracy", "confidence", "ece", "ece_width", "loss", "auroc"]
    for name, own in _by(rows, "series"):
        means = own.groupby("answer", sort=False)[columns].mean().sort_values("macs", kind="stable")
        table.add_row(Text(name, style="bold"))
        for answer, row in _thinned(means).iterrows():
            shares = (_percent(row[column]) for column in ("accuracy", "confidence", "ece", "ece_width"))
            table.add_row(f"  {answer}", *shares, f"{row['loss']:.3f}", _plain(row["auroc"]))
    return table


def _difficulty(rows: pd.DataFrame) -> Table:
    """The first seed's points: thresholds differ from seed to seed."""
    first = rows[rows["seed"] == rows["seed"].min()]
    deciles = sorted(first["decile"].unique())
    what = "Accuracy % (and MMACs of per-sample points) by tenths of difficulty, easiest first"
    title = f"{what}; seed {first['seed'].iloc[0]}"
    table = _table(title, ["point"], [str(decile) for decile in deciles])
    for name, own in _by(first, "series"):
        table.add_row(Text(name, style="bold"))
        costs = own.groupby("point", sort=False)[["macs"]].mean().sort_values("macs", kind="stable")
        for point in _thinned(costs).index:
            of = own[own["point"] == point].set_index("decile")
            table.add_row(f"  {point}", *(f"{100 * of.loc[d, 'accuracy']:.0f}" for d in deciles))
            if of["decision"].iloc[0] == "per-sample":
                spent = [Text(f"{of.loc[d, 'macs'] / 1e6:.1f}", style="dim") for d in deciles]
                table.add_row(Text("    MMACs", style="dim"), *spent)
    return table


def _effort(rows: pd.DataFrame) -> Table:
    title = "Does compute follow difficulty? Spearman's rho of an image's MACs with its difficulty"
    table = _table(title, ["method", "seed"], ["points", "lowest", "median", "highest", "clearly above 0"])
    for name, own in _by(rows, "series"):
        for seed, of in own.dropna(subset=["rho"]).groupby("seed"):
            ends = (f"{value:+.2f}" for value in np.quantile(of["rho"], [0, 0.5, 1]))
            table.add_row(name, str(seed), str(len(of)), *ends, str(int((of["low"] > 0).sum())))
            name = ""
    return table


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=f"[bold]{title}[/bold]", title_justify="left", box=None, padding=(0, 1))
    for heading in texts:
        table.add_column(heading, overflow="fold", min_width=12)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _by(table: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, own in table.groupby(column, sort=False):
        yield str(name), own


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most SHOWN rows, spread evenly, the first and the last among them."""
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, min(SHOWN, len(table))).round().astype(int))]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _plain(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
