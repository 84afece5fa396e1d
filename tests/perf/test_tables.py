"""The table of every method costs little more than its distinct work."""

import pytest
import torch
from hot_paths import SHAPE, ready
from interleaved import ratio

pytestmark = pytest.mark.perf
METHODS = ["sdpoint", "earlyexit", "multiscale", "adaptiveexit", "netselect", "dynres", "static"]


@pytest.mark.parametrize("method", METHODS)
def test_a_table_takes_at_most_1_15_times_its_distinct_work_at_batch_256(method, record_property):
    plain, model = ready("plain"), ready(method)
    images = torch.rand(256, *SHAPE).to(memory_format=torch.channels_last)
    distinct = model.costs().macs.sum() / plain.costs().macs.sum()
    with torch.inference_mode():
        passes = ratio(lambda: model.trace(images), lambda: plain.trace(images), rounds=7)
    record_property("over_bound", passes / distinct)
    print(f"\n{method}: {passes:.2f} plain passes, bound {distinct:.2f}, over bound {passes / distinct:.3f}")
    assert passes / distinct <= 1.15
