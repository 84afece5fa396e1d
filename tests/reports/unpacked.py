"""Reads a page as its script does."""

import json
import re
from typing import Any


def page_data(html: str) -> dict[str, Any]:
    """What the page's script is given, still packed."""
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a packed table."""
    columns = {name: _values(column, table["rows"]) for name, column in table["columns"].items()}
    return [{name: values[row] for name, values in columns.items()} for row in range(table["rows"])]


def _values(column: dict[str, Any], count: int) -> list[Any]:
    if "c" in column:
        return [column["c"]] * count
    if "w" in column:
        return [None if code is None else column["w"][code] for code in column["v"]]
    return [None if whole is None else whole * 10.0 ** column["e"] for whole in column["v"]]
