"""An entry's text, read without trusting it: strict JSON of a bounded size, whose texts are what they look like.

Entries come from strangers. What a file takes in memory is known before it is unfolded, two readers of one file find
the same in it, and nothing is hidden in a name.
"""

import json
import math
import unicodedata
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.core import received

FILE = 2**23
"""Bytes of an entry's file: 35 times the largest entry there is."""
TEXT = 2000
"""Characters of one text: nine times the longest that an entry has."""
DEPTH = 16
"""Objects and lists inside one another: entries have ten."""
NUMBERS = 2**26
"""Numbers that all arrays of an entry hold together."""
BLANKS = 4
"""How many times as long as without blanks the file may be."""
WHOLE = 2**53
"""Up to which whole numbers are exact in every arithmetic here, and in everybody's JSON."""
_UNSEEN = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
)  # fmt: skip
"""Letters, marks and signs that show nothing, beside all that Unicode calls control, format, private or unassigned."""
_ARRAY = {"dtype", "shape", "data"}
_BYTES = {"uint8": 1, "uint16": 2, "uint32": 4}


class ReadingError(ValueError):
    """What of a text is not as an entry's has to be, in one line."""


def text_of(path: Path) -> str:
    """The text of an entry's file; ReadingError where it is no file of at most FILE bytes of UTF-8, OSError where it
    cannot be read."""
    try:
        return received.text(path, FILE)
    except UnicodeDecodeError:
        raise ReadingError("it is no UTF-8") from None
    except ValueError as error:
        raise ReadingError(str(error)) from None


def check(text: str) -> None:
    """ReadingError where an entry's text is no JSON that everybody reads alike, hides something, or is larger than
    entries are, its arrays unfolded."""
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        _check(found, "", 1)
    except RecursionError:
        raise ReadingError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ReadingError(f"it is no JSON: {error.msg} in line {error.lineno}") from None
    except ValueError as error:  # a number of too many digits among them
        raise ReadingError(str(error)) from None
    if not isinstance(found, dict):
        raise ReadingError("it is no JSON object")
    if len(text) > BLANKS * len(json.dumps(found, separators=(",", ":"), ensure_ascii=False)):
        raise ReadingError("most of it is blanks")
    if (total := sum(prod(array["shape"]) for array in _arrays(found))) > NUMBERS:
        raise ReadingError(f"its arrays hold {total:,} numbers, {NUMBERS:,} at most")


def problems(text: str) -> Sequence[str]:
    """Why a text would not be read as an entry; empty where it would."""
    try:
        check(text)
    except ReadingError as error:
        return [str(error)]
    return []


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in [name for name, _ in pairs[:place]])
        raise ReadingError(f"{twice!a} stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise ReadingError(f"{name} is no number of JSON")


def _check(value: Any, where: str, depth: int) -> None:
    """ReadingError for whatever no entry has: depth, texts, numbers, sizes of arrays."""
    if depth > DEPTH:
        raise ReadingError("it is nested too deeply")
    if isinstance(value, dict):
        packed = value.keys() == _ARRAY
        if packed:
            _check_array(value, where)
        for key, inner in value.items():
            _check_text(key, where)
            if not (packed and key == "data"):
                _check(inner, f"{where}.{key}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _check(inner, f"{where}[{place}]", depth + 1)
    elif isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, int | float) and not (math.isfinite(value) and (value % 1 or abs(value) <= WHOLE)):
        raise ReadingError(f"{where}: a number is beyond all that are exact")


def _check_text(text: str, where: str) -> None:
    if len(text) > TEXT:
        raise ReadingError(f"{where}: a text of {len(text):,} characters, {TEXT:,} at most")
    hidden = next((sign for sign in text if not sign.isprintable() or _unseen(sign)), None)
    if hidden is not None:
        raise ReadingError(f"{where}: a text holds U+{ord(hidden):04X}, which is not seen or steers what is")
    if not unicodedata.is_normalized("NFC", text):
        raise ReadingError(f"{where}: a text is not in Unicode's normal form C")


def _unseen(sign: str) -> bool:
    return sign > "\u0300" and any(low <= ord(sign) <= high for low, high in _UNSEEN)


def _check_array(packed: dict[str, Any], where: str) -> None:
    """ReadingError where a packed array is none, or its text is longer than its numbers need."""
    shape, data = packed["shape"], packed["data"]
    sizes = isinstance(shape, list) and 0 < len(shape) < 3 and all(type(n) is int and 0 <= n <= WHOLE for n in shape)
    if not (sizes and isinstance(data, str) and data.isascii() and packed["dtype"] in _BYTES):
        raise ReadingError(f"{where}: no packed array")
    if len(data) > 2 * prod(shape) * _BYTES[packed["dtype"]] + 1024:
        raise ReadingError(f"{where}: an array's text is longer than its numbers need")


def _arrays(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and value.keys() == _ARRAY:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _arrays(inner)
