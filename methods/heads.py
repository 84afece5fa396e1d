"""Classifiers for early exits, from light to the papers'."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from methods.backbones import initialise
from methods.backbones.base import Backbone, Pooling
from methods.counting import count
from methods.errors import MethodError

LIGHT_SHARE = 0.05
"""A light head costs at most this share of the plain network."""
LIGHT_WIDTH = 256
"""Channels of a light head at most: on wide trunks its parameters would outnumber the network's."""


@dataclass(frozen=True)
class Tap:
    """A place in the trunk: maps of `channels` x `height` x `width` in a network of `plain_macs`.

    Where `tokens`, there are `height` of them, and `width` is 1.
    """

    channels: int
    height: int
    width: int
    plain_macs: int
    tokens: bool = False


@torch.no_grad()
def taps(backbone: Backbone, image_shape: tuple[int, int, int]) -> dict[int, Tap]:
    """What the trunk offers behind each block, 0 being the stem, found by executing it once."""
    training = backbone.training
    backbone.eval()
    x, total = torch.zeros(1, *image_shape), 0
    shapes: dict[int, torch.Size] = {}
    position = 0
    for step in backbone.work():
        position = int(step[1]) if step[0] == "body" else position
        counted = count(lambda step=step, x=x: backbone.step(step, x))  # type: ignore[misc]
        x, total = counted.result, total + counted.macs
        if step[0] != "head":
            shapes[position] = x.shape
    backbone.train(training)
    return {p: _tap(shape, total) for p, shape in shapes.items()}


def _tap(shape: torch.Size, plain_macs: int) -> Tap:
    if len(shape) == 3:
        _, length, channels = shape
        return Tap(channels, length, 1, plain_macs, tokens=True)
    _, channels, height, width = shape
    return Tap(channels, height, width, plain_macs)


class Head(nn.Sequential):
    """Layers from a trunk's maps to logits; pre-activation trunks are activated first."""

    def __init__(self, backbone: Backbone, channels: int, *layers: nn.Module) -> None:
        first = () if backbone.post_activation else (nn.BatchNorm2d(channels), nn.ReLU())
        super().__init__(*first, *layers)
        initialise(self)


def light_head(backbone: Backbone, tap: Tap) -> nn.Module:
    """Pooling, one convolution to twice the channels (at most LIGHT_WIDTH), pooling, linear.

    The maps are pooled to the largest grid up to 8x8 that keeps the head within LIGHT_SHARE of the
    plain network; if even one cell is too dear, the convolution is left out. On tokens it is linear.
    """
    if tap.tokens:
        return linear_head(backbone, tap)
    wide = min(2 * tap.channels, LIGHT_WIDTH)
    grids = [s for s in (8, 4, 2, 1) if s <= max(1, min(tap.height, tap.width))]
    limit = LIGHT_SHARE * tap.plain_macs
    for grid in grids:
        if grid * grid * 9 * tap.channels * wide + wide * backbone.classes <= limit:
            pooling = nn.AdaptiveAvgPool2d(grid)
            return Head(backbone, tap.channels, pooling, *_conv(tap.channels, wide), *_classifier(wide, backbone))
    return linear_head(backbone, tap)


def convolutional_head(backbone: Backbone, tap: Tap, layers: int) -> nn.Module:
    """`layers` convolutions at the trunk's width, pooling, linear (BranchyNet, section IV).

    The paper flattens the maps into its linear layer; pooling them first keeps the head independent
    of the image size. MethodError for tokens.
    """
    if tap.tokens:
        raise MethodError(_refused("branchynet", backbone))
    convolutions = [module for _ in range(layers) for module in _conv(tap.channels, tap.channels)]
    return Head(backbone, tap.channels, *convolutions, *_classifier(tap.channels, backbone))


def linear_head(backbone: Backbone, tap: Tap) -> nn.Module:
    """Pooling and a linear layer (Bolukbasi et al., ICML 2017).

    On tokens, the norm that the network's own head has comes first, if it has one.
    """
    if tap.tokens:
        return _token_head(backbone, tap)
    return Head(backbone, tap.channels, *_classifier(tap.channels, backbone))


def paper_head(backbone: Backbone, stages_done: int) -> nn.Module:
    """One basic block per remaining stage and a head, as in SDPoint's comparison with early exits.

    The blocks are fresh copies of each stage's first, with its width and stride. MethodError for tokens.
    """
    if backbone.tokens is not None:
        raise MethodError(_refused("sdpoint-paper", backbone))
    remaining = range(stages_done, len(backbone.stages))
    return nn.Sequential(*(backbone.entry_block(stage) for stage in remaining), backbone.new_head())


def _token_head(backbone: Backbone, tap: Tap) -> nn.Module:
    norms = (m for m in backbone.head.modules() if isinstance(m, nn.LayerNorm | nn.RMSNorm))
    own = [copy.deepcopy(norm) for norm in norms if norm.normalized_shape == (tap.channels,)]
    head = nn.Sequential(*own[:1], Pooling(backbone.tokens), nn.Linear(tap.channels, backbone.classes))
    initialise(head)
    return head


def _refused(heads: str, backbone: Backbone) -> str:
    return f"heads={heads} take maps, and the states of {backbone.title} are tokens: use heads=light"


def _conv(channels: int, wide: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()


def _classifier(channels: int, backbone: Backbone) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, backbone.classes)
