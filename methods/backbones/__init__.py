"""Ordinary networks that methods make adjustable, built by name."""

from collections.abc import Callable

from methods.backbones.base import Backbone, Head, Step
from methods.backbones.cifar import preresnet, resnet, wide_resnet
from methods.backbones.cutting import cut
from methods.backbones.densenet import cifar_densenet, torchvision_densenet
from methods.backbones.imagenet import torchvision_network
from methods.backbones.initialisation import initialise
from methods.backbones.resnext import resnext
from methods.backbones.sequence import alexnet, googlenet, mobilenet_v2
from methods.backbones.specification import Specification, parse
from methods.errors import MethodError

__all__ = ["Backbone", "Head", "Step", "build", "cut", "initialise", "known"]

Builder = Callable[[Specification, int], Backbone]
"""(specification, classes) to a network."""


def build(spec: str, classes: int) -> Backbone:
    """The backbone `spec` names (`resnet14`, `resnet14:width=32`, `wrn-16-4`, `resnet50`), weights random.

    Raises MethodError for an unknown name or setting, and names the nearest known ones.
    """
    wanted = parse(spec)
    backbone = BUILDERS[wanted.family](wanted, classes)
    backbone.spec = wanted.text
    return backbone


def known(spec: str) -> bool:
    """Whether `build` knows a backbone by this name."""
    try:
        parse(spec)
    except MethodError:
        return False
    return True


def _torchvision(wanted: Specification, classes: int) -> Backbone:
    return torchvision_network(wanted.name, classes)


BUILDERS: dict[str, Builder] = {
    "cifar-resnet": lambda wanted, classes: resnet(wanted.depth, classes, **wanted.settings),
    "cifar-preresnet": lambda wanted, classes: preresnet(wanted.depth, classes, **wanted.settings),
    "cifar-wrn": lambda wanted, classes: wide_resnet(**wanted.numbers, classes=classes, **wanted.settings),
    "cifar-resnext": lambda wanted, classes: resnext(**wanted.numbers, classes=classes, **wanted.settings),
    "cifar-densenet": lambda wanted, classes: cifar_densenet(**wanted.numbers, classes=classes, **wanted.settings),
    "resnet": _torchvision,
    "resnext": _torchvision,
    "wide-resnet": _torchvision,
    "densenet": lambda wanted, classes: torchvision_densenet(wanted.name, classes),
    "mobilenet": lambda wanted, classes: mobilenet_v2(classes, **wanted.settings),
    "googlenet": lambda _, classes: googlenet(classes),
    "alexnet": lambda _, classes: alexnet(classes),
}
