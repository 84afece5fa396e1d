"""How much of the saved work becomes saved time, and what becomes of the rest. Pure functions of timed rows.

Everything is in units of the plain network's time under the same condition, by means: `ratio` of a point is its time
over plain's, `share` its MACs over plain's. Were time to follow work, the ratio would be the share; share / ratio, the
speed-up in time over the speed-up in MACs, is `realised`. With `nodes_ms` and `fixed_ms` (all of a point's own work,
and as much of it as does not depend on the size of maps) over plain's `nodes_ms`, what is lost, ratio - share, is
- launch overhead: fixed - share x plain's fixed: kernels to launch and weights to load do not become fewer with MACs;
- small maps: (nodes - fixed) - share x (1 - plain's fixed): a MAC on small or thin maps takes longer;
- all else, ratio - nodes. At batch 1 it is the router, in larger batches small groups, their router included: nodes are
  timed on whole batches. A static point has neither, and should have no such part: it is not explained.
The sum is exact, and a machine that is slower in one of the two measurements than in the other does not matter, as
plain is timed in both. A negative part is work that got faster than its MACs: a gain, and no cause.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.data.conditions import CONDITION, usual
from reports.data.records import Run
from reports.data.tables import timed

CAUSES = {
    "launch": "launch overhead", "maps": "small maps", "router": "router", "groups": "small groups",
    "rest": "not explained",
}  # fmt: skip
NOTHING, UNKNOWN = "none", "not known"
SAVING = 0.20
"""Points that save less of plain's MACs are shown, but what is said of a method leaves them out."""
ENOUGH = 0.80
"""The share of the speed-up in MACs at which a point counts as realising it."""
WHOLE = 0.95
"""From here on nothing is lost that needs a cause."""
_SUMMED = ["share", "realised", "cause", "flags", "execution"]
_NETWORK = ["backbone", "dataset", "seed"]
_OF_PLAIN = {"nodes_ms": "plain_nodes", "fixed_ms": "plain_fixed", "flags": "plain_flags"}


def realised(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `tables.timed` that can be compared with plain, each with plain under its own condition.

    Added: `condition` (for people; the headline's rows come first: the smallest batch, as `timing.usual` has it),
    `macs_speedup`, `time_speedup` and `realised` with `_low` and `_high`, by the names in CAUSES the shares of what
    was lost to each, and `cause`, the largest with its `cause_share`; NOTHING, or UNKNOWN where node times are
    missing. The `flags` are also those of plain, by which everything is divided.
    """
    rows = _beside_plain(rows)
    shares = _shares(_parts(rows))
    rows = rows.assign(condition=conditions(rows), macs_speedup=1 / rows["share"], **shares)
    for end, ratio in (("", "ratio_to_plain"), ("_low", "ratio_high"), ("_high", "ratio_low")):
        rows[f"time_speedup{end}"] = 1 / rows[ratio]
        rows[f"realised{end}"] = rows["share"] / rows[ratio]
    whole, known = rows["realised"] >= WHOLE, shares.notna().all(axis=1)
    largest = np.array(list(CAUSES.values()))[shares.fillna(0).to_numpy().argmax(axis=1)]
    rows["cause"] = np.select([whole, known], [NOTHING, largest], UNKNOWN)
    rows["cause_share"] = shares.max(axis=1).where(known & ~whole)
    return _headline_first(rows)


def _beside_plain(rows: pd.DataFrame) -> pd.DataFrame:
    same = [*_NETWORK, *CONDITION, "session"]
    is_plain = rows["method"] == "plain"
    plain = rows[is_plain & (rows["variant"] == "default")].drop_duplicates(same)
    own = rows[~is_plain].dropna(subset=["share", "ratio_to_plain"])
    both = own.merge(plain[[*same, *_OF_PLAIN]].rename(columns=_OF_PLAIN), on=same, how="left")
    return both.assign(flags=_with_plain(both["flags"], both["plain_flags"].fillna("")))


def _with_plain(flags: pd.Series, plain: pd.Series) -> list[str]:
    """A point's flags, and those that plain alone has, as plain's."""
    pairs = [(own.split("+"), others.split("+")) for own, others in zip(flags, plain, strict=True)]
    return [
        "+".join(filter(None, [*own, *(f"plain {flag}" for flag in others if flag and flag not in own)]))
        for own, others in pairs
    ]


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """What is lost, by the names in CAUSES, in units of plain's time; missing where it is not known."""
    nodes, fixed, plain = (rows[name] / rows["plain_nodes"] for name in ("nodes_ms", "fixed_ms", "plain_fixed"))
    outside = rows["ratio_to_plain"] - nodes
    conditions = [rows["decision"] == "static", rows["batch_size"] == 1]
    name = np.select(conditions, ["rest", "router"], "groups")
    parts = {"launch": fixed - rows["share"] * plain, "maps": (nodes - fixed) - rows["share"] * (1 - plain)}
    parts |= {other: outside.where(name == other, 0.0) for other in ("router", "groups", "rest")}
    return pd.DataFrame(parts, columns=list(CAUSES), index=rows.index).astype(float)


def _shares(parts: pd.DataFrame) -> pd.DataFrame:
    """What is lost by cause as shares of all that is; missing where nothing is lost or the parts are not known."""
    positive = parts.clip(lower=0)
    lost = positive.sum(axis=1, skipna=False)
    return positive.div(lost.where(lost > 0), axis=0)


def conditions(rows: pd.DataFrame) -> list[str]:
    """What each row was measured under, for people."""
    return [
        f"batch {batch}, {threads} thread{'s' * (threads > 1)}, {device}, {backend} {precision}, {protocol}"
        for batch, threads, device, backend, precision, protocol in rows[CONDITION].itertuples(index=False)
    ]


def _headline_first(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows condition by condition, and within one as they were."""
    chosen = usual(rows)
    headline = chosen.loc[chosen["batch_size"] == chosen["batch_size"].min(), "condition"]
    names = list(dict.fromkeys([*headline, *rows["condition"]]))
    places = np.array([names.index(name) for name in rows["condition"]], dtype=np.int64)
    return rows.iloc[places.argsort(kind="stable")].reset_index(drop=True)


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the rows of `realised` those of the headline's condition."""
    return rows[rows["condition"] == rows["condition"].iloc[0]] if len(rows) else rows


def summary(rows: pd.DataFrame) -> dict[str, Any] | None:
    """What rows of one condition say of the points that save SAVING of the MACs or more; None where there are none.

    `points`, of them `enough` that realise ENOUGH; `least` and `median` realised; the most frequent `cause` and how
    many `lose` to it. Flagged and composed points are `left_out`, unless there are no others: then it is `doubtful`.
    """
    return _summary([rows[name].to_numpy() for name in _SUMMED])


def _summary(columns: Sequence[NDArray[Any]]) -> dict[str, Any] | None:
    """`summary` of the columns _SUMMED, as arrays: a page has thousands of groups."""
    share, reached, cause, flags, execution = columns
    saving = share.astype(float) <= 1 - SAVING + 1e-9
    if not saving.any():
        return None
    trusted = saving & (flags == "") & (execution == "executed")
    doubtful = not trusted.any()
    used = saving if doubtful else trusted
    values, lost = reached[used].astype(float), Counter(name for name in cause[used] if name != NOTHING)
    name, lose = lost.most_common(1)[0] if lost else (NOTHING, 0)
    return {
        "points": len(values), "enough": int((values >= ENOUGH).sum()),
        "least": float(values.min()), "median": float(np.median(values)), "cause": str(name), "lose": lose,
        "left_out": int(saving.sum()) - len(values), "doubtful": doubtful,
    }  # fmt: skip


def summaries(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """`summary` of every `condition`, `series` and `decision` that has one, conditions and series in their order."""
    groups = ["condition", "series", "decision"]
    columns = [rows[name].to_numpy() for name in _SUMMED]
    named = rows[groups].drop_duplicates().itertuples(index=False, name=None)
    places = rows.groupby(groups, sort=False).indices
    return [
        dict(zip(groups, names, strict=True)) | says
        for names in named
        if (says := _summary([column[places[names]] for column in columns]))
    ]


def markdown(run: Run) -> str:
    """`summaries` of a run in Markdown: a table a condition, one line a method and decision."""
    headings = ["method", "decision", "points", "median", "least", f"at least {ENOUGH:.2f}", "mostly lost to"]
    blocks = []
    for condition, group in groupby(summaries(realised(timed(run))), key=lambda one: one["condition"]):
        lines = [headings, ["---", "---", *["---:"] * 4, "---"], *(cells(one) for one in group)]
        table = ["| " + " | ".join(map(_escaped, line)) + " |" for line in lines]
        blocks.append("\n".join([f"**{_escaped(condition)}**", "", *table, ""]))
    return "\n".join(blocks)


def cells(one: dict[str, Any]) -> list[str]:
    """A summary as text: method, decision, points (! where none is to be relied on), median, least, how many realise
    ENOUGH, and the most frequent cause with how many lose to it."""
    lost = f"{one['cause']} ({one['lose']})" if one["lose"] else NOTHING
    figures = [f"{one['points']}{'!' * one['doubtful']}", f"{one['median']:.2f}", f"{one['least']:.2f}"]
    return [one["series"], one["decision"], *figures, str(one["enough"]), lost]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
