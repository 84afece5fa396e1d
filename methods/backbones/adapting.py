"""What networks of other people's need before they can be run one step at a time."""

from typing import cast

from torch import Tensor, nn

from methods.backbones.regularisation import Dropout, Source
from methods.errors import MethodError

TOO_SMALL = ("size is too small", "Kernel size can't be greater", "negative dimension")
"""What torch says of a window that is larger than a map; the last of 2.6 where shapes alone are computed."""


def adapt(network: nn.Module, source: Source) -> None:
    """Stop layers from working in place, and make dropout draw from `source`; nothing else of it changes.

    Layers of any kind: activations, dropout, and a network's own that say `inplace`.
    """
    for module in list(network.modules()):
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p, source))


def run(layer: nn.Module, x: Tensor) -> Tensor:
    """`layer(x)`; MethodError where maps [n, c, h, w] have become smaller than a window of the layer."""
    try:
        return cast(Tensor, layer(x))
    except RuntimeError as error:
        if not any(words in str(error) for words in TOO_SMALL):
            raise
        raise MethodError(
            f"the image is too small for this network: a {x.shape[-2]}x{x.shape[-1]} map is left in the middle of it; "
            "use larger images"
        ) from None
