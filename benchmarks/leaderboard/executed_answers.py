"""Whether the weights say what an entry says, answer by answer: every one, whether or not a point shows it.

Tables are what the weights said just now, arrays what the entry says. Rounding differs across machines: an answer may
be another within `execution.NEAR` of a tie, a label may pass one neighbour in the order, and for at most one image in
a thousand. Shapes: n test images, m of *select*, f of *fit*, a answers.
"""

import re

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation import execution
from benchmarks.leaderboard.cross_checks import BEST
from benchmarks.leaderboard.entry import EXPLAINED, Seed
from benchmarks.leaderboard.fit_half import numbers
from benchmarks.leaderboard.packing import Packed, unpack
from methods.routers import OperatingPoint
from methods.routing import simulate
from methods.table import PathTable

ELSEWHERE = 0.01
"""Share of the *fit* half that a router chosen again may send another way: one image there that is decided otherwise
moves a threshold to its neighbour."""
NAMED = 0.05
"""How far the numbers in names of points chosen again may lie apart."""

Bits = NDArray[np.bool_]


def problems(test: PathTable, select: PathTable, fit: PathTable, seed: Seed) -> list[str]:
    """Which of an entry's arrays are not what its weights say, one line each."""
    said = {
        "answers to test images": _unlike(
            unpack(seed.test_prediction) != test.prediction.T, (test.margin <= execution.NEAR).T
        ),
        f"labels among the best {BEST}": _unlike(
            (test.label_rank.T < BEST) != (unpack(seed.test_top5) > 0), np.isin(test.label_rank.T, (BEST - 1, BEST))
        ),
        "right answers to the select half": _unlike(
            (unpack(seed.select_right) > 0) != select.correct.T, (select.margin <= execution.NEAR).T
        ),
    }
    if seed.fit is not None:
        said["right answers to the fit half"] = _unlike(
            (unpack(seed.fit.right) > 0) != fit.correct.T, (fit.margin <= execution.NEAR).T
        )
        said |= {f"{name} of the fit half": _far(getattr(fit, name).T, one) for name, one in seed.fit.columns.items()}
        said |= {f"{name} of the fit half": _far(fit.probes[name], one) for name, one in seed.fit.probes.items()}
    return [f"seed {seed.seed}: {count} {what} are others" for what, count in said.items() if count]


def _unlike(differ: Bits, near: Bits) -> int:
    """How many differ [images, a]; none where rounding explains it, answer by answer."""
    most = max(1.0, EXPLAINED * len(differ))
    explained = (differ & near).sum(axis=0) == differ.sum(axis=0)
    return int(differ.sum(axis=0)[~explained | (differ.sum(axis=0) > most)].sum())


def _far(own: NDArray[np.float32], held: Packed) -> int:
    """How many numbers [f, a] are not those that are held, where any is; none where at most one image in a thousand
    differs."""
    stated = numbers(held)
    if stated.shape != own.shape:
        return stated.size
    differ = (np.abs(own - stated) > execution.NEAR * np.maximum(1, np.abs(own))) & ~np.isnan(stated)
    return int(differ.sum()) if differ.any(axis=1).sum() > max(1.0, EXPLAINED * len(differ)) else 0


def points_problems(seed: Seed, chosen: tuple[OperatingPoint, ...], fit: PathTable) -> list[str]:
    """Points of a seed that are not the ones that its method chooses on the *fit* half as the weights answer it now."""
    stated = [OperatingPoint.model_validate({"name": one.name, "router": one.router}) for one in seed.points]
    if len(stated) != len(chosen):
        return [f"seed {seed.seed}: has {len(stated)} points, its method chooses {len(chosen)} on the fit half"]
    other = [one.name for one, point in zip(stated, chosen, strict=True) if not _alike(one, point, fit)]
    return [f"seed {seed.seed}: {', '.join(other)}: not what its method chooses on the fit half"] if other else []


def _alike(stated: OperatingPoint, chosen: OperatingPoint, fit: PathTable) -> bool:
    """Whether two points are one but for rounding: they bear like names and send nearly all images the same way."""
    if "static" in (fit.decision(stated), fit.decision(chosen)):
        return stated == chosen
    differ = (simulate(fit, stated.router).visited != simulate(fit, chosen.router).visited).any(axis=1)
    return _like_names(stated.name, chosen.name) and bool(differ.sum() <= max(1.0, ELSEWHERE * len(differ)))


def _like_names(stated: str, chosen: str) -> bool:
    """Whether two names are one but for the last digits of the number at the end."""
    one, other = (re.search(r"-?\d+(\.\d+)?(e[-+]?\d+)?$", name) for name in (stated, chosen))
    if one is None or other is None or stated[: one.start()] != chosen[: other.start()]:
        return stated == chosen
    return bool(np.isclose(float(one[0]), float(other[0]), rtol=NAMED, atol=0))
