"""Whether a training by somebody else bears an entry out. Pure functions of two entries, without torch."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from benchmarks.leaderboard.entry import Entry, Replay
from benchmarks.leaderboard.figures import SHARES, accuracies_at, summaries
from benchmarks.leaderboard.judging import RANKED_SEEDS

LEVEL = 0.95


def problems(entry: Entry, other: Entry) -> list[str]:
    """Why `other`, made by the same command elsewhere, does not verify `entry`; empty where it does.

    The mean of its seeds has to lie where 95% of such means lie, judged by the scatter of the entry's own seeds:
    of the accuracy at every share of the plain cost, and of the summary; of all figures together (Bonferroni).
    """
    found = [f"another {name}" for name in ("settings", "costs") if getattr(entry, name) != getattr(other, name)]
    if entry.training.facts() != other.training.facts():
        found.append("another training")
    if entry.dataset.facts() != other.dataset.facts():
        found.append("it was trained or tested on other images")
    if (entry.environment.machine, entry.date) == (other.environment.machine, other.date):
        found.append("it is of the same machine and day: train again elsewhere, or another day")
    for whose, one in (("its", entry), ("the retraining's", other)):
        if len(one.seeds) < RANKED_SEEDS:
            found.append(f"{whose} {len(one.seeds)} seeds say too little of how figures scatter: {RANKED_SEEDS} do")
    figures = compared(entry, other)
    return found or [line for line in (_outside(*figure, len(figures)) for figure in figures) if line]


def compared(entry: Entry, other: Entry) -> list[tuple[str, list[float], list[float]]]:
    """The figures that both have: what each is called, and its values over the seeds of either."""
    named = [("the summary", summaries(entry), summaries(other))]
    for share in SHARES:
        own, theirs = ([one for one in accuracies_at(e, share) if one is not None] for e in (entry, other))
        if len(own) == len(entry.seeds) and theirs:
            named.append((f"the accuracy at {share:.0%}", own, theirs))
    return named


def record(entry: Entry, other: Entry) -> Replay:
    """What the entry carries of the retraining."""
    about = other.environment
    return Replay(
        kind="retraining",
        date=other.date,
        suite_version=about.suite_version,
        torch=about.torch,
        device=about.device,
        machine=about.machine,
        content=entry.digest,
        compared=len(compared(entry, other)),
        different=0,
    )


def interval(values: Sequence[float], count: int, figures: int = 1) -> tuple[float, float]:
    """Where the mean of `count` further values lies with probability LEVEL, if they scatter as `values` do; of
    `figures` such means all do with at least that probability."""
    k, mean = len(values), float(np.mean(values))
    half = float(stdtrit(k - 1, 1 - (1 - LEVEL) / (2 * figures)) * np.std(values, ddof=1) * np.sqrt(1 / k + 1 / count))
    return mean - half, mean + half


def _outside(name: str, own: list[float], theirs: list[float], figures: int) -> str:
    low, high = interval(own, len(theirs), figures)
    mean, rounding = float(np.mean(theirs)), 1e-9
    if low - rounding <= mean <= high + rounding:
        return ""
    return f"{name} is {100 * mean:.2f}%, outside of {100 * low:.2f} to {100 * high:.2f}%"
