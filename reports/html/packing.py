"""A table as compact JSON, column by column: words once, numbers as whole numbers of a power of ten.

A column is one of `{"c": value}` (the same in every row), `{"w": [words], "v": [places among them]}`, or
`{"e": exponent, "v": [whole numbers]}`, each worth v * 10^exponent; a missing value is null. The page reads them.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

DIGITS = 4
"""Significant digits that the smallest number of a column keeps, where its column has no exponent of its own."""
_EXPONENTS = (-9, 6)


def packed(table: pd.DataFrame, exponents: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The table as `{"rows": n, "columns": {name: column}}`; `exponents` are the units of columns that have one."""
    given = exponents or {}
    return {
        "rows": len(table),
        "columns": {str(name): _column(table[name], given.get(str(name))) for name in table if len(table)},
    }


def script(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _column(values: pd.Series, exponent: int | None) -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return _numbers(values.to_numpy(dtype=float, na_value=np.nan), exponent)
    codes, words = pd.factorize(values)
    texts = [str(word) for word in words]
    if len(texts) == 1 and (codes == 0).all():
        return {"c": texts[0]}
    return {"w": texts, "v": [None if code < 0 else code for code in codes.tolist()]}


def _numbers(values: np.ndarray, exponent: int | None) -> dict[str, Any]:
    known = np.isfinite(values)
    if not known.any():
        return {"c": None}
    if known.all() and (values == values[0]).all():
        return {"c": int(values[0]) if values[0].is_integer() else float(values[0])}
    if exponent is None:
        exponent = _exponent(values[known])
    whole = np.rint(np.where(known, values, 0) / 10.0**exponent).astype(np.int64).tolist()
    pairs = zip(whole, known.tolist(), strict=True)
    return {"e": exponent, "v": [value if is_known else None for value, is_known in pairs]}


def _exponent(values: np.ndarray) -> int:
    """The power of ten in whole multiples of which the smallest value keeps DIGITS digits; 0 for whole numbers so
    small that nothing is saved."""
    sizes = np.abs(values[values != 0])
    if not sizes.size or (np.all(values == np.rint(values)) and sizes.max() < 10**DIGITS):
        return 0
    return int(np.clip(math.floor(math.log10(sizes.min())) + 1 - DIGITS, *_EXPONENTS))
