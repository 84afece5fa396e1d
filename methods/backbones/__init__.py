"""Ordinary networks that methods make adjustable, built by name."""

from collections.abc import Callable, Mapping

from methods.backbones.base import Backbone, Head, Step
from methods.backbones.cifar import preresnet, resnet, wide_resnet
from methods.backbones.imagenet import torchvision_network
from methods.backbones.initialisation import initialise
from methods.backbones.specification import parse, wide

__all__ = ["Backbone", "Head", "Step", "build", "initialise"]

Builder = Callable[[str, int, Mapping[str, int]], Backbone]
"""(name, classes, settings) to a network."""


def build(spec: str, classes: int) -> Backbone:
    """The backbone `spec` names (`resnet14`, `resnet14:width=32`, `wrn-16-4`, `resnet50`), weights random.

    Raises MethodError for an unknown name or setting, and names the nearest known ones.
    """
    wanted = parse(spec)
    return BUILDERS[wanted.family](wanted.name, classes, wanted.settings)


def _depth(name: str) -> int:
    return int(name.rpartition("resnet")[2])


def _torchvision(name: str, classes: int, settings: Mapping[str, int]) -> Backbone:
    return torchvision_network(name, classes)


BUILDERS: dict[str, Builder] = {
    "cifar-resnet": lambda name, classes, settings: resnet(_depth(name), classes, **settings),
    "cifar-preresnet": lambda name, classes, settings: preresnet(_depth(name), classes, **settings),
    "cifar-wrn": lambda name, classes, settings: wide_resnet(*wide(name), classes, **settings),
    "resnet": _torchvision,
    "resnext": _torchvision,
    "wide-resnet": _torchvision,
}
