"""Figures as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.core.errors import UsageError
from benchmarks.selection import units


@pytest.mark.parametrize(
    ("text", "value"),
    [("20M", 20e6), ("20e6", 20e6), ("1.5G", 1.5e9), ("20 MMACs", 20e6), ("1.5g", 1.5e9), ("300k", 3e5), (".5T", 5e11)],
)
def test_macs_are_read_with_the_prefixes_of_thousands(text: str, value: float) -> None:
    assert units.macs("--max-macs", text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"), [("5MB", 5e6), ("5MiB", 5 * 2**20), ("5kb", 5000), ("123", 123), ("2 GiB", 2**31), ("1e3B", 1e3)]
)
def test_sizes_tell_powers_of_ten_from_powers_of_two(text: str, value: float) -> None:
    assert units.size("--max-memory", text) == value


@pytest.mark.parametrize(("text", "value"), [("0.9", 0.9), ("90%", 0.9), ("1", 1), ("100%", 1)])
def test_accuracies_are_shares_or_percentages(text: str, value: float) -> None:
    assert units.share("--min-accuracy", text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "20MFLOPs", "5MB", "nan", "inf", "1e999", "1.2.3", "20 000"])
def test_what_is_no_number_of_macs_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="--max-macs takes MACs such as 20M, not"):
        units.macs("--max-macs", text)


@pytest.mark.parametrize("text", ["90", "1.01", "101%", "high"])
def test_an_accuracy_above_one_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--min-accuracy takes a share such as"):
        units.share("--min-accuracy", text)


@pytest.mark.parametrize("text", ["5M", "5 pounds"])
def test_a_size_says_that_it_is_bytes(text: str) -> None:
    with pytest.raises(UsageError, match="--max-memory takes a size such as 5MB or 5MiB"):
        units.size("--max-memory", text)


@given(st.floats(1e-3, 1e15))
def test_what_is_written_short_is_read_again_to_three_digits(value: float) -> None:
    text = units.short(value)
    assert len(text) <= 8
    assert units.macs("--max-macs", text) == pytest.approx(value, rel=5.1e-3)


def test_short_figures_change_their_prefix_where_they_round_up() -> None:
    assert [units.short(x) for x in (3, 999.4, 999.6, 12.34e6, 999.9e6, 1e9)] == ["3", "999", "1k", "12.3M", "1G", "1G"]
