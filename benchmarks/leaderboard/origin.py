"""Where trained weights come from: they stay like the initial weights of their seed, and like no other's.

A training moves weights away from where they began, but not to nowhere: after it they still correlate with their
beginning, and two trainings from different beginnings do not correlate at all. So weights say of which seed they are.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.recount import settings_of
from benchmarks.leaderboard.weight_files import tensors_of
from methods.base import ImageShape, MethodSettings, Network
from methods.errors import MethodError
from methods.registry import create, method_class

ALIKE = 0.2
"""Likeness of two trainings from which on they have something in common. Measured on digits: trainings apart -0.01
to 0.01, those that share their first epoch alone 0.8."""
CLEAR = 3.0
"""How many times as like its own beginning as any other a training has to be. Measured on digits: over 50 times."""
DECOYS = tuple(range(2**31, 2**31 + 3))
"""Seeds of nobody: their initial weights show what likeness chance gives."""
_ELEMENTS = 100  # of fewer, chance makes too much

Directions = Mapping[str, Tensor]
"""Weight tensors by name, each flat, without its mean and of length one: products of two are their correlations."""


def directions(tensors: Mapping[str, Tensor]) -> Directions:
    """What of these weights says where they come from: tensors of two dimensions or more, which begin at random."""
    large = {n: t for n, t in tensors.items() if t.dim() > 1 and t.numel() >= _ELEMENTS and t.is_floating_point()}
    centred = {name: (value.double() - value.double().mean()).flatten() for name, value in large.items()}
    return {name: (value / value.norm()).float() for name, value in centred.items() if value.norm() > 0}


def likeness(one: Directions, other: Directions) -> float:
    """The mean over tensors of their correlation: 1 for the same, about 0 for what has nothing in common.

    A tensor counts with the root of its size, since so precisely its correlation is known. MethodError where they
    have no tensor of the same name and shape.
    """
    names = [name for name, value in one.items() if name in other and value.shape == other[name].shape]
    if not names:
        raise MethodError("the weights have no tensors by which to tell where they come from")
    found = [float(one[name] @ other[name]) for name in names]
    return float(np.average(found, weights=[len(one[name]) ** 0.5 for name in names]))


@lru_cache(maxsize=16)
def initial(
    method: str, settings: MethodSettings, backbone: str, classes: int, shape: ImageShape, seed: int
) -> Directions:
    """The weights that a training of this seed begins with; of parts that come trained, those that they began with."""
    model = create(method, settings, backbone, classes, shape, seed)
    found = dict(directions(model.state_dict()))
    for part, start in model.initial_weights().items():
        if not isinstance(start, Network):
            raise MethodError(f"{part} begins with weights of a file: of which seed they are cannot be told")
        plain = method_class("plain").Settings.model_validate({"size": start.size})
        own = initial("plain", plain, start.backbone, classes, shape, seed)
        found |= {f"{part}.{name.removeprefix('backbone.')}": value for name, value in own.items()}
    return found


def problems(entry: Entry, weights: Sequence[Path]) -> list[str]:
    """Seeds whose weights are not of a training of their own; `weights`: the file of every seed, in their order."""
    about = (entry.method, settings_of(entry), entry.backbone, entry.dataset.classes, entry.dataset.image_shape)
    files = zip(entry.seed_numbers, weights, strict=True)
    trained = {seed: directions(tensors_of(entry, path)) for seed, path in files}
    begun = {seed: initial(*about, seed) for seed in (*trained, *DECOYS)}
    found = [line for seed, own in trained.items() for line in _foreign(seed, own, begun)]
    for (one, first), (other, second) in combinations(trained.items(), 2):
        if (like := likeness(first, second)) >= ALIKE:
            found.append(f"the weights of seeds {one} and {other} correlate by {like:.2f}: they are of one training")
    return found


def _foreign(seed: int, own: Directions, begun: Mapping[int, Directions]) -> list[str]:
    """Why weights are not of a training that began with those of `seed`."""
    like = {other: likeness(own, weights) for other, weights in begun.items()}
    mine, nearest = like.pop(seed), max(like, key=lambda other: abs(like[other]))
    if mine >= CLEAR * abs(like[nearest]):
        return []
    whose = f"those of seed {nearest}" if like[nearest] >= CLEAR * abs(mine) else "those of any other"
    return [f"the weights of seed {seed} are no more like the initial weights of this seed than {whose}"]
