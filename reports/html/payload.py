"""What travels to the page: every figure once, as columns. The page filters, sorts and draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.stats.frontier import on_frontier
from reports.data import time_saved
from reports.data.method_cards import axis_of
from reports.data.pairs import versus
from reports.data.series import FAMILY, PLACE, Gathered
from reports.data.tables import BUDGETS, budgets_of, summaries_of
from reports.html.packing import packed

SELECTED, ON_FRONTIER, IN_FAMILY, MEASURED, SIMULATED = 1, 2, 4, 8, 16
"""Bits of `marks`: chosen on *select*; on the test frontier; on the select frontier of the plain family; its peak
memory was measured; not executed."""
RIVALS = 16
"""Series of one place that are compared pair by pair, those with the best summaries."""
ROUTED = ("random", "mixture")
"""Controls that every per-sample point has beside it."""
_SHARE, _MEAN, _PART = -4, -6, -3  # exponents of accuracies over images, of means of them, and of ratios
_OF_LINES = {"summary": _MEAN, "low": _MEAN, "high": _MEAN, "picked": _MEAN, "training_cost": -2, "plain_macs": 0}
_OF_POINTS = {
    "balanced": _SHARE,
    "accuracy": _SHARE,
    "low": _SHARE,
    "high": _SHARE,
    "asked": 0,
    "parameters": 0,
    "samples": 0,
    "marks": 0,
}


def payload(gathered: Gathered, facts: Sequence[str]) -> dict[str, Any]:
    """The tables of the page, packed, and the names of the `facts` they have."""
    points = gathered.points.assign(series=gathered.points["line"])
    summed = summaries_of(points)
    lines = _lines(gathered, summed)
    given = [name for name in facts if name in lines]
    own, others = points[points["kind"] == "point"], points[points["kind"] != "point"]
    row = pd.Series(np.arange(len(own)), own["of"])
    return {
        "shares": list(BUDGETS),
        "facts": given,
        "lines": packed(lines, _OF_LINES),
        "points": packed(_points(own), _OF_POINTS),
        "controls": packed(_controls(own, others, row), {"accuracy": _SHARE}),
        "budgets": packed(
            _budgets(points), dict.fromkeys(("accuracy", "low", "high", "picked"), _MEAN)
        ),
        "family": packed(_family_budgets(own), dict.fromkeys(("accuracy", "low", "high", "picked"), _MEAN)),
        "times": packed(
            _times(gathered.timed, row), dict.fromkeys(("ratio", "ratio_low", "ratio_high", "cause_share"), _PART)
        ),
        "realised": packed(_realised(gathered), {"median": _PART, "least": _PART}),
        "versus": packed(_versus(gathered, lines), dict.fromkeys(("difference", "low", "high"), _MEAN)),
        "limits": {"saving": time_saved.SAVING, "enough": time_saved.ENOUGH, "rivals": RIVALS},
    }  # fmt: skip


def names(lines: pd.DataFrame, runs: Sequence[str]) -> pd.Series:
    """What each series is called: method, variant, and its run where two runs disagree."""
    variant = lines["variant"].where(~lines["variant"].isin(["", "default"]), "")
    name = lines["method"] + variant.map(lambda text: f":{text}" if text else "")
    return name + lines["tag"].map(lambda tag: f" ({runs[tag]})" if tag >= 0 else "")


def _lines(gathered: Gathered, summed: pd.DataFrame) -> pd.DataFrame:
    """One row a series, in the order of `line`."""
    lines, points = gathered.lines, gathered.points
    own = points[points["kind"] == "point"]
    each = own.groupby("line")
    scored = summed.set_index("series") if len(summed) else pd.DataFrame(index=lines.index)
    trained = each["train_macs"].mean().reindex(lines.index)
    is_plain = (lines["method"] == "plain") & lines["variant"].isin(["", "default"])
    place = pd.MultiIndex.from_frame(lines[PLACE])
    reference = trained[is_plain].groupby([lines.loc[is_plain, name] for name in PLACE]).mean()
    columns: dict[str, Any] = {
        "name": names(lines, [run.name for run in gathered.runs]),
        "axis": lines["method"].map(axis_of),
        "decision": each["decision"].agg(lambda kinds: "per-sample" if "per-sample" in set(kinds) else "static"),
        "seeds": each["seed"].nunique(),
        "training_cost": trained / reference.reindex(place).to_numpy(),
        "plain_macs": each["plain_macs"].mean(),
        "chance": each["chance"].first(),
    }
    for name in ("summary", "low", "high", "picked", "selected"):
        columns[name] = scored[name].reindex(lines.index) if name in scored else np.nan
    return lines.drop(columns="tag").assign(**columns).join(_routing(points), how="left")


def _routing(points: pd.DataFrame) -> pd.DataFrame:
    """How many points of each series lie above their control, and how many with their whole interval: counted from
    the unrounded figures, a column each."""
    key, figures = ["line", "seed", "point"], {"over": "accuracy", "clear": "accuracy_low"}
    own = points.loc[points["kind"] == "point", [*key, *figures.values()]].drop_duplicates(key)
    both = points.loc[points["kind"].isin(ROUTED), [*key, "kind", "accuracy"]].merge(own, on=key, suffixes=("_of", ""))
    above = {
        f"{name}_{kind}": (both["kind"] == kind) & (both[figure] > both["accuracy_of"])
        for kind in ROUTED
        for name, figure in figures.items()
    }
    return both.assign(**above).groupby("line")[list(above)].sum()


def _points(own: pd.DataFrame) -> pd.DataFrame:
    bits = {"selected": SELECTED, "on_frontier": ON_FRONTIER}
    marks = sum(own[name].to_numpy(dtype=int) * bit for name, bit in bits.items())
    marks = marks + _family(own) * IN_FAMILY + (own["memory"] > own["storage_bytes"]).to_numpy() * MEASURED
    marks = marks + (own["execution"] != "executed").to_numpy() * SIMULATED
    columns = {
        "line": own["line"], "run": own["run"], "seed": own["seed"], "point": own["point"],
        "decision": own["decision"], "macs": own["macs"], "accuracy": own["accuracy"], "low": own["accuracy_low"],
        "high": own["accuracy_high"], "balanced": _balanced(own), "samples": own["samples"],
        "parameters": own["parameters"], "memory": own["memory"], "marks": marks,
        "asked": _asked(own),
    }  # fmt: skip
    return pd.DataFrame(columns)


def _balanced(own: pd.DataFrame) -> pd.Series:
    """Mean accuracy over the classes; missing in entries of the leaderboard, which do not state it."""
    return own["balanced_accuracy"] if "balanced_accuracy" in own else pd.Series(np.nan, own.index)


def _asked(own: pd.DataFrame) -> np.ndarray:
    """The budget in whole MACs at which `pick` names a point; missing where it names another of the run and seed."""
    found = np.full(len(own), np.nan)
    places = np.flatnonzero(own["selected"].to_numpy(dtype=bool) & own["calibration_macs"].notna().to_numpy())
    for group in own.iloc[places].groupby(["run", "seed"], sort=False).indices.values():
        rows = places[group]
        macs, accuracy = (own[f"calibration_{name}"].to_numpy(dtype=float)[rows] for name in ("macs", "accuracy"))
        best = rows[on_frontier(macs, accuracy)]
        found[best] = np.ceil(own["calibration_macs"].to_numpy(dtype=float)[best])
    return found


def _family(own: pd.DataFrame) -> np.ndarray:
    """Which points are plain networks that no cheaper plain network beats on calibration images, within a place and
    seed."""
    found = np.zeros(len(own), dtype=int)
    within = own["method"].isin(FAMILY) & own["calibration_macs"].notna() & (own["decision"] == "static")
    places = np.flatnonzero(within)
    for group in own.iloc[places].groupby([*PLACE, "seed"], sort=False).indices.values():
        rows = places[group]
        part = own.iloc[rows]
        found[rows] = on_frontier(part["calibration_macs"], part["calibration_accuracy"])
    return found


def _controls(own: pd.DataFrame, others: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """Random, mixture and oracle; `of` is the row of the point that a control belongs to."""
    key = ["line", "seed", "point"]
    of = own[[*key, "of"]].drop_duplicates(key).rename(columns={"of": "at"})
    both = others.merge(of, on=key, how="left")
    table = both[["line", "seed", "kind", "macs", "accuracy"]].assign(of=both["at"].map(row))
    return table.assign(point=both["point"].where(both["at"].isna()))


def _budgets(points: pd.DataFrame) -> pd.DataFrame:
    """Accuracy at the shares of plain, a row a series and share that it has a point for."""
    table = budgets_of(points)
    if table.empty:
        return table
    return table[table["point"] != ""].rename(columns={"series": "line"})


def _family_budgets(own: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the family of plain networks at the shares of plain, a row a place and share."""
    family = own[_family(own).astype(bool)]
    if family.empty:
        return pd.DataFrame()
    places = family.groupby(PLACE, sort=False).ngroup()
    point = family["method"] + " " + family["point"]
    table = budgets_of(family.assign(series=places, point=point, selected=True))
    if table.empty:
        return table
    named = family[PLACE].assign(series=places).drop_duplicates()
    return table[table["point"] != ""].merge(named, on="series").drop(columns="series")


def _times(timed: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    if timed.empty:
        return pd.DataFrame()
    composed = timed["of"].isna()
    timed = timed.reindex(columns=timed.columns.union(["peak_bytes", "ratio_to_plain", "ratio_low", "ratio_high"]))
    return pd.DataFrame({
        "of": timed["of"].map(row), "run": timed["run"], "condition": timed["condition"], "batch": timed["batch_size"],
        "p50": timed["p50_ms"], "low": timed["low_ms"], "high": timed["high_ms"], "p90": timed["p90_ms"],
        "p99": timed["p99_ms"], "rate": timed["images_per_s"], "ratio": timed["ratio_to_plain"],
        "ratio_low": timed["ratio_low"], "ratio_high": timed["ratio_high"], "peak": timed["peak_bytes"],
        "flags": timed["flags"], "scenario": timed["scenario"], "cause": timed["cause"],
        "cause_share": timed["cause_share"],
        "line": timed["line"].where(composed), "seed": timed["seed"].where(composed),
        "point": timed["point"].where(composed), "macs": timed["macs"].where(composed),
    })  # fmt: skip


def _realised(gathered: Gathered) -> pd.DataFrame:
    """How much of the speed-up each series realises, condition by condition."""
    if gathered.timed.empty:
        return pd.DataFrame()
    rows = gathered.timed[gathered.timed["cause"].notna()]
    named = rows.assign(series=rows["line"], realised=rows["share"] / rows["ratio_to_plain"])
    return pd.DataFrame(time_saved.summaries(named)).rename(columns={"series": "line"})


def _versus(gathered: Gathered, lines: pd.DataFrame) -> pd.DataFrame:
    """`versus` of the RIVALS best series of every place that has several seeds, with `line` numbers for names."""
    points, tables = gathered.points, []
    ranked = lines.sort_values("summary", ascending=False, kind="stable")
    several = ranked[ranked["seeds"] > 1]
    for _, group in several.groupby(PLACE, sort=False):
        rivals = group.index[:RIVALS]
        if len(rivals) > 1:
            own = points[points["line"].isin(rivals)]
            tables.append(versus(own.assign(series=own["line"])))
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables, ignore_index=True).drop(columns=["dataset", "backbone"])
