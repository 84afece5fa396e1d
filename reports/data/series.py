"""One run or many as one set of tables: who is the same series, and what is measured against which plain network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports.data.records import Run
from reports.data.time_saved import conditions, realised

PLACE = ["dataset", "training", "backbone"]
"""What accuracies and costs can be compared within: the same images, training set-up and plain network."""
IDENTITY = [*PLACE, "method", "variant", "tag"]
_TIMED = ["line", "of", "condition", "cause", "share", "ratio_to_plain", "execution", "flags"]
_MODEL = ["run", "method", "variant", "backbone", "seed"]
FAMILY = {"plain", "static"}
"""Methods whose points are plain networks of fixed cost: the line to beat."""


@dataclass(frozen=True)
class Gathered:
    """`lines` has one row a series (IDENTITY, `run`, facts); `points` and `timed` name it in `line`, their run in
    `run`. `points` also has `plain_macs`, `chance` and `memory` (bytes); `timed` has `of`, the row of its point."""

    runs: Sequence[Run]
    lines: pd.DataFrame
    points: pd.DataFrame
    timed: pd.DataFrame


def gather(runs: Sequence[Run], facts: Sequence[str] = ()) -> Gathered:
    """The tables of all `runs` as one.

    Seeds of the same method, variant, data, training and backbone are one series, whatever run they are in; where
    two runs have the same seed with other figures, each is a series of its own, tagged with its run's name.
    `facts` are columns of the points that say something of a series.
    """
    points = _tagged(_stacked(runs))
    points["line"] = points.groupby(IDENTITY, sort=False).ngroup()
    places = points[[*_MODEL, "line"]].drop_duplicates(_MODEL)
    points = points[points.pop("kept")].reset_index(drop=True)
    points = _beside_plain(points, runs)
    points["of"] = np.arange(len(points))
    given = [name for name in facts if name in points]
    lines = points.drop_duplicates("line").set_index("line")[[*IDENTITY, "run", *given]].sort_index()
    timed = _timed(runs, points, places)
    points["memory"] = points["storage_bytes"] + _peak(points, timed).fillna(0)
    return Gathered(runs, lines, points, timed)


def training_of(run: Run) -> str:
    """How a run was trained, in a few words: accuracies of other trainings are no fair comparison."""
    configuration = run.section("configuration")
    recipe = configuration.get("recipe") or run.section("recipe").get("title") or "training not stated"
    epochs = configuration.get("epochs") or run.section("recipe").get("epochs")
    settings = configuration.get("set") or {}
    own = [f"{name.partition('.')[2]}={settings[name]}" for name in sorted(settings) if name.startswith("recipe.")]
    return ", ".join([str(recipe), *([f"{epochs} epochs"] if epochs else []), *own])


def machine_of(run: Run, device: str) -> str:
    """On what a run's latencies of a device were measured."""
    found = run.section("timing_environment") or run.section("environment")
    return str(found.get("cpu" if device == "cpu" else "gpu") or "machine not stated")


def _stacked(runs: Sequence[Run]) -> pd.DataFrame:
    """All points, with what their run says of them; data sets of one name and several contents are told apart."""
    stacked = pd.concat([run.points for run in runs], ignore_index=True)
    stacked["run"] = np.repeat(np.arange(len(runs)), [len(run.points) for run in runs])
    stacked["training"] = stacked["run"].map(dict(enumerate(map(training_of, runs))))
    stacked["chance"] = stacked["run"].map({place: run.chance or np.nan for place, run in enumerate(runs)})
    prints = {place: str(run.section("data").get("test_fingerprint") or "unknown") for place, run in enumerate(runs)}
    contents = stacked["run"].map(prints)
    unlike = contents.groupby(stacked["dataset"]).transform("nunique") > 1
    stacked["dataset"] = stacked["dataset"].where(~unlike, stacked["dataset"] + " (" + contents.str[:6] + ")")
    for name in ("storage_bytes", "train_macs"):
        stacked[name] = stacked[name].astype(float) if name in stacked else np.nan
    return stacked


def _tagged(points: pd.DataFrame) -> pd.DataFrame:
    """The points with `tag`, the run's place where a series clashes with another run's, else -1; `kept` is false for
    the copies of what an earlier run has too."""
    same = [*PLACE, "method", "variant", "seed"]
    mark = pd.util.hash_pandas_object(points[["point", "kind", "macs", "accuracy"]], index=False)
    each = points.assign(mark=mark).groupby([*same, "run"], sort=False)["mark"].sum().reset_index()
    each["copy"] = each.duplicated([*same, "mark"])
    each["clash"] = ~each["copy"] & each.assign(new=~each["copy"]).groupby(same, sort=False)["new"].cumsum().gt(1)
    apart = [*PLACE, "method", "variant", "run"]
    each["clash"] = each.groupby(apart, sort=False)["clash"].transform("any")
    merged = points.merge(each[[*same, "run", "copy", "clash"]], on=[*same, "run"], how="left")
    merged["tag"] = merged["run"].where(merged.pop("clash"), -1)
    merged["kept"] = ~merged.pop("copy") | (merged["tag"] >= 0)
    return merged


def _beside_plain(points: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    """The points with the MACs of the plain network of their place and seed, by the run's own count without one."""
    is_plain = (points["method"] == "plain") & (points["kind"] == "point")
    plain = points[is_plain].groupby([*PLACE, "seed"])["macs"].max().rename("plain_macs").reset_index()
    points = points.merge(plain, on=[*PLACE, "seed"], how="left")
    counted = {place: run.section("plain_macs").get("torch") for place, run in enumerate(runs)}
    points["plain_macs"] = points["plain_macs"].fillna(points["run"].map(counted).astype(float))
    return points.assign(share=points["macs"] / points["plain_macs"])


def _timed(runs: Sequence[Run], points: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """All latencies with their `line`, the row `of` their point (missing where composed), MACs and what was lost."""
    counts = [len(run.latency) for run in runs]
    if not any(counts):
        return pd.DataFrame(columns=_TIMED)
    rows = pd.concat([run.latency for run in runs if len(run.latency)], ignore_index=True)
    rows = rows.rename(columns={"macs": "timed_macs"}).assign(run=np.repeat(np.arange(len(runs)), counts))
    machines = {pair: machine_of(runs[pair[0]], pair[1]) for pair in set(zip(rows["run"], rows["device"], strict=True))}
    rows["machine"] = [machines[pair] for pair in zip(rows["run"], rows["device"], strict=True)]
    rows["session"] = rows["run"].astype(str) + ":" + rows["session"].astype(str)
    rows = rows.merge(places, on=_MODEL)
    own = points.loc[points["kind"] == "point", ["line", "seed", "point", "of", "macs", "decision"]]
    rows = rows.merge(own, on=["line", "seed", "point"], how="left")
    rows = rows[rows["decision"].notna() | (rows["execution"] == "composed")].reset_index(drop=True)
    macs = rows["macs"].fillna(rows.pop("timed_macs").astype(float))
    plain = points.drop_duplicates(["line", "seed"]).set_index(["line", "seed"])["plain_macs"]
    reference = plain.reindex(pd.MultiIndex.from_frame(rows[["line", "seed"]])).to_numpy()
    rows = rows.assign(macs=macs, decision=rows["decision"].fillna("per-sample"), share=macs / reference)
    return _explained(rows)


def _explained(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their `condition`, headline's first, and with `cause` and `cause_share` of what was lost."""
    rows = rows.assign(row=np.arange(len(rows)), condition=conditions(rows))
    if len(set(rows["machine"])) > 1:
        rows["condition"] += ", " + rows["machine"]
    against = realised(rows).set_index("row")
    lost: dict[str, Any] = {name: against[name].reindex(rows["row"]).to_numpy() for name in ("cause", "cause_share")}
    flags = rows["flags"].where(~rows["row"].isin(against.index), rows["row"].map(against["flags"]))
    rows = rows.assign(**lost, flags=flags)
    order = list(dict.fromkeys([*rows["condition"].iloc[against.index], *rows["condition"]]))
    rank = rows["condition"].map({name: place for place, name in enumerate(order)})
    sorted_rows = rows.assign(rank=rank).sort_values(["rank", "line", "seed", "macs"], kind="stable")
    return sorted_rows.drop(columns=["row", "rank"]).reset_index(drop=True)


def _peak(points: pd.DataFrame, timed: pd.DataFrame) -> pd.Series:
    """Bytes alive at once while a point runs at the smallest batch it was measured at, beside weights and images."""
    if "peak_bytes" not in timed:
        return pd.Series(np.nan, index=points.index)
    rows = timed[timed["of"].notna() & timed["peak_bytes"].notna()].sort_values("batch_size", kind="stable")
    first = rows.drop_duplicates("of")
    return pd.Series(first["peak_bytes"].to_numpy(dtype=float), first["of"].astype(int)).reindex(points.index)
