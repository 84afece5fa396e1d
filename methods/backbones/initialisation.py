"""The values a network starts from."""

from itertools import chain

from torch import nn

from methods.errors import MethodError


def initialise(module: nn.Module) -> None:
    """Draw every parameter of `module` anew and reset its buffers, in place.

    Convolutions: normal with variance 2 / fan-out (He et al., ICCV 2015) as in torchvision's ResNets; batch
    norms: the identity, without statistics; linear layers, layer norms and others that can be reset: torch's
    default. MethodError for a layer that cannot and has values of its own, rather than leave them as they are.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
        elif _has_own_values(layer):
            raise MethodError(
                f"no initial values are known for {type(layer).__name__}: give it a method reset_parameters()"
            )


def _has_own_values(layer: nn.Module) -> bool:
    own = chain(layer.parameters(recurse=False), layer.buffers(recurse=False))
    return next(own, None) is not None
