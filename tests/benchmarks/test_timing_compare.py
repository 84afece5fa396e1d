"""Two measurements of the same: the interval of the difference of log ratios."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from benchmarks.timing.compare import log_ratios, welch
from benchmarks.timing.conditions import Condition
from benchmarks.timing.history import KEY


def test_within_a_session_the_interval_is_that_of_welchs_test() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(0, 1, 9), rng.normal(0.5, 3, 7)
    expected = ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert welch(first, second, sessions=0)[1:] == pytest.approx((expected.low, expected.high))
    assert welch(first[:1].repeat(3), first[:1].repeat(3), sessions=0) == (0, 0, 0)


def test_where_processes_agree_the_interval_is_the_normal_one_of_two_sessions() -> None:
    shift, low, high = welch(np.zeros(9), np.full(9, 0.01), sessions=0.01)
    assert (shift, low, high) == pytest.approx(
        (0.01, 0.01 - 1.96 * 0.01 * 2**0.5, 0.01 + 1.96 * 0.01 * 2**0.5), abs=1e-5
    )


@pytest.mark.parametrize("sessions", [0.0, 0.5, 5.0])
def test_intervals_of_measurements_that_differ_in_their_session_only_contain_zero_in_95_of_100(sessions: float) -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(2000):
        first, second = rng.normal(0, 1, (2, 9)) + rng.normal(0, sessions, (2, 1))
        _, low, high = welch(first, second, sessions)
        inside.append(low <= 0 <= high)
    assert 0.935 <= np.mean(inside) <= 0.97


def samples(name: str, process: int, rounds: list[str], session: str = "s") -> list[dict[str, object]]:
    key = dict.fromkeys(KEY, "x") | {"method": name, "variant": "default"}
    condition = Condition(1, 1, "cpu").columns()
    condition["session"] = session
    return [{**key, **condition, "process": process, "round": k, "calls_ms": calls} for k, calls in enumerate(rounds)]


def test_a_ratio_is_taken_within_rounds_and_its_median_within_a_process() -> None:
    table = pd.DataFrame(
        [
            *samples("plain", 0, ["1 1", "2 2", "1 3"]), *samples("m", 0, ["1 3", "2 2", "8 8"]),
            *samples("plain", 1, ["4"]), *samples("m", 1, ["2"]),
        ]
    )  # fmt: skip
    found = {key[0]: ratios for key, ratios in log_ratios(table).items()}
    assert np.exp(found["m"]) == pytest.approx([2, 0.5])
    assert found["plain"] == pytest.approx([0, 0])


def test_what_was_timed_another_day_is_not_divided_by_todays_plain() -> None:
    rows = [*samples("plain", 0, ["2"], "mon"), *samples("m", 0, ["1"], "mon"), *samples("plain", 0, ["4"], "tue")]
    found = {key[0]: ratios for key, ratios in log_ratios(pd.DataFrame(rows)).items()}
    assert np.exp(found["m"]) == pytest.approx([0.5])
