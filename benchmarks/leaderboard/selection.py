"""Whether the points of an entry are those that its method chooses on the *fit* half of the calibration images.

The choice is made again on what the entry holds: a point that was left out for what it does on test images is then
missing, and a name stands before the router it belongs to.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaderboard.entry import Entry, Seed
from benchmarks.leaderboard.fit_half import choose, table_of
from benchmarks.leaderboard.recount import model_of
from benchmarks.stored import fit_images
from methods.base import AdjustableModel
from methods.routers import OperatingPoint

CLOSE = 1e-3
"""How far numbers of a learned policy may lie from those fitted again: another version of the library that fits them
stops elsewhere. Thresholds are looked up, not fitted: they are the same to the last digits."""
_EXACT = 1e-6


@cache
def earlier() -> frozenset[str]:
    """Digests of the entries that were made before an entry held what its points were chosen on."""
    text = Path(__file__).with_name("earlier.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["digests"])


def problems(entry: Entry) -> list[str]:
    """Seeds whose points are not those that the method chooses on what the entry holds of the *fit* half.

    Entries of before there was one are what they were: a change is another digest.
    """
    if all(seed.fit is None for seed in entry.seeds) and entry.digest in earlier():
        return []
    model = model_of(entry)
    found = [(seed.seed, _of_seed(entry, seed, model)) for seed in entry.seeds]
    return [f"seed {number}: {line}" for number, line in found if line]


def _of_seed(entry: Entry, seed: Seed, model: AdjustableModel) -> str:
    """What is wrong with the points of one seed; empty where nothing is."""
    half, table = fit_images(entry.dataset.calibration_images), table_of(entry, seed)
    if seed.fit is not None and len(table.labels) != half:
        return f"holds {len(table.labels)} images of the fit half, not {half}"
    chosen = choose(model, table, entry.configuration.points)
    differ = "nothing can be chosen on it" if chosen is None else difference(seed, chosen)
    if differ and seed.fit is None:
        return f"{differ}; it holds no answers of the fit half by which others are chosen: submit the run again"
    return differ


def difference(seed: Seed, chosen: Sequence[OperatingPoint]) -> str:
    """How a seed's points differ from those that its method chooses, in their order; empty where they do not."""
    own, names = [point.name for point in seed.points], [point.name for point in chosen]
    if own != names:
        missing, foreign = ([name for name in one if name not in other] for one, other in ((names, own), (own, names)))
        what = f"without {', '.join(missing)}" * bool(missing), f"with {', '.join(foreign)}" * bool(foreign)
        return f"its points are not those chosen on the fit half: {' and '.join(filter(None, what)) or 'other order'}"
    pairs = zip(seed.points, chosen, strict=True)
    other = [one.name for one, point in pairs if not same(one.router, point.router.model_dump(mode="json"))]
    return f"another router stands under {', '.join(other)} than is chosen on the fit half" if other else ""


def same(said: Any, found: Any, close: float | None = None) -> bool:
    """Whether two routers are one, as JSON has them: numbers within `close`, by their kind where that is not given."""
    if isinstance(found, Mapping):
        near = close or (CLOSE if found.get("kind") == "learned" else _EXACT)
        return (
            isinstance(said, Mapping)
            and said.keys() == found.keys()
            and all(same(said[key], found[key], near) for key in found)
        )
    if isinstance(found, list):
        return (
            isinstance(said, list)
            and len(said) == len(found)
            and all(same(one, other, close) for one, other in zip(said, found, strict=True))
        )
    if isinstance(found, float):
        return isinstance(said, int | float) and bool(np.isclose(said, found, rtol=_EXACT, atol=close or _EXACT))
    return bool(said == found)
