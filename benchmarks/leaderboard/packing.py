"""Arrays and texts inside a JSON file: xz-compressed, in base 85. Nothing is unpickled.

Entries come from strangers: what a packed array unfolds to is known from its shape before it is unfolded, and nothing
is packed behind it.
"""

import base64
import lzma
from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

MOST = 2**23
"""Numbers that one array may hold: 167 for each of ImageNet's test images."""
MEMORY = 2**27
"""Bytes that unfolding may take beside the numbers: the dictionary of the oldest entries has half of it."""
_FILTER: dict[str, Any] = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}
_TYPES = ("uint8", "uint16", "uint32")


class Packed(BaseModel):
    """An array of small whole numbers, in C order; texts are the bytes of lines."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dtype: Literal["uint8", "uint16", "uint32"]
    shape: tuple[int, ...] = Field(min_length=1, max_length=2)
    data: str


def pack(values: NDArray[Any]) -> Packed:
    """Whole numbers from 0 on, in the smallest type that holds them; one image a row compresses best."""
    array = np.asarray(values).astype(np.int64)
    if array.size and array.min() < 0:
        raise ValueError("only whole numbers from 0 on are packed")
    most = int(array.max()) if array.size else 0
    dtype = next(name for name in _TYPES if most <= np.iinfo(name).max)
    data = _compressed(array.astype(np.dtype(dtype).newbyteorder("<")).tobytes())
    return Packed(dtype=dtype, shape=array.shape, data=base64.b85encode(data).decode())


def _compressed(data: bytes) -> bytes:
    """The xz file of `data`. Its dictionary is no larger than that: the preset's takes 65 ms to set up, any array."""
    return lzma.compress(data, filters=[_FILTER | {"dict_size": max(4096, len(data))}])


def unpack(packed: Packed) -> NDArray[np.int64]:
    """What `pack` was given; ValueError, one line, for anything else."""
    dtype, shape = np.dtype(packed.dtype).newbyteorder("<"), list(packed.shape)
    if min(shape) < 0 or prod(shape) > MOST:
        raise ValueError(f"an array of shape {shape} is not one of answers: {MOST:,} numbers at most")
    data = _unfolded(packed.data, prod(shape) * dtype.itemsize, f"an array of shape {shape}")
    return np.frombuffer(data, dtype).reshape(packed.shape).astype(np.int64)


def _unfolded(text: str, size: int, what: str) -> bytes:
    """The `size` bytes that `text` holds; ValueError for more, for less, or for something behind them."""
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)
    try:
        data = decompressor.decompress(base64.b85decode(text), max_length=size + 1)
        more = b"" if decompressor.eof else decompressor.decompress(b"", max_length=1)
    except (ValueError, EOFError, lzma.LZMAError) as error:
        raise ValueError(f"{what} is damaged: {error}") from None
    if len(data) > size or more:
        raise ValueError(f"{what} holds too much")
    if len(data) < size or not decompressor.eof:
        raise ValueError(f"{what} holds too little")
    if decompressor.unused_data:
        raise ValueError(f"{what} has something behind it")
    return data


def pack_texts(texts: Sequence[str]) -> Packed:
    """Texts without line breaks, one a line."""
    return pack(np.frombuffer("\n".join(texts).encode(), np.uint8))


def unpack_texts(packed: Packed) -> tuple[str, ...]:
    """What `pack_texts` was given; ValueError for anything else."""
    if packed.dtype != "uint8" or len(packed.shape) != 1:
        raise ValueError("texts are packed as the bytes of lines")
    return tuple(unpack(packed).astype(np.uint8).tobytes().decode().split("\n"))
