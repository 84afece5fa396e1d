"""The suite's own hot paths, one by one. Two commits are compared on them by `tox -e perf-gate`."""

import pytest
from hot_paths import HOT_PATHS

pytestmark = pytest.mark.perf
LIMITS_S = {"thresholds: 1,000 on 10,000 samples": 0.05}
"""What is promised whatever the machine does; the others are there to be looked at."""
OTHERS_S = 5.0


@pytest.mark.parametrize("name", HOT_PATHS)
def test_a_hot_path_takes_no_longer_than_it_may(name, benchmark):
    work = HOT_PATHS[name]()
    benchmark(work)
    assert benchmark.stats.stats.median < LIMITS_S.get(name, OTHERS_S)


def test_what_has_a_limit_is_a_hot_path():
    assert set(LIMITS_S) <= set(HOT_PATHS)
