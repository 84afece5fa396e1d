"""One run or several beside one another: what each method does over its seeds at equal cost."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.stats.frontier import counted_cost, summary
from reports.data.pairs import at_budgets
from reports.data.records import Run
from reports.data.series import PLACE, gather
from reports.data.tables import series_of, with_series


class Figure(NamedTuple):
    """A mean over seeds and its sample standard deviation; the latter is missing with one seed."""

    mean: float
    spread: float


@dataclass(frozen=True)
class Line:
    """One series: accuracies at the shares of BUDGETS and the summary of its frontier, None where there is none.

    `train_macs` is a mean over seeds, `training` relative to the plain network's (missing without one).
    """

    series: str
    seeds: int
    budgets: tuple[Figure | None, ...]
    summary: Figure | None
    train_macs: float
    training: float


@dataclass(frozen=True)
class Place:
    """All series of one data set, training set-up and backbone, the plain network first; only these compare.

    `points` are those of `tables.labelled`, of all runs.
    """

    dataset: str
    training: str
    backbone: str
    points: pd.DataFrame
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """What all of it was measured on."""
        return f"{self.dataset}, {self.backbone}, {self.training}"


def places(runs: Sequence[Run]) -> Iterator[Place]:
    """What can be compared in these runs.

    Seeds of a method in several runs are one series; a series whose figures clash with those of another run is one
    of its own and says which run it is of.
    """
    points = gather(runs).points
    series = with_series(points.assign(backbone=""))["series"]
    run = points["run"].map(dict(enumerate(names(runs))))
    points["series"] = series.where(points["tag"] < 0, series + " (" + run + ")")
    for (dataset, training, backbone), here in points.groupby(PLACE, sort=False):
        own = here[here["kind"] == "point"]
        plain = own.loc[own["series"] == "plain", "train_macs"].mean()
        lines = tuple(_line(name, own[own["series"] == name], plain) for name in series_of(own))
        yield Place(str(dataset), str(training), str(backbone), here, lines)


def names(runs: Sequence[Run]) -> list[str]:
    """The runs' names; the folders of those whose name is another's too."""
    count = Counter(run.name for run in runs)
    return [run.name if count[run.name] == 1 else str(run.folder) for run in runs]


def _line(name: str, series: pd.DataFrame, plain: float) -> Line:
    seeds = [group for _, group in series.groupby("seed")]
    train_macs = float(series["train_macs"].mean())
    accuracies = [_figure(column) for _, column in at_budgets(series).items()]
    return Line(name, len(seeds), tuple(accuracies), _summary(seeds), train_macs, train_macs / plain)


def _summary(seeds: list[pd.DataFrame]) -> Figure | None:
    if any(group[["chance", "plain_macs"]].isna().any(axis=None) for group in seeds):
        return None
    scores = []
    for group in seeds:
        chosen, plain, chance = group[group["selected"]], group["plain_macs"].iloc[0], group["chance"].iloc[0]
        costs = counted_cost(chosen["calibration_macs"], chosen["macs"])
        scores.append(summary(costs, chosen["calibration_accuracy"], chosen["accuracy"], float(plain), float(chance)))
    return _figure(pd.Series(scores))


def _figure(values: pd.Series) -> Figure | None:
    if values.isna().any():
        return None
    return Figure(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else np.nan)
