"""What a method declares of its training: settings, stages, and what parts of it start from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from methods.counting import count

BATCH, DRAWN = 8, 8
"""Images of noise in a batch, and batches, on which a loss is counted."""
Loss = Callable[[Tensor, Tensor, torch.Generator], Tensor]
ImageShape = tuple[int, int, int]


class MethodSettings(BaseModel):
    """What is fixed when a method is trained; a subclass adds typed, validated fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def for_training(self) -> Self:
        """The same with what training does not depend on at its default: variants that agree share a training."""
        return self

    def files(self) -> tuple[str, ...]:
        """Python files of the user's that run when a model with these settings is built."""
        return ()


class Network(NamedTuple):
    """A plain network trained by the same run: its backbone, and the side of its inputs (None: as they are)."""

    backbone: str
    size: int | None = None


class Group(NamedTuple):
    """Parameters that learn at `rate` times the recipe's learning rate."""

    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0


@dataclass(frozen=True)
class Stage:
    """One part of a training: its share of the epochs, what it minimises, and what it changes.

    `loss(images [n, c, h, w], labels [n], generator)` gives a scalar; every random draw comes from
    the generator. `frozen` modules stay as they are: no gradients, and batch norms in evaluation mode.
    """

    name: str
    share: float
    loss: Loss
    groups: tuple[Group, ...]
    frozen: tuple[nn.Module, ...] = ()


def loss_macs(stages: Sequence[Stage], image_shape: ImageShape, classes: int) -> float:
    """Forward MACs of the losses of all stages for one image, counted on DRAWN batches of noise, by their shares.

    What trains changes running statistics: give the stages of a copy.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(BATCH) % classes

    def once(stage: Stage) -> int:
        images = torch.randn(BATCH, *image_shape, generator=generator)
        return count(lambda: stage.loss(images, labels, generator)).macs

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        macs = [sum(once(stage) for _ in range(DRAWN)) / (BATCH * DRAWN) for stage in stages]
    shares = [stage.share for stage in stages]
    return float(np.dot(macs, shares)) / sum(shares)
