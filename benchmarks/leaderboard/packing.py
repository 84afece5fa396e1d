"""Arrays and texts inside a JSON file: xz-compressed, in base 85. Nothing is unpickled, and no bomb goes off.

Entries come from strangers: what a packed array unfolds to is known from its shape before it is unfolded.
"""

import base64
import lzma
from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

MOST = 1 << 28
"""Bytes that one array may have."""
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
    dtype = np.dtype(packed.dtype).newbyteorder("<")
    size = prod(packed.shape) * dtype.itemsize
    if min(packed.shape) < 0 or size > MOST:
        raise ValueError(f"an array of shape {list(packed.shape)} is not one of answers")
    try:
        decompressor = lzma.LZMADecompressor(memlimit=MOST)
        data = decompressor.decompress(base64.b85decode(packed.data), max_length=size + 1)
    except (ValueError, lzma.LZMAError) as error:
        raise ValueError(f"an array is damaged: {error}") from None
    if len(data) != size:
        raise ValueError(
            f"an array of shape {list(packed.shape)} holds {'too much' if len(data) > size else 'too little'}"
        )
    return np.frombuffer(data, dtype).reshape(packed.shape).astype(np.int64)


def pack_texts(texts: Sequence[str]) -> Packed:
    """Texts without line breaks, one a line."""
    return pack(np.frombuffer("\n".join(texts).encode(), np.uint8))


def unpack_texts(packed: Packed) -> tuple[str, ...]:
    """What `pack_texts` was given; ValueError for anything else."""
    return tuple(unpack(packed).astype(np.uint8).tobytes().decode().split("\n"))
