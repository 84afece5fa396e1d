"""Files that others may have made: what they take in memory is known, and bounded, before they are unpacked.

A file is opened once: what is hashed is what is parsed, whoever renames another file over it meanwhile.

Compressed arrays unfold to a thousand times their size, and the header of an array or a weights file may promise any
number of bytes. So sizes are read first, from the archive's directory and from the headers, and have to agree.
"""

import hashlib
import json
from io import BytesIO
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


class DigestError(ValueError):
    """A file that is not the one that was recorded: its hash differs."""


def content(path: Path, sha256: str | None = None) -> bytes:
    """The bytes of a file, read once; DigestError where they do not have the SHA-256 given, OSError without a file."""
    if path.exists() and not path.is_file():  # a pipe or a device never ends
        raise OSError(f"{path.name} is no file")
    found = path.read_bytes()
    if sha256 is not None and hashlib.sha256(found).hexdigest() != sha256:
        raise DigestError("its hash is not the one that was recorded")
    return found


def arrays(path: Path, sha256: str | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name; never unpickles.

    SizeError where they would take more than SMALL bytes and UNFOLDING times their file; DigestError where the file
    is not the one with this SHA-256; other kinds of ValueError where it is damaged, OSError where it is missing.
    """
    found = content(path, sha256)
    try:
        with ZipFile(BytesIO(found)) as archive:
            _check_sizes(archive.infolist(), max(SMALL, UNFOLDING * len(found)))
            for member in archive.infolist():
                _check_array(archive, member)
        with np.load(BytesIO(found), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (SizeError, MemoryError):
        raise
    except Exception as error:  # what damage makes of zip, zlib, tokenize and numpy has a dozen types
        raise ValueError(f"it is damaged: {error}") from None


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


def metadata(weights: bytes) -> dict[str, str]:
    """The texts of a safetensors file; SizeError where its header is longer than HEADER, ValueError where there is
    none."""
    length = int.from_bytes(weights[:8], "little")
    if HEADER < length <= len(weights):
        raise SizeError(f"its header takes {length:,} bytes, {HEADER:,} at most")
    try:
        found = json.loads(weights[8 : 8 + length])
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    texts = found.get("__metadata__", {}) if isinstance(found, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("its header is none")
    return texts
