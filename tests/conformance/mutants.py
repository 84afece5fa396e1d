"""Gated networks that say wrongly for whom they work, each in one way."""

from typing import Any

import torch
from inventions import Gated
from torch import Tensor

from methods.base import Step, decides, units, where


class _Mutant(Gated):
    def step(self, step: Step, x: Any) -> Any:
        if step[0] == "gate":
            return self.gated(step[1], float(step[2]), x)
        return super().step(step, x)

    def gated(self, block: Any, threshold: float, x: Tensor) -> Tensor:
        """One block, for the images whose gate is open."""
        raise NotImplementedError

    def scattered(self, places: Tensor, block: Any, x: Tensor) -> Tensor:
        """The block on images at `places`, put back among the others."""
        return x.index_copy(0, places, self.block(block, x[places])) if len(places) else x


class GathersUnsaid(_Mutant):
    """Gathers the images of an open gate and tells nobody that the work is theirs alone."""

    def gated(self, block: Any, threshold: float, x: Tensor) -> Tensor:
        return self.scattered((self.score(block, x) > threshold).nonzero()[:, 0], block, x)


class WrongOwner(_Mutant):
    """Says that the work of the images whose gate is open is that of the first ones of the batch."""

    def gated(self, block: Any, threshold: float, x: Tensor) -> Tensor:
        places = decides(self.score(block, x), threshold).nonzero()[:, 0]
        with units(torch.arange(len(places))):
            return self.scattered(places, block, x)


class DecidesByTheMean(_Mutant):
    """Opens a gate for all images of a batch or for none."""

    def gated(self, block: Any, threshold: float, x: Tensor) -> Tensor:
        mean = self.score(block, x).mean().expand(len(x))
        return where(decides(mean, threshold), lambda kept: self.block(block, kept), x)


class DecidesUnseen(_Mutant):
    """Compares scores by itself, so that nobody knows how near another decision was."""

    def gated(self, block: Any, threshold: float, x: Tensor) -> Tensor:
        return where(self.score(block, x) > threshold, lambda kept: self.block(block, kept), x)
