"""Policies for many trade-offs are fitted in seconds."""

from time import perf_counter
from typing import Any

import numpy as np
import pytest

from methods.cost import Costs
from methods.learning import fit_policies, learned_points
from methods.table import PathTable

pytestmark = pytest.mark.perf
ANSWERS, SAMPLES, TRADEOFFS = 10, 10_000, 20


def exits() -> PathTable:
    """Exits of rising accuracy on images of varying difficulty, and confidences that tell about them."""
    rng = np.random.default_rng(0)
    ease = rng.standard_normal(SAMPLES) + np.linspace(0, 1.5, ANSWERS)[:, None]
    chance = 1 / (1 + np.exp(-1.5 * ease))
    right = rng.random(ease.shape) < chance
    max_prob = (1 / (1 + np.exp(-1.5 * ease - 0.5 * rng.standard_normal(ease.shape)))).astype(np.float32)
    margin = np.clip(2 * max_prob - 1 + 0.1 * rng.random(ease.shape), 0, 1).astype(np.float32)
    entropy = -max_prob * np.log(max_prob) - (1 - max_prob) * np.log((1 - max_prob) / 9)
    uses = np.hstack([np.tril(np.ones((ANSWERS, ANSWERS), dtype=bool)), np.eye(ANSWERS, dtype=bool)])
    macs = np.repeat([1_000_000, 10_000], ANSWERS)
    return PathTable(
        tuple(f"exit{k + 1}" for k in range(ANSWERS)),
        Costs(tuple(map(str, range(2 * ANSWERS))), macs, uses),
        prediction=np.where(right, 0, 1), label_rank=np.where(right, 0, 1),
        max_prob=max_prob, margin=margin, entropy=entropy, loss=-np.log(chance).astype(np.float32),
        labels=np.zeros(SAMPLES, dtype=np.int64), sample_id=np.arange(SAMPLES),
    )  # fmt: skip


@pytest.mark.parametrize("loss", ["error", "cross_entropy"])
@pytest.mark.parametrize(("jumps", "limit_s"), [(False, 5), (True, 10)])
def test_twenty_tradeoffs_on_ten_answers_are_fitted_in_seconds(
    jumps: bool, limit_s: float, loss: Any, record_property: Any
) -> None:
    table = exits()
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
    table = exits()
    begun = perf_counter()
    points = learned_points(table, range(ANSWERS), TRADEOFFS, jumps=jumps)
    seconds = perf_counter() - begun
    record_property("seconds", seconds)
    print(f"\njumps={jumps}: {len(points)} points in {seconds:.2f} s")
    assert len(points) >= 15
    assert seconds < limit_s
