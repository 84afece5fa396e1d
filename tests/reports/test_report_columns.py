"""Packed tables keep what they hold, and their script text cannot end a script."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unpacked import rows

from reports.html.packing import DIGITS, packed, script


def test_words_travel_once_and_a_constant_column_is_one_value() -> None:
    table = packed(pd.DataFrame({"a": ["x", "y", "x"], "b": ["same"] * 3, "c": [2.5] * 3, "d": [None, "z", None]}))
    assert table["columns"]["a"] == {"w": ["x", "y"], "v": [0, 1, 0]}
    assert (table["columns"]["b"], table["columns"]["c"]) == ({"c": "same"}, {"c": 2.5})
    assert [row["d"] for row in rows(table)] == [None, "z", None]


def test_numbers_are_whole_numbers_of_a_power_of_ten() -> None:
    table = packed(pd.DataFrame({"share": [0.12344, np.nan], "macs": [26_657_408.0, 400_000.0]}), {"share": -4})
    assert table["columns"]["share"] == {"e": -4, "v": [1234, None]}
    assert table["columns"]["macs"] == {"e": 2, "v": [266_574, 4_000]}


@given(st.lists(st.one_of(st.none(), st.floats(1e-3, 1e9), st.just(0.0)), min_size=1, max_size=30))
def test_every_number_keeps_its_first_digits(values: list[float | None]) -> None:
    found = rows(packed(pd.DataFrame({"x": pd.Series(values, dtype=float)})))
    for given_value, read in zip(values, found, strict=True):
        if given_value is None:
            assert read["x"] is None
        else:
            assert read["x"] == pytest.approx(given_value, rel=10.0 ** (1 - DIGITS))


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_no_text_ends_the_script_it_stands_in(texts: list[str]) -> None:
    written = script([*texts, "</script><!--"])
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written)[:-1] == texts


def test_a_table_without_rows_has_no_columns() -> None:
    assert packed(pd.DataFrame({"a": pd.Series(dtype=float)})) == {"rows": 0, "columns": {}}
