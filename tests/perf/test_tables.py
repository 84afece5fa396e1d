"""The table of every method costs little more than its distinct work."""

import pytest
import torch
from interleaved import ratio

from methods.base import AdjustableModel
from methods.registry import create, parse_settings

pytestmark = pytest.mark.perf
SHAPE = (3, 32, 32)
METHODS = ["sdpoint", "earlyexit", "multiscale", "adaptiveexit", "netselect", "dynres", "static"]


def ready(method: str) -> AdjustableModel:
    """A model of resnet20 with batch-norm statistics, in channels-last memory."""
    made = create(method, parse_settings(method, {}), "resnet20", 10, SHAPE, seed=0)
    made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    made.collect_statistics([torch.rand(64, *SHAPE)])
    return made


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
