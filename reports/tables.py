"""What the charts, the page and the terminal show, as small tables. Pure functions of a run's records."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.frontier import accuracy_at, summary
from reports.records import KEY, Run

MODEL = KEY[:-1]
BUDGETS = (0.25, 0.5, 0.75, 1.0)  # shares of the plain backbone's MACs


def labelled(run: Run) -> pd.DataFrame:
    """The run's points with `series` (method and variant), `plain_macs` and `share` of the plain MACs.

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
    return points.assign(share=points["macs"] / points["plain_macs"])


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


def budgets(run: Run) -> pd.DataFrame:
    """Accuracy at shares of the plain MACs, one row a series and share.

    `accuracy`, `macs` (its cost on test) and `picked` (what picking on the test images would have shown) are
    means over seeds; `low` and `high` are the interval of the one seed, or the lowest and the highest seed.
    All are missing where a seed has no point so cheap.
    """
    rows = []
    for name, per_seed in _by_series(labelled(run)):
        if per_seed[0]["plain_macs"].isna().any():
            continue
        for share in BUDGETS:
            found = [_at(group, share * group["plain_macs"].iloc[0]) for group in per_seed]
            merged = _over_seeds([one for one in found if one], len(found))
            rows.append({"series": name, "share": share} | merged)
    return pd.DataFrame(rows)


def _at(group: pd.DataFrame, budget: float) -> dict[str, object] | None:
    """What one seed of one series answers at a budget in MACs."""
    chosen = group[group["selected"]]
    index = accuracy_at(budget, chosen["calibration_macs"], chosen["calibration_accuracy"])
    if index is None:
        return None
    row = chosen.iloc[index]
    picked = accuracy_at(budget, group["macs"], group["accuracy"])
    # A per-sample point may be within the budget on calibration images and a hair above it on test.
    best = row["accuracy"] if picked is None else group["accuracy"].iloc[picked]
    return {
        "accuracy": row["accuracy"], "low": row["accuracy_low"], "high": row["accuracy_high"],
        "macs": row["macs"], "picked": best, "point": row["point"],
    }  # fmt: skip


def _over_seeds(found: list[dict[str, object]], seeds: int) -> dict[str, object]:
    if len(found) < seeds:
        return dict.fromkeys(("accuracy", "low", "high", "macs", "picked"), np.nan) | {"point": ""}
    if seeds == 1:
        return found[0]
    table = pd.DataFrame(found)
    means = {name: float(table[name].mean()) for name in ("accuracy", "macs", "picked")}
    spread = {"low": float(table["accuracy"].min()), "high": float(table["accuracy"].max())}
    names = list(dict.fromkeys(table["point"]))
    return means | spread | {"point": names[0] if len(names) == 1 else "differs by seed"}


def summaries(run: Run) -> pd.DataFrame:
    """The summary of each series' frontier: `summary` (mean over seeds), `low` and `high` (lowest and highest
    seed), `picked`, the same had its points been picked on the test images, `seeds`, how many there are, and
    `training`, its training MACs relative to the plain backbone's (missing without one)."""
    rows = []
    trained = labelled(run).query("kind == 'point'").groupby("series")["train_macs"].mean()
    for name, per_seed in _by_series(labelled(run)):
        if run.chance is None or per_seed[0]["plain_macs"].isna().any():
            continue
        honest = [_summary(group[group["selected"]], "calibration_", run.chance) for group in per_seed]
        picked = [_summary(group, "", run.chance) for group in per_seed]
        rows.append({
            "series": name, "summary": float(np.mean(honest)), "low": min(honest), "high": max(honest),
            "picked": float(np.mean(picked)),
            "selected": sum(int(group["selected"].sum()) for group in per_seed), "seeds": len(per_seed),
            "training": trained[name] / trained.get("plain", np.nan),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _summary(group: pd.DataFrame, chosen_on: str, chance: float) -> float:
    costs, accuracies = group[f"{chosen_on}macs"], group[f"{chosen_on}accuracy"]
    plain = float(group["plain_macs"].iloc[0]) if len(group) else 1.0
    return summary(costs, accuracies, group["accuracy"], plain, chance)


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
    for name, per_seed in _by_series(points):
        lines = [group[group["selected"]].sort_values("macs") for group in per_seed]
        if any(line.empty for line in lines):
            continue
        begin = max(line["macs"].iloc[0] for line in lines)
        for macs in sorted({macs for line in lines for macs in line["macs"] if macs >= begin}):
            heights = [line.loc[line["macs"] <= macs, "accuracy"].iloc[-1] for line in lines]
            rows.append({"series": name, "macs": macs, "accuracy": float(np.mean(heights))})
    return pd.DataFrame(rows, columns=["series", "macs", "accuracy"])


def _by_series(points: pd.DataFrame) -> Iterator[tuple[str, list[pd.DataFrame]]]:
    """Each series with its operating points, one table a seed."""
    own = points[points["kind"] == "point"]
    for name in series_of(points):
        yield name, [group for _, group in own[own["series"] == name].groupby("seed")]
