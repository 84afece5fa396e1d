"""What an entry holds of the *fit* half of the calibration images: all that its method chose its points on.

A method chooses points by a function of the *fit* half's path table, and of this table only a part decides: nothing
where all answers are shown, one signal where thresholds are swept. Only that part is held, to the last bit.
Shapes: f images of the *fit* half, a answers.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.entry import Entry, Fit, Seed
from benchmarks.leaderboard.packing import Packed, pack, unpack
from benchmarks.leaderboard.recount import counted_again
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.routers import OperatingPoint
from methods.table import SIGNALS, PathTable

COLUMNS = (*SIGNALS, "loss")
"""What of an answer a choice may look at, beside whether it is right."""
_ROUNDING = 2e-5  # of signals, which are sums over classes in 32 bits


def choose(model: AdjustableModel, table: PathTable, count: int) -> tuple[OperatingPoint, ...] | None:
    """The points, at most `count`, that a method chooses on a table; None where it cannot choose on this one."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return tuple(model.operating_points(table, count))
        except (MethodError, ValueError, ArithmeticError, LookupError):
            return None


def what_decides(model: AdjustableModel, fit: PathTable, count: int) -> Fit | None:
    """What of the *fit* half's table the choice of the model's points, at most `count`, depends on; None where nothing
    does.

    Found by spoiling it: what can be spoilt without another choice does not decide.
    """

    def same(table: PathTable) -> bool:
        return choose(model, table, count) == model.points

    if same(_unknown(fit)):
        return None
    table, names = fit, list(COLUMNS)
    for name in COLUMNS:
        if same(without := _spoilt(table, [name])):
            table = without
            names.remove(name)
    asked = {output for point in model.points for output in point.router.outputs}
    unasked = [answer for answer in range(len(fit.answers)) if answer not in asked]
    if unasked and same(thinner := _spoilt(table, names, unasked)):
        table = thinner
    return Fit(
        right=pack(fit.correct.T),
        columns={name: _packed(getattr(table, name).T) for name in names},
        probes={name: _packed(said) for name, said in fit.probes.items()},
    )


def _spoilt(table: PathTable, names: Sequence[str], answers: Sequence[int] | None = None) -> PathTable:
    """The table without these columns, of all answers or of these alone."""
    columns: dict[str, Any] = {name: np.array(getattr(table, name)) for name in names}
    for column in columns.values():
        column[slice(None) if answers is None else list(answers)] = np.nan
    return replace(table, **columns)


def _unknown(table: PathTable) -> PathTable:
    """A table of the same images of which nothing is known."""
    probes = {name: np.full_like(said, np.nan) for name, said in table.probes.items()}
    return replace(_spoilt(table, COLUMNS), prediction=np.full_like(table.prediction, -1), probes=probes)


def _packed(values: NDArray[Any]) -> Packed:
    """Numbers of 32 bits, to the last of them."""
    return pack(np.ascontiguousarray(values, dtype="<f4").view("<u4"))


def numbers(packed: Packed) -> NDArray[np.float32]:
    """The numbers whose bits are packed; NaN where one is not held."""
    bits: NDArray[np.float32] = unpack(packed).astype("<u4").view("<f4")
    return bits


def table_of(entry: Entry, seed: Seed) -> PathTable:
    """The *fit* half's path table as far as a seed holds it; where it holds nothing, one image of which nothing is
    known. ValueError where it does not hold what a table is made of."""
    a = entry.costs.answers
    held = seed.fit or Fit(right=pack(np.zeros((1, a))), columns={}, probes={})
    right = unpack(held.right)
    if right.shape[1:] != (a,) or not len(right) or held.columns.keys() - set(COLUMNS):
        raise ValueError("what its points were chosen on is none of a method's tables")
    columns = {name: _column(held.columns, name, right.shape) for name in COLUMNS}
    probes = {name: _column(held.probes, name, (len(right), -1)) for name in entry.costs.outputs[a:]}
    images, wrong = np.arange(len(right)), 1 - right.T
    signals: dict[str, Any] = {name: column.T for name, column in columns.items()}
    return PathTable(
        entry.costs.outputs[:a], counted_again(entry).costs, prediction=wrong, label_rank=wrong,
        labels=np.zeros_like(images), sample_id=images, probes=probes, **signals,
    )  # fmt: skip


def _column(held: dict[str, Packed], name: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A column [f, a] of numbers, unknown where it is not held; ValueError where it is of another shape."""
    rows, width = shape
    found = numbers(held[name]) if name in held else np.full((rows, max(width, 1)), np.nan, dtype=np.float32)
    if found.shape != (rows, found.shape[1] if width < 0 else width):
        raise ValueError(f"{name} has the shape {list(found.shape)}, not {[rows, width]}")
    return found


def problems(entry: Entry) -> list[str]:
    """Seeds that hold signals which no probabilities of so many classes have, or which contradict each other."""
    found = []
    for seed in entry.seeds:
        if seed.fit is not None:
            table, known = table_of(entry, seed), seed.fit.columns.keys()
            for claim, holds in _claims(table, known, entry.dataset.classes):
                if bad := int((~holds).sum()):
                    found.append(f"seed {seed.seed}: {bad} answers to images of the fit half lack {claim}")
    return found


def _claims(table: PathTable, known: Collection[str], classes: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What is true of signals and losses of any probabilities, and of which answers [a, f] it is: those that are not
    held, NaN, pass.

    p and q are the largest and the second largest probability, e is rounding.
    """
    p, margin, entropy, loss = (np.asarray(getattr(table, name), dtype=np.float64) for name in _NAMED)
    e, q, rest = _ROUNDING, p - margin, np.maximum(1 - p, 1e-7)
    with np.errstate(all="ignore"):
        most = -p * np.log(p) - rest * np.log(rest / (classes - 1))  # the other probabilities alike
        least_loss = np.where(table.correct, -np.log(p), -np.log(np.minimum(p, rest + 1e-6)))
        claims = {
            "1/classes <= max_prob <= 1": (p, p >= 1 / classes - e, p <= 1 + e),
            "0 <= margin <= 1": (margin, margin >= -e, margin <= 1 + e),
            "0 <= entropy <= ln(classes)": (entropy, entropy >= -e, entropy <= np.log(classes) + e),
            "a margin that fits max_prob": (q, q >= rest / (classes - 1) - e, q <= np.minimum(p, rest) + e),
            "an entropy that fits max_prob": (entropy * p, entropy >= -np.log(p) - e, entropy <= most + e),
            "a loss that fits max_prob": (
                loss * p, loss >= least_loss - e * (1 + loss), ~table.correct | (loss <= least_loss + e * (1 + loss)),
            ),
        }  # fmt: skip
    for claim, (values, *holds) in claims.items():
        if all(name in known for name in _NAMED if name in claim):
            yield claim, np.isnan(values) | np.logical_and(*holds)


_NAMED = ("max_prob", "margin", "entropy", "loss")
