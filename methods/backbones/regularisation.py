"""Noise that only training sees: dropout and stochastic depth, drawn from a generator one can seed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Source:
    """Where all random layers of a network draw from: `generator`, or torch's global one while it is None.

    Draws are made on the CPU, so a seed means the same on every device.
    """

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Source":
        """A copied network draws from the global generator until it is given one of its own."""
        return Source()


class Dropout(nn.Module):
    """In training each value is zero with probability `p`, else divided by 1 - p; otherwise the identity.

    What `torch.nn.Dropout` computes (Srivastava et al., JMLR 2014), with draws from a `Source`.
    """

    def __init__(self, p: float, source: Source) -> None:
        super().__init__()
        self.p = p
        self.source = source

    def forward(self, x: Tensor) -> Tensor:
        """Values of any shape to the same shape."""
        if self.p == 0 or not self.training:
            return x
        kept = torch.empty_like(x, device="cpu").bernoulli_(1 - self.p, generator=self.source.generator)
        return x * kept.div_(1 - self.p).to(x.device)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"p={self.p}"


class StochasticDepth(nn.Module):
    """The addition that ends a residual block; in training its branch survives with a probability.

    Huang et al., Deep networks with stochastic depth, ECCV 2016, equations 2 and 5: one draw per block and
    mini-batch; a branch that does not survive is not computed; at test time it is multiplied by `survival`.
    """

    def __init__(self, survival: float, source: Source) -> None:
        super().__init__()
        self.survival = survival
        self.source = source

    def forward(self, shortcut: Tensor, branch: Callable[[], Tensor]) -> Tensor:
        """Shortcut [n, c, h, w] and a branch of that shape to their sum."""
        if self.survival == 1:
            return branch() + shortcut
        if not self.training:
            return branch() * self.survival + shortcut
        survives = torch.rand((), generator=self.source.generator) < self.survival
        return branch() + shortcut if survives else shortcut

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"survival={self.survival}"


def survival(block: int, blocks: int, last: float) -> float:
    """p_l of block l (from 1) of L: 1 - l / L * (1 - p_L), which decays linearly to `last` (section 3)."""
    return 1 - block / blocks * (1 - last)
