"""Policies for many trade-offs are fitted in seconds."""

from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hot_paths import exits

from methods.learning import fit_policies, learned_points

pytestmark = pytest.mark.perf
ANSWERS, SAMPLES, TRADEOFFS = 10, 10_000, 20


@pytest.mark.parametrize("loss", ["error", "cross_entropy"])
@pytest.mark.parametrize(("jumps", "limit_s"), [(False, 5), (True, 10)])
def test_twenty_tradeoffs_on_ten_answers_are_fitted_in_seconds(
    jumps: bool, limit_s: float, loss: Any, record_property: Any
) -> None:
    table = exits(ANSWERS, SAMPLES)
    fit_policies(table, range(ANSWERS), 1.0)  # imports scikit-learn
    begun = perf_counter()
    for tradeoff in np.geomspace(0.1, 1000, TRADEOFFS):
        fit_policies(table, range(ANSWERS), float(tradeoff), jumps=jumps, loss=loss)
    seconds = perf_counter() - begun
    record_property("seconds", seconds)
    print(f"\njumps={jumps}, loss={loss}: {TRADEOFFS} trade-offs in {seconds:.2f} s")
    assert seconds < limit_s


@pytest.mark.parametrize(("jumps", "limit_s"), [(False, 5), (True, 10)])
def test_twenty_points_spread_over_cost_are_found_in_the_same_time(
    jumps: bool, limit_s: float, record_property: Any
) -> None:
    table = exits(ANSWERS, SAMPLES)
    begun = perf_counter()
    points = learned_points(table, range(ANSWERS), TRADEOFFS, jumps=jumps)
    seconds = perf_counter() - begun
    record_property("seconds", seconds)
    print(f"\njumps={jumps}: {len(points)} points in {seconds:.2f} s")
    assert len(points) >= 15
    assert seconds < limit_s
