"""Who beats whom at equal cost: pairs of methods at shares of the plain MACs, over seeds. Pure functions."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.stats.frontier import TOLERANCE, accuracy_at, counted_cost
from benchmarks.stats.inference import holm, paired_t
from reports.data.tables import BUDGETS, series_of

PLACE = ["dataset", "backbone"]
COLUMNS = [*PLACE, "share", "first", "second", "difference", "low", "high", "p", "p_holm", "seeds", "verdict"]
LEVEL = 0.95
ENOUGH_SEEDS = 5
"""For a claim of significance: with fewer the interval is shown, and no verdict."""
FIRST, SECOND, NEITHER, TOO_FEW = "first", "second", "not separated", f"fewer than {ENOUGH_SEEDS} seeds"


def versus(points: pd.DataFrame) -> pd.DataFrame:
    """Every pair of series at every share of BUDGETS, one row each, within a data set and backbone.

    `points` are those of `tables.labelled`, of one run or of several, one row a series, seed and point. At a budget
    a seed of a series answers with the *select*-chosen point whose calibration cost is within it, as in
    `tables.budgets`: no interpolation, accuracy on test. Seeds are pairs: `difference` is the mean over the seeds
    both series have of the accuracy of `first` less that of `second`, `low` and `high` its 95% interval (Student's
    t, of this comparison alone), `p` two-sided and `p_holm` adjusted for all comparisons of the data set and
    backbone. `verdict` is FIRST or SECOND, the better one, where `p_holm` is below 5%; else NEITHER; and TOO_FEW
    with fewer than ENOUGH_SEEDS. There is no row where a seed of one of the two has no point so cheap, nor where
    the plain MACs are not known.
    """
    own = points[(points["kind"] == "point") & points["plain_macs"].notna()]
    found = [_place(dict(zip(PLACE, place, strict=True)), group) for place, group in own.groupby(PLACE, sort=False)]
    return pd.concat([table for table in found if len(table)] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)


def at_budgets(series: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy of the points of one series at BUDGETS [seeds, shares]; missing where a seed has no point so
    cheap."""
    per_seed = {seed: list(_accuracies(group)) for seed, group in series.groupby("seed")}
    return pd.DataFrame.from_dict(per_seed, orient="index", columns=list(BUDGETS))


def _place(place: dict[str, Any], points: pd.DataFrame) -> pd.DataFrame:
    """The comparisons of one data set and backbone: the family that Holm's adjustment is about."""
    answers = {name: at_budgets(points[points["series"] == name]) for name in series_of(points)}
    pairs = combinations(answers, 2)
    table = pd.DataFrame([place | row for one, other in pairs for row in _pair(one, other, answers)], columns=COLUMNS)
    adjusted = holm(table["p"])
    verdicts = [_verdict(*row) for row in zip(table["difference"], adjusted, table["seeds"], strict=True)]
    return table.assign(p_holm=adjusted, verdict=verdicts)


def _accuracies(group: pd.DataFrame) -> Iterator[float]:
    """One seed at every budget; plain arrays, since a page may hold a thousand runs."""
    selected, plain = group["selected"].to_numpy(dtype=bool), float(group["plain_macs"].iloc[0])
    names = ("calibration_macs", "macs", "calibration_accuracy", "accuracy")
    costs, tested, chosen_by, reported = (group[name].to_numpy(dtype=float)[selected] for name in names)
    counted = counted_cost(costs, tested)
    for share in BUDGETS:
        index = accuracy_at(TOLERANCE * share * plain, counted, chosen_by)
        yield np.nan if index is None else float(reported[index])


def _pair(first: str, second: str, answers: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    differences = answers[first].subtract(answers[second])  # by seed
    shared = differences.loc[answers[first].index.intersection(answers[second].index)]
    for share in BUDGETS if len(shared) else ():
        if shared[share].notna().all():
            (mean, low, high), p = paired_t(shared[share], LEVEL)
            yield {
                "share": share, "first": first, "second": second, "difference": mean, "low": low, "high": high,
                "p": p, "seeds": len(shared),
            }  # fmt: skip


def _verdict(difference: float, p_holm: float, seeds: int) -> str:
    if seeds < ENOUGH_SEEDS:
        return TOO_FEW
    if not p_holm < 1 - LEVEL:
        return NEITHER
    return FIRST if difference > 0 else SECOND
