"""The best operating point of a run within a budget, chosen on *select*, and what it does on the test images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import vouched
from benchmarks.core.errors import UsageError
from benchmarks.selection.budget import Budget, Choice, Offer, choose
from benchmarks.selection.timed import Row, Timings, Wanted, label, timings
from benchmarks.stats.inference import mcnemar, wilson
from benchmarks.stored import StoredRun, Trained
from methods.routers import Argmax, Router
from methods.routing import trail_macs
from methods.table import PathTable

LEVEL = 0.05


@dataclass(frozen=True)
class Tested:
    """What an offer did on the test images: accuracy in [0, 1] with its Wilson interval, mean and largest MACs."""

    offer: Offer
    accuracy: float
    low: float
    high: float
    samples: int
    macs: float
    macs_max: float


@dataclass(frozen=True)
class Against:
    """The pick's accuracy less the runner-up's with one seed, on the same images; `p`: McNemar's, exact."""

    seed: int
    difference: float
    p: float


@dataclass(frozen=True)
class Picked:
    """A pick: what was chosen for every seed (`seeds`, the one to use among them is `use`), and what stands beside it.

    `runner_up`: the next best series, with the seed of `use`, where the two are not told apart with every seed.
    """

    run: StoredRun
    budget: Budget
    use: Tested
    seeds: tuple[Tested, ...]
    select_accuracy: float
    runner_up: Tested | None
    against: tuple[Against, ...]
    timed: Timings | None
    left_out: tuple[str, ...]


def pick(run: StoredRun, budget: Budget, seed: int | None = None, wanted: Wanted | None = None) -> Picked:
    """The best point of `run` within `budget`; with `seed` that seed's models alone count.

    Latencies are those of `wanted`, batch 1 in eager execution by default, and only the seed that was timed counts.
    UsageError, one line, where nothing meets the budget.
    """
    timed = None if budget.latency_ms is None else timings(run.folder, wanted or Wanted(), budget.worst_case)
    offers = _offers(run, budget, timed, seed)
    choices = choose(offers, budget)
    best, *others = choices
    other = next((one for one in others if not _alike(one, best)), None)
    seeds = tuple(_tested(run, offer) for offer in best.offers)
    use = next(tested for tested in seeds if tested.offer == best.best(budget))
    left_out = _incomplete(offers)
    if other is not None:
        against = tuple(_against(run, best, other, offer.seed) for offer in best.offers)
        if not all(one.p < LEVEL and one.difference > 0 for one in against):
            rival = _tested(run, other.of(use.offer.seed))
            return Picked(run, budget, use, seeds, best.accuracy, rival, against, timed, left_out)
    return Picked(run, budget, use, seeds, best.accuracy, None, (), timed, left_out)


def _alike(one: Choice, other: Choice) -> bool:
    """Whether two series are one training at one setting, such as `sdpoint` and `sdpoint:routing=learned` may be."""
    same = one.series.partition(":")[0] == other.series.partition(":")[0]
    figures = [[(offer.point, offer.macs, offer.accuracy) for offer in each.offers] for each in (one, other)]
    return same and figures[0] == figures[1]


def _offers(run: StoredRun, budget: Budget, timed: Timings | None, seed: int | None) -> list[Offer]:
    """Every point that may be chosen: of `seed`, and timed where time counts."""
    models = {(model.label, model.seed): model for model in run.models}
    dearest: dict[tuple[str, int, str], int | None] = {}
    if budget.worst_case:
        dearest = {(*key, name): macs for key, model in models.items() for name, macs in _dearest(model).items()}
    found = []
    told = vouched.rows(run.folder, "points.csv")
    rows = [row for row in told if row["kind"] == "point" and seed in (None, int(row["seed"]))]
    if not rows:
        raise UsageError(f"{run.folder} has no seed {seed}; it has {', '.join(map(str, run.seeds))}")
    for row in rows:
        key = (label(row), int(row["seed"]), row["point"])
        if timed is None or key in timed.milliseconds:
            macs = dearest[key] if budget.worst_case else float(row["calibration_macs"])
            if macs is None:
                continue
            found.append(_offer(row, macs, None if timed is None else timed.milliseconds[key]))
    if not found and timed is None:
        raise UsageError(f"no point of {run.folder} has a cost that no image exceeds: leave --worst-case out")
    if not found:
        raise UsageError(f"the points of seed {seed} were not timed: leave --seed out")
    return found


def _offer(row: Row, macs: float, latency_ms: float | None) -> Offer:
    accuracy, stored = float(row["calibration_accuracy"]), int(float(row["storage_bytes"]))
    return Offer(label(row), int(row["seed"]), row["point"], macs, accuracy, stored, latency_ms)


def _dearest(model: Trained) -> dict[str, int | None]:
    """MACs that no image can exceed, by point: the dearest of all trails its router can take; None if none is known."""
    table = model.calibration()[1]
    return {point.name: bound(table, point.router) for point in model.points}


def bound(table: PathTable, router: Router) -> int | None:
    """MACs of the dearest trail that `router` can take: a cascade to its end, the dearest option behind a probe.

    None where the work of an answer depends on the image: the most that was seen is not the most there is.
    """
    if any(table.costs.vary(output) for output in router.outputs):
        return None
    trails = router.shortest if isinstance(router, Argmax) else (router.outputs,)
    own = [sum(router.macs(at) for at in trail) for trail in trails]
    return int((table.macs_along(trails)[:, 0] + np.array(own)).max())


def _model(run: StoredRun, offer: Offer) -> Trained:
    (found,) = (model for model in run.models if (model.label, model.seed) == (offer.series, offer.seed))
    return found


def _right(run: StoredRun, offer: Offer) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which test images an offer gets right [n], and the MACs each costs [n]."""
    model = _model(run, offer)
    table = model.test()
    (point,) = (point for point in model.points if point.name == offer.point)
    routing = model.routing(point, table)
    return table.correct[routing.answer, np.arange(len(table.labels))], trail_macs(table, routing)


def _tested(run: StoredRun, offer: Offer) -> Tested:
    right, macs = _right(run, offer)
    low, high = wilson(int(right.sum()), len(right))
    return Tested(offer, float(right.mean()), low, high, len(right), float(macs.mean()), float(macs.max()))


def _against(run: StoredRun, best: Choice, other: Choice, seed: int) -> Against:
    (first, _), (second, _) = (_right(run, choice.of(seed)) for choice in (best, other))
    p = mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))
    return Against(seed, float(first.mean() - second.mean()), p)


def _incomplete(offers: Sequence[Offer]) -> tuple[str, ...]:
    """Series that lack one of the seeds, and so could not be chosen."""
    seeds = {offer.seed for offer in offers}
    return tuple(
        series
        for series in dict.fromkeys(offer.series for offer in offers)
        if {offer.seed for offer in offers if offer.series == series} != seeds
    )
