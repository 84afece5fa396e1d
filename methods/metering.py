"""Whose work runs: multiply-accumulates of every image, where what is computed depends on the image.

A method says by `units` that what runs inside belongs to some images only, and in which shares; `where` does so for
work that some images do and others do not, `decides` is the door that every such decision goes through. Without a
meter they do nothing beside what they compute.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from methods.counting.counter import Counting, plain_attention
from methods.errors import MethodError
from methods.graph import State, length, rows

Result = TypeVar("Result")
Owners = NDArray[np.int64]


class VariesError(MethodError):
    """Work depends on the image where it is taken to cost every image the same."""


class Meter(Counting):  # type: ignore[no-untyped-call]
    """Counts while it is active, and for whom: an operator's products are split evenly over the units that run.

    At first every one of `images` images is a unit. MethodError where products cannot be split so. `spent` int64
    [images] are MACs; `distance` float32 [images] is how near each image's scores came to a threshold, inf where
    nothing was decided; `varied`: whether anything ran for some images only, or might have.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.spent: Owners = np.zeros(images, dtype=np.int64)
        self.distance = np.full(images, np.inf, dtype=np.float32)
        self.varied = False
        self._owners: Owners = np.arange(images)

    def run(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, counted; MethodError names operators that are not known."""
        token = _METER.set(self)
        try:
            with plain_attention(), self:
                result = work()
        finally:
            _METER.reset(token)
        self.refuse_unknown()
        return result

    def multiplied(self, operator: str, macs: int) -> None:
        super().multiplied(operator, macs)
        units = len(self._owners)
        if macs and (not units or macs % units):
            raise MethodError(
                f"cannot tell for whom {operator} ran: {macs:,} multiply-accumulates are not the same for each of "
                f"{units} units; say by `units` whose they are"
            )
        if macs:
            np.add.at(self.spent, self._owners, macs // units)

    def decided(self, distances: NDArray[np.float32]) -> None:
        """Take down how far scores of the present units were from their threshold, [units]."""
        if len(distances) != len(self._owners):
            raise MethodError(
                f"{len(distances)} scores decide about {len(self._owners)} units: say by `units` whose they are"
            )
        self.varied = True
        np.minimum.at(self.distance, self._owners, distances)

    @contextmanager
    def _among(self, owner: Owners) -> Iterator[None]:
        before, self._owners = self._owners, self._owners[owner]
        self.varied = True
        try:
            yield
        finally:
            self._owners = before


_METER: ContextVar[Meter | str | None] = ContextVar("meter", default=None)
"""What counts, or the label of work that is taken to cost every image the same."""
_DRAWN: ContextVar[torch.Generator | None] = ContextVar("drawn", default=None)


@contextmanager
def fixed(label: str) -> Iterator[None]:
    """Meanwhile `units` and `decides` raise VariesError: the work `label` was found to cost every image the same."""
    token = _METER.set(label)
    try:
        yield
    finally:
        _METER.reset(token)


@contextmanager
def units(owner: Tensor) -> Iterator[None]:
    """What runs inside is the work of `len(owner)` units, unit j that of image `owner[j]`, int64.

    Every unit does the same share of each product. Inside another `units`, owners are positions among its units.
    """
    meter = _meter()
    if meter is None:
        yield
    else:
        with meter._among(owner.detach().cpu().numpy()):
            yield


def where(chosen: Tensor, work: Callable[[State], State], x: State, otherwise: State | None = None) -> State:
    """`work` on the units of state `x` that are `chosen` (bool [n]), and for the others `otherwise`, by default `x`.

    The chosen ones are gathered, so that the others cost nothing, and what `work` gives is put in their places. It has
    to be of the shape of `otherwise`. `work` is not called where nobody is chosen.
    """
    if chosen.dtype != torch.bool or chosen.shape != (length(x),):
        raise MethodError(
            f"where takes one truth value a unit: bool [{length(x)}], got {chosen.dtype} {list(chosen.shape)}"
        )
    places = chosen.nonzero()[:, 0]
    rest = x if otherwise is None else otherwise
    with units(places):
        if not len(places):
            return rest
        if len(places) == len(chosen):
            return work(x)
        done = work(rows(x, places))
    return _scattered(rest, places, done)


def _scattered(rest: State, places: Tensor, done: State) -> State:
    if isinstance(rest, Tensor) and isinstance(done, Tensor):
        return rest.index_copy(0, places, done.to(rest.dtype))
    if isinstance(rest, Tensor) or isinstance(done, Tensor) or len(rest) != len(done):
        raise MethodError("where needs work that gives a state of the form of what the others keep")
    return tuple(_scattered(a, places, b) for a, b in zip(rest, done, strict=True))


def decides(scores: Tensor, threshold: float) -> Tensor:
    """Which units go on, bool of the shape of `scores` [units, ...]: those whose score is above the threshold.

    The only door for scores that decide what runs: a path table takes down how near each image came to another
    decision, and the random control hands it another image's scores.
    """
    generator = _DRAWN.get()
    if generator is not None:
        scores = scores[torch.randperm(len(scores), generator=generator).to(scores.device)]
    meter = _meter()
    if meter is not None:
        apart = (scores.detach().float() - threshold).abs().reshape(len(scores), -1)
        meter.decided(apart.amin(1).cpu().numpy())
    return scores > threshold


@contextmanager
def drawn(generator: torch.Generator) -> Iterator[None]:
    """Meanwhile `decides` takes the scores of other images, drawn by `generator`: decisions that look at nothing."""
    token = _DRAWN.set(generator)
    try:
        yield
    finally:
        _DRAWN.reset(token)


def _meter() -> Meter | None:
    found = _METER.get()
    if isinstance(found, str):
        raise VariesError(f"'{found}' depends on the image here, and did not where its cost was counted")
    return found
