"""What the charts, the page and the terminal show, as small tables. Pure functions of a run's records."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.stats.frontier import TOLERANCE, accuracy_at, counted_cost, summary
from reports.data.records import KEY, Run

MODEL = KEY[:-1]
BUDGETS = (0.25, 0.5, 0.75, 1.0)  # shares of the plain backbone's MACs


def labelled(run: Run) -> pd.DataFrame:
    """The run's points with `series` (method and variant), `plain_macs`, `share` of the plain MACs and `chance`.

    Where the run has no plain backbone the plain MACs are those that the run counted on the network itself,
    or missing.
    """
    points = with_series(run.points)
    place = ["backbone", "dataset", "seed"]
    plain = points[(points["method"] == "plain") & (points["kind"] == "point")]
    plain_macs = plain.groupby(place)["macs"].max().rename("plain_macs").reset_index()
    points = points.merge(plain_macs, on=place, how="left")
    counted = run.section("plain_macs").get("torch")
    if counted:
        points["plain_macs"] = points["plain_macs"].fillna(float(counted))
    chance = np.nan if run.chance is None else run.chance
    return points.assign(share=points["macs"] / points["plain_macs"], chance=chance)


UNEVEN = 0.01
"""From this difference on balanced accuracy is shown beside accuracy."""


def uneven(points: pd.DataFrame) -> bool:
    """Whether some point's mean accuracy over classes is another than that over images, by more than rounding."""
    if "balanced_accuracy" not in points:
        return False
    return bool(((points["balanced_accuracy"] - points["accuracy"]).abs() > UNEVEN).any())


def milliseconds(value: float) -> str:
    """A latency to three significant figures, trailing zeros kept."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def with_series(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `series`: the method, its variant, and its backbone where there are several."""
    variant = table["variant"].where(~table["variant"].isin(["", "default"]), "")
    series = table["method"] + variant.map(lambda text: f":{text}" if text else "")
    if len(set(table["backbone"])) > 1:
        series = series + " " + table["backbone"]
    return table.assign(series=series)


def series_of(points: pd.DataFrame) -> list[str]:
    """The names of all series, the plain backbone first, the others as they come."""
    order = points.assign(other=points["method"] != "plain").sort_values("other", kind="stable")
    return list(dict.fromkeys(order["series"]))


def in_order(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The rows sorted by `by` within their series, the series in the order of `series_of`."""
    rank = {name: place for place, name in enumerate(series_of(table))}
    return table.assign(rank=table["series"].map(rank)).sort_values(["rank", *by]).drop(columns="rank")


@dataclass(frozen=True)
class Trained:
    """The operating points of one seed of one series, as arrays [points]; `plain` is the plain MACs, or NaN."""

    names: NDArray[np.object_]
    columns: dict[str, NDArray[np.float64]]
    selected: NDArray[np.bool_]
    plain: float
    chance: float

    def chosen(self, column: str) -> NDArray[np.float64]:
        """A column of the points chosen on *select*."""
        return self.columns[column][self.selected]


_FIGURES = ["macs", "accuracy", "accuracy_low", "accuracy_high", "calibration_macs", "calibration_accuracy"]


def trainings(points: pd.DataFrame) -> Iterator[tuple[str, list[Trained]]]:
    """Each series with its operating points, seed by seed, in the order of `series_of`.

    `points` are those of `labelled`. Sliced from sorted arrays: a table of a thousand runs takes no longer a row.
    """
    own = points[points["kind"] == "point"]
    names = series_of(points)
    rank = own["series"].map({name: place for place, name in enumerate(names)}).to_numpy()
    order = np.lexsort((own["seed"].to_numpy(), rank))
    own, rank = own.iloc[order], rank[order]
    keys = np.stack([rank, own["seed"].to_numpy()], axis=1)
    starts = np.flatnonzero(np.any(np.diff(keys, axis=0, prepend=-1), axis=1)) if len(own) else np.zeros(0, int)
    figures = {name: own[name].to_numpy(dtype=float) for name in [*_FIGURES, "plain_macs", "chance"]}
    labels, selected = own["point"].to_numpy(dtype=object), own["selected"].to_numpy(dtype=bool)
    found: dict[int, list[Trained]] = {}
    for start, stop in pairwise([*starts.tolist(), len(own)]):
        part = slice(start, stop)
        columns = {name: figures[name][part] for name in _FIGURES}
        plain, chance = float(figures["plain_macs"][start]), float(figures["chance"][start])
        found.setdefault(int(rank[start]), []).append(Trained(labels[part], columns, selected[part], plain, chance))
    yield from ((name, found.get(place, [])) for place, name in enumerate(names))


def budgets(run: Run) -> pd.DataFrame:
    """`budgets_of` a run."""
    return budgets_of(labelled(run))


def budgets_of(points: pd.DataFrame) -> pd.DataFrame:
    """Accuracy at shares of the plain MACs, one row a series and share, of the points of `labelled`.

    `accuracy`, `macs` (its cost on test) and `picked` (what picking on the test images would have shown) are
    means over seeds; `low` and `high` are the interval of the one seed, or the lowest and the highest seed.
    All are missing where a seed has no point so cheap.
    """
    rows = []
    for name, per_seed in trainings(points):
        if not per_seed or any(np.isnan(one.plain) for one in per_seed):
            continue
        for share in BUDGETS:
            found = [_at(one, share * one.plain) for one in per_seed]
            merged = _over_seeds([one for one in found if one], len(found))
            rows.append({"series": name, "share": share} | merged)
    return pd.DataFrame(rows)


def _at(one: Trained, budget: float) -> dict[str, Any] | None:
    """What one seed of one series answers at a budget in MACs, which its point keeps on calibration and test images."""
    costs = counted_cost(one.chosen("calibration_macs"), one.chosen("macs"))
    index = accuracy_at(TOLERANCE * budget, costs, one.chosen("calibration_accuracy"))
    if index is None:
        return None
    row = {name: float(one.chosen(name)[index]) for name in ("accuracy", "accuracy_low", "accuracy_high", "macs")}
    picked = accuracy_at(TOLERANCE * budget, one.columns["macs"], one.columns["accuracy"])
    assert picked is not None  # the chosen point at least
    return {
        "accuracy": row["accuracy"], "low": row["accuracy_low"], "high": row["accuracy_high"], "macs": row["macs"],
        "picked": float(one.columns["accuracy"][picked]), "point": str(one.names[one.selected][index]),
    }  # fmt: skip


def _over_seeds(found: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    if len(found) < seeds:
        return dict.fromkeys(("accuracy", "low", "high", "macs", "picked"), np.nan) | {"point": ""}
    if seeds == 1:
        return found[0]
    means = {name: float(np.mean([one[name] for one in found])) for name in ("accuracy", "macs", "picked")}
    accuracies = [one["accuracy"] for one in found]
    names = list(dict.fromkeys(one["point"] for one in found))
    spread = {"low": min(accuracies), "high": max(accuracies)}
    return means | spread | {"point": names[0] if len(names) == 1 else "differs by seed"}


def summaries(run: Run) -> pd.DataFrame:
    """`summaries_of` a run, with `training`, training MACs relative to the plain backbone's (missing without one)."""
    points = labelled(run)
    trained = points[points["kind"] == "point"].groupby("series")["train_macs"].mean()
    found = summaries_of(points)
    training = [trained[name] / trained.get("plain", np.nan) for name in found.get("series", ())]
    return found.assign(training=training) if len(found) else found


def summaries_of(points: pd.DataFrame) -> pd.DataFrame:
    """The summary of each series' frontier, of the points of `labelled`: `summary` (mean over seeds), `low` and
    `high` (lowest and highest seed), `picked`, the same had its points been picked on the test images, `selected`,
    how many points are, and `seeds`."""
    rows = []
    for name, per_seed in trainings(points):
        if not per_seed or any(np.isnan(one.plain) or np.isnan(one.chance) for one in per_seed):
            continue
        honest = [
            summary(counted_cost(one.chosen("calibration_macs"), one.chosen("macs")),
                    one.chosen("calibration_accuracy"), one.chosen("accuracy"), one.plain, one.chance)
            for one in per_seed
        ]  # fmt: skip
        picked = [
            summary(one.columns["macs"], one.columns["accuracy"], one.columns["accuracy"], one.plain, one.chance)
            for one in per_seed
        ]
        rows.append({
            "series": name, "summary": float(np.mean(honest)), "low": min(honest), "high": max(honest),
            "picked": float(np.mean(picked)), "selected": sum(int(one.selected.sum()) for one in per_seed),
            "seeds": len(per_seed),
        })  # fmt: skip
    return pd.DataFrame(rows)


def controls(run: Run) -> pd.DataFrame:
    """Per-sample points beside the accuracies of their controls, `random` and `mixture` (missing: not run).

    `beats_*`: the point is above the control; `clear_*`: it is with the whole of its 95% interval.
    """
    points = labelled(run)
    place = ["series", "seed", "point"]
    table = points[(points["kind"] == "point") & (points["decision"] == "per-sample")]
    for kind in ("random", "mixture"):
        control = points[points["kind"] == kind].rename(columns={"accuracy": kind})
        table = table.merge(control[[*place, kind]].drop_duplicates(place), on=place, how="left")
    table = table[table["random"].notna() | table["mixture"].notna()]
    beats = {f"beats_{kind}": table["accuracy"] > table[kind] for kind in ("random", "mixture")}
    clear = {f"clear_{kind}": table["accuracy_low"] > table[kind] for kind in ("random", "mixture")}
    return in_order(table.assign(**beats, **clear), ["seed", "macs"])


def timed(run: Run) -> pd.DataFrame:
    """latency.csv with the points' `series`, `macs`, `plain_macs`, `share`, `accuracy` and `decision`, cheapest first.

    Composed points are not among the run's points: their `macs` are those of latency.csv.
    """
    points = labelled(run).query("kind == 'point'")
    models = points[[*MODEL, "series", "plain_macs"]].drop_duplicates(MODEL)
    own = points[[*KEY, "macs", "accuracy", "decision"]].drop_duplicates(KEY)
    rows = run.latency.rename(columns={"macs": "timed_macs"}).merge(models, on=MODEL).merge(own, on=KEY, how="left")
    rows = rows[rows["decision"].notna() | (rows["execution"] == "composed")]
    macs = rows["macs"].fillna(rows.pop("timed_macs").astype(float))
    decision = rows["decision"].fillna("per-sample")
    rows = rows.assign(macs=macs, decision=decision, share=macs / rows["plain_macs"])
    return in_order(rows, ["seed", "batch_size", "macs"])


def mean_steps(points: pd.DataFrame) -> pd.DataFrame:
    """The step line of each series through its selected points: `series, macs, accuracy`, mean over seeds.

    A seed's line holds, at every cost, the accuracy of its dearest selected point so far. It begins where all
    seeds have a point.
    """
    rows = []
    for name, per_seed in trainings(points):
        lines = [_line(one) for one in per_seed]
        if not lines or any(not len(macs) for macs, _ in lines):
            continue
        begin = max(macs[0] for macs, _ in lines)
        for cost in sorted({cost for macs, _ in lines for cost in macs if cost >= begin}):
            heights = [accuracy[np.searchsorted(macs, cost, side="right") - 1] for macs, accuracy in lines]
            rows.append({"series": name, "macs": float(cost), "accuracy": float(np.mean(heights))})
    return pd.DataFrame(rows, columns=["series", "macs", "accuracy"])


def _line(one: Trained) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """MACs and accuracies of the selected points of a seed, cheapest first."""
    macs, accuracy = one.chosen("macs"), one.chosen("accuracy")
    order = np.argsort(macs, kind="stable")
    return macs[order], accuracy[order]
