"""Counting a network costs little more than running it."""

import pytest
import torch
from interleaved import ratio

from methods.backbones import build
from methods.counting import count

pytestmark = pytest.mark.perf


def test_counting_resnet50_takes_at_most_a_fifth_more_than_a_forward(record_property):
    network, image = build("resnet50", 1000).eval(), torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        over = ratio(lambda: count(lambda: network(image)), lambda: network(image), rounds=15)
    record_property("over_forward", over)
    print(f"\ncounting over a forward: {over:.3f}")
    assert over <= 1.2
