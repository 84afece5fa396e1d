"""Networks of the user's: made by a function in a Python file, with weights and preprocessing of their own."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from methods.errors import MethodError
from methods.userfiles import imported


class Foreign(nn.Module):
    """A network of the user's, made by the function FUNCTION of FILE.py without arguments.

    It is given images float32 [n, 3, h, w] in 0..1 and does its own preprocessing; it comes with its weights,
    and its batch norms are left alone.
    """

    keeps_statistics = True

    def __init__(self, location: str) -> None:
        super().__init__()
        self.network = _made(location).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.register_state_dict_post_hook(_as_tensors)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_own_again)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> "Foreign":
        """It stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Images in 0..1 [n, 3, h, w] to logits [n, classes]."""
        logits: Tensor = self.network(images)
        return logits


def _as_tensors(module: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    """In a state that is saved: what is no plain tensor becomes its content in bytes, as files hold plain tensors."""
    for name, value in state.items():
        if name.startswith(prefix) and not _is_plain(value):
            state[name] = torch.frombuffer(bytearray(b"".join(_content(name, value))), dtype=torch.uint8)


def _own_again(module: "Foreign", state: dict[str, Any], prefix: str, *_: object) -> None:
    """In a state that is loaded: bytes stand for what the file of the user's made, and have to be its content."""
    for name, own in module.network.state_dict(prefix=f"{prefix}network.").items():
        if not _is_plain(own) and name in state:
            if bytes(state[name].numpy()) != b"".join(_content(name, own)):
                raise MethodError(f"the weights do not fit this model: '{name}' is not what the network's file makes")
            state[name] = own


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def _content(name: str, value: Any) -> Iterator[bytes]:
    """The content of what a module keeps in its state, such as packed weights of quantised layers; MethodError for
    what has none that is known."""
    match value:
        case Tensor() if value.is_quantized:
            per_channel = value.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric)
            scales = (value.q_per_channel_scales(), value.q_per_channel_zero_points()) if per_channel else ()
            yield from _content(name, [value.int_repr(), *scales])
            yield repr((value.qscheme(), *(() if per_channel else (value.q_scale(), value.q_zero_point())))).encode()
        case Tensor() if value.layout == torch.strided:
            yield repr((value.dtype, value.shape)).encode()
            yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        case tuple() | list():
            for part in value:
                yield from _content(name, part)
        case None | bool() | int() | float() | str() | torch.dtype():
            yield repr(value).encode()
        case _:
            kind = f"a tensor of layout {value.layout}" if isinstance(value, Tensor) else type(value).__name__
            raise MethodError(
                f"'{name}' of a network of yours is {kind}, which cannot be stored: leave it out of its state"
            )


def parted(location: str) -> tuple[Path, str]:
    """The file and the name of the function in `FILE.py:FUNCTION`."""
    file, _, name = location.rpartition(":")
    return Path(file).expanduser(), name


def _made(location: str) -> nn.Module:
    """A copy of what the function at `FILE.py:FUNCTION` returns; MethodError where that is no module.

    A function may return the same network at every call, and models may not share one.
    """
    path, name = parted(location)
    if not path.is_file():
        raise MethodError(f"there is no file {path} to take a network from; write FILE.py:FUNCTION")
    try:
        make: Callable[[], nn.Module] | None = getattr(imported(path, path.read_bytes()), name, None)
        network = copy.deepcopy(make()) if callable(make) else None
    except Exception as error:
        reason = " ".join(str(error).split())
        raise MethodError(f"{location} cannot be made: {type(error).__name__}: {reason}") from error
    if not isinstance(network, nn.Module):
        raise MethodError(f"{path} has no function '{name}' that returns a torch.nn.Module")
    return network
