"""Sweeping thresholds costs milliseconds."""

import numpy as np
import pytest

from methods.cost import Costs
from methods.table import PathTable
from methods.thresholds import sweep

pytestmark = pytest.mark.perf


def test_a_thousand_thresholds_on_ten_thousand_samples_take_under_50_ms(benchmark):
    exits, n = 4, 10_000
    rng = np.random.default_rng(0)
    work = 2 * exits
    uses = np.zeros((exits, work), dtype=bool)
    for k in range(exits):
        uses[k, : k + 1] = True
        uses[k, exits + k] = True
    signal = rng.random((exits, n), dtype=np.float32)
    table = PathTable(
        tuple(f"exit{k + 1}" for k in range(exits)),
        Costs(tuple(map(str, range(work))), np.full(work, 1000), uses),
        prediction=rng.integers(0, 10, (exits, n)), label_rank=np.zeros((exits, n), dtype=np.int64),
        max_prob=signal, margin=signal, entropy=signal, loss=signal,
        labels=rng.integers(0, 10, n), sample_id=np.arange(n),
    )  # fmt: skip
    thresholds = np.linspace(0, 1, 1000, dtype=np.float32)
    benchmark(sweep, table, "entropy", range(exits), thresholds)
    assert benchmark.stats.stats.median < 0.05
