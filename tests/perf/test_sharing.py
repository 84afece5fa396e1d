"""The table of all SDPoint instances costs what its distinct work costs."""

import pytest
import torch
from hot_paths import SHAPE, ready
from interleaved import ratio

pytestmark = pytest.mark.perf


@pytest.fixture(scope="module")
def model():
    return ready("sdpoint")


@pytest.mark.parametrize(("batch", "limit"), [(64, 1.35), (256, 1.15)])
def test_the_table_of_all_instances_takes_little_more_than_its_distinct_work(model, batch, limit, record_property):
    images = torch.rand(batch, *SHAPE).to(memory_format=torch.channels_last)
    costs = model.costs()
    distinct = costs.macs.sum() / costs.outputs()[-1]
    with torch.inference_mode():
        passes = ratio(lambda: model.trace(images), lambda: model.trace(images, ["full"]))
    record_property("over_bound", passes / distinct)
    print(f"\nbatch {batch}: {passes:.2f} plain passes, bound {distinct:.2f}, over bound {passes / distinct:.3f}")
    assert passes / distinct <= limit


def test_the_table_is_at_least_2_5_times_cheaper_than_one_instance_after_the_other(model, record_property):
    images = torch.rand(256, *SHAPE).to(memory_format=torch.channels_last)

    def one_by_one():
        return {name: model.trace(images, [name])[name] for name in model.graph.names}

    with torch.inference_mode():
        gain = ratio(one_by_one, lambda: model.trace(images), rounds=9)
        shared, alone = model.trace(images), one_by_one()
    record_property("gain", gain)
    print(f"\none by one / shared: {gain:.2f}")
    assert all(torch.equal(shared[name], alone[name]) for name in shared)
    assert gain >= 2.5
