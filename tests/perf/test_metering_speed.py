"""Measuring what each image spends takes at most as long again as the sweep itself."""

import sys
from pathlib import Path

import pytest
import torch
from interleaved import ratio

sys.path.append(str(Path(__file__).parent.parent / "methods"))
from inventions import Gated

from methods.backbones import build
from methods.cost import Metered

pytestmark = pytest.mark.perf


@pytest.mark.parametrize(("backbone", "batch"), [("resnet20", 256), ("resnet14:width=4", 64)])
def test_a_metered_sweep_takes_at_most_twice_an_unmetered_one(backbone, batch, record_property):
    model = Gated(build(backbone, 10), Gated.Settings(), (3, 32, 32)).eval().to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    costs = model.costs()
    with torch.inference_mode():
        slower = ratio(lambda: model.trace(images, run=Metered(model.run_node, costs)), lambda: model.trace(images))
    record_property("metered_over_unmetered", slower)
    print(f"\n{backbone}, batch {batch}: {slower:.2f} times the unmetered sweep")
    assert slower <= 2
