"""How entries stand to each other: classes of training cost, ranks, what is stale, and what is significant.

Pure functions of entries, without torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import Any

import numpy as np

from benchmarks.data import splits
from benchmarks.leaderboard.entry import PROTOCOL, BudgetFigures, Entry
from benchmarks.leaderboard.figures import SHARES, Seen, at_budget, by_seed, chance_of, seen, summaries
from benchmarks.leaderboard.judging import RANKED_SEEDS
from benchmarks.leaderboard.registered import Registered, carried
from benchmarks.stats.inference import Interval, holm, mcnemar, paired_t

CLASSES = ((1.1, "up to 1.1 trainings"), (3.3, "up to 3.3 trainings"), (float("inf"), "beyond"))
"""Training MACs over those of the plain network, at most, and what the class is called."""
LEVEL = 0.05
CLAIM = 5
"""Seeds below which a difference is shown and not called significant (design: at least 5 pairs)."""


@dataclass(frozen=True)
class Against:
    """An entry's summary less that of the leader of its group, over the seeds both have: mean, interval, p-value
    adjusted for all pairs of the group (Holm). `mark`: `≈` not told apart, `<` below the leader, with a `?`
    where there are too few seeds for a claim; nothing for the leader."""

    leader: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    pairs: int
    mark: str


@dataclass(frozen=True)
class Standing:
    """One line of the board. `rank`: by the summary, within the class of training cost; None: not ranked, with the
    reason in `note`. `stale` says what changed since."""

    entry: Entry
    file: str
    training: float | None
    group: str
    rank: int | None
    note: str
    stale: str
    against: Against | None

    @property
    def budgets(self) -> tuple[BudgetFigures, ...]:
        return self.entry.figures.budgets

    @property
    def chance(self) -> float:
        """What counts below its cheapest point."""
        return chance_of(self.entry)

    @property
    def executed(self) -> str:
        """Whether its selected points were executed: executed, simulated, or mixed."""
        kinds = {row.execution for row in self.entry.figures.points if row.selected}
        return kinds.pop() if len(kinds) == 1 else "mixed"


def standings(
    entries: Iterable[Entry], datasets: Mapping[str, Registered], versions: Mapping[str, int]
) -> dict[tuple[str, str, str], list[Standing]]:
    """The lines of every board, by data set, backbone and division: ranked ones by class and rank, stale ones last.

    `versions`: that of every method today.
    """
    ordered = sorted(entries, key=_board)
    old = {
        entry.digest: stale(entry, datasets.get(entry.dataset.name), versions.get(entry.method)) for entry in ordered
    }
    boards = {key: list(group) for key, group in groupby(ordered, key=_board)}
    yardstick = {(e.dataset.name, e.backbone): e for e in reversed(ordered) if e.label == "plain" and not old[e.digest]}
    return {key: _stand(own, yardstick.get(key[:2]), datasets, old) for key, own in boards.items()}


def _board(entry: Entry) -> tuple[str, str, str]:
    return entry.dataset.name, entry.backbone, entry.division


def stale(entry: Entry, known: Registered | None, version: int | None) -> str:
    """What changed since the entry was made: the data set, its split, the protocol, or the method; empty where nothing
    did."""
    split = entry.training.split
    if known is None or _differs(entry, known.under(split)):
        return "the data set changed"
    if _differs(entry, known):
        return f"made under version {split} of the split, now {splits.VERSION}"
    if entry.protocol != PROTOCOL:
        return f"made under protocol {entry.protocol}, now {PROTOCOL}"
    if version is None or entry.method_version != version:
        return "the method is not in the suite any more" if version is None else (
            f"made with version {entry.method_version} of the method, now {version}"
        )  # fmt: skip
    return ""


def _differs(entry: Entry, known: Registered) -> bool:
    return any(value != getattr(known, key) for key, value in carried(entry).items())


def class_of(training: float | None) -> str:
    """The class of a training that takes so many times the MACs of the plain network's."""
    if training is None:
        return "not known"
    return next(name for most, name in CLASSES if training <= most)


def _stand(
    entries: list[Entry], plain: Entry | None, datasets: Mapping[str, Registered], old: Mapping[str, str]
) -> list[Standing]:
    """The lines of one board; `plain`, of the closed division if there is one, is what trainings are measured by."""
    found = []
    for entry in entries:
        training = _training(entry, plain)
        note = _unranked(entry, datasets.get(entry.dataset.name))
        line = Standing(entry, entry.file, training, class_of(training), None, note, old[entry.digest], None)
        found.append(line)
    current = [one for one in found if not one.stale]
    names = [name for _, name in CLASSES] + ["not known"]
    lines: list[Standing] = []
    for name in names:
        lines += _ranked([one for one in current if one.group == name])
    return [*lines, *sorted((one for one in found if one.stale), key=_by_summary)]


def _by_summary(line: Standing) -> float:
    return -line.entry.figures.summary.mean


def _unranked(entry: Entry, known: Registered | None) -> str:
    """Why an entry has no rank; empty where it has one."""
    if known is not None and not known.ranked:
        return known.reason
    return f"fewer than {RANKED_SEEDS} seeds" if len(entry.seeds) < RANKED_SEEDS else ""


def _training(entry: Entry, plain: Entry | None) -> float | None:
    macs = [seed.train_macs for seed in entry.seeds]
    base = [seed.train_macs for seed in plain.seeds] if plain is not None else []
    if not base or None in macs or None in base:
        return None
    return float(np.mean([one for one in macs if one is not None]) / np.mean([one for one in base if one is not None]))


def _ranked(lines: list[Standing]) -> list[Standing]:
    """The lines of one class, the best first: ranks among those that have one, and how far they are from the best."""
    ordered = sorted(lines, key=lambda line: (bool(line.note), _by_summary(line)))
    against = compared([line.entry for line in ordered if not line.note])
    return [
        line if line.note else replace(line, rank=place + 1, against=against[place])
        for place, line in enumerate(ordered)
    ]


def compared(entries: Sequence[Entry]) -> list[Against | None]:
    """Each entry against the first: paired by seed, the p-values adjusted for all pairs there are, since who is the
    first is known from the same figures only."""
    if not entries:
        return []
    leader, every = entries[0], list(combinations(entries, 2))
    tested = [paired(one, other) for one, other in every]
    adjusted = holm([p for _, p, _ in tested]) if tested else np.array([])
    found: list[Against | None] = [None]
    for (interval, _, pairs), p in zip(tested[: len(entries) - 1], adjusted, strict=False):  # the leader's come first
        below = bool(p < LEVEL and interval.mean < 0)  # NaN is not; over shared seeds the leader may be the lower one
        mark = ("<" if below else "≈") + ("?" if pairs < CLAIM else "")
        low, high, chance = (None if np.isnan(value) else float(value) for value in (interval.low, interval.high, p))
        found.append(Against(leader.label, interval.mean, low, high, chance, pairs, mark))
    return found


def paired(leader: Entry, other: Entry) -> tuple[Interval, float, int]:
    """Summary of `other` less that of `leader` over the seeds that both have, its t interval, p-value, and pairs."""
    theirs = dict(zip(leader.seed_numbers, summaries(leader), strict=True))
    own = dict(zip(other.seed_numbers, summaries(other), strict=True))
    both = sorted(own.keys() & theirs.keys())
    if not both:
        return Interval(*[float("nan")] * 3), float("nan"), 0
    interval, p = paired_t([own[seed] - theirs[seed] for seed in both])
    return interval, p, len(both)


def duels(first: Entry, second: Entry) -> list[dict[str, Any]]:
    """Two entries on the same test images, one row a budget and seed that both have: the images that only one gets
    right, and McNemar's p-value. Seeds are never pooled. Empty where the images are not the same."""
    if first.dataset.test_fingerprint != second.dataset.test_fingerprint:
        return []
    one, other = _bought(first), _bought(second)
    rows = []
    for key in sorted(one.keys() & other.keys()):
        only_first, only_second = int((one[key] & ~other[key]).sum()), int((other[key] & ~one[key]).sum())
        rows.append({
            "share": key[0], "seed": key[1], "only_first": only_first, "only_second": only_second,
            "p": mcnemar(only_first, only_second),
        })  # fmt: skip
    return rows


def _bought(entry: Entry) -> dict[tuple[float, int], np.ndarray[Any, Any]]:
    """Which test images are right, by share of the plain MACs and seed, where the budget buys a point."""
    found = {}
    for seed, points in zip(entry.seeds, by_seed(entry, entry.figures.points), strict=True):
        looked: Seen = seen(entry, seed)
        names = [point.name for point in seed.points]
        for share in SHARES:
            point = at_budget(points, share * entry.costs.plain_macs)
            if point is not None:
                found[share, seed.seed] = looked.right[:, names.index(point.point)]
    return found
