"""Path tables and observations small enough to count by hand."""

from collections.abc import Sequence

import numpy as np

from benchmarks.evaluation.per_image import Observed, Seen
from methods.cost import Costs
from methods.table import PathTable

# A trunk of 100 MACs and a head of 10 make answer 0; the trunk goes on for 300 and ends in a head of 20.
COSTS = Costs(
    ("trunk", "head 1", "more trunk", "head 2"),
    np.array([100, 10, 300, 20]),
    np.array([[True, True, False, False], [True, False, True, True]]),
)
EARLY, LATE, BOTH = 110, 420, 430


def table(
    right: Sequence[Sequence[int]], sure: Sequence[float], names: tuple[str, ...] = ("first", "last")
) -> PathTable:
    """What answers get right (1) or not (0), and how sure the first is of each image; every label is 0."""
    correct = np.array(right)
    confidence = np.array([sure] * len(right), dtype=np.float32)
    return PathTable(
        ("first", "last"),
        COSTS,
        prediction=1 - correct,
        label_rank=6 * (1 - correct),
        max_prob=confidence,
        margin=confidence,
        entropy=1 - confidence,
        loss=1 - confidence,
        labels=np.zeros(correct.shape[1], dtype=np.int64),
        sample_id=np.arange(correct.shape[1]),
    )


def separate(right: Sequence[Sequence[int]], macs: Sequence[int]) -> PathTable:
    """Answers that share no work and cost `macs`; who is wrong predicts class 1."""
    correct = np.array(right)
    nothing = np.zeros(correct.shape, dtype=np.float32)
    count = len(macs)
    names = tuple(f"a{number}" for number in range(count))
    return PathTable(
        names,
        Costs(names, np.array(macs), np.eye(count, dtype=bool)),
        prediction=1 - correct,
        label_rank=1 - correct,
        max_prob=nothing,
        margin=nothing,
        entropy=nothing,
        loss=nothing,
        labels=np.zeros(correct.shape[1], dtype=np.int64),
        sample_id=np.arange(correct.shape[1]),
    )


def point(
    name: str,
    right: Sequence[int],
    cost: float = 100,
    goes_on: float = 0.5,
    chance: float | None = None,
    calibrated: float = 0.5,
    learned: bool = False,
    commonest: float = 0.5,
) -> Seen:
    """An operating point that is right on these images; `chance`: of both controls, everywhere."""
    n = len(right)
    control = None if chance is None else np.full(n, chance)
    spent = np.full(n, int(cost))
    correct = np.array(right, dtype=bool)
    return Seen(name, correct, spent, goes_on, cost, calibrated, control, control, learned, commonest)


def model(
    points: Sequence[Seen],
    label: str = "earlyexit",
    seed: int = 0,
    correct: Sequence[Sequence[int]] = ((1,), (1,)),
    macs: Sequence[int] = (50, 100),
    settings: dict[str, object] | None = None,
    train_macs: float = 1.0,
) -> Observed:
    """One trained model of a method; its answers are as accurate on *select* as on test."""
    answers = tuple(f"a{number}" for number in range(len(macs)))
    about = (label.partition(":")[0], label, seed, settings or {}, answers)
    right = np.array(correct, dtype=bool)
    return Observed(*about, np.array(macs), right, right.mean(axis=1), tuple(points), train_macs)
