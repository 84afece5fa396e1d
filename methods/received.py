"""Files that others may have made: what they take in memory is known, and bounded, before they are unpacked.

Compressed arrays unfold to a thousand times their size, and the header of an array or a weights file may promise any
number of bytes. So sizes are read first, from the archive's directory and from the headers, and have to agree.
"""

import zlib
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SMALL = 2**28
"""Bytes that the arrays of a file may always take."""
UNFOLDING = 16
"""How many times the size of its file larger arrays may take: those of a run on digits take twice."""
HEADER = 2**23
"""Bytes of the header of a weights file; a hundred bytes name a tensor."""


class SizeError(ValueError):
    """A file that would take more memory than it may; the message says how much, in a part of a sentence."""


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name; never unpickles.

    SizeError where they would take more than SMALL bytes and UNFOLDING times their file; ValueError, OSError or
    EOFError where the file is missing or damaged.
    """
    try:
        with ZipFile(path) as archive:
            _check_sizes(archive.infolist(), max(SMALL, UNFOLDING * path.stat().st_size))
            for member in archive.infolist():
                _check_array(archive, member)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from None


def _check_sizes(members: list[ZipInfo], most: int) -> None:
    if (total := sum(member.file_size for member in members)) > most:
        raise SizeError(f"its arrays take {total:,} bytes, {most:,} at most")
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or member.flag_bits & 1 for member in members):
        raise BadZipFile("an array is packed in another way than numpy does")


def _check_array(archive: ZipFile, member: ZipInfo) -> None:
    """ValueError where the header of an array promises more or less than there is: memory is reserved by it."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"an array has the format {version}")
        shape, _, dtype = _HEADERS[version](file)
        begins = file.tell()
    if dtype.hasobject:
        raise ValueError("an array holds objects, which would have to be unpickled")
    if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != member.file_size - begins:
        raise ValueError("an array's header does not fit its size")


_HEADERS: dict[tuple[int, int], Any] = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_weights(path: Path) -> None:
    """SizeError where the header of a safetensors file is longer than HEADER; other damage is left to its reader."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if HEADER < length <= path.stat().st_size:
        raise SizeError(f"its header takes {length:,} bytes, {HEADER:,} at most")
