"""The training loop adds little to forward, loss, backward and step; SDPoint trains as fast as plain."""

import numpy as np
import pytest
import torch
from interleaved import ratio
from torch.nn import functional as F

from benchmarks.data.batches import InMemory
from benchmarks.training.loop import TrainingSet, train
from benchmarks.training.recipes import recipe
from methods.registry import create, parse_settings

pytestmark = pytest.mark.perf
BATCH, STEPS, ROUNDS = 128, 8, 11


def _images(n: int) -> InMemory:
    pixels = torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8)
    return InMemory(pixels, torch.randint(0, 10, (n,)), torch.full((3,), 1 / 64), torch.full((3,), -2.0))


def _model(name: str):
    model = create(name, parse_settings(name, {}), "resnet14", 10, (3, 32, 32), seed=0)
    return model.to(memory_format=torch.channels_last).train()


def _loop(name: str, tmp_path):
    """An epoch of STEPS steps of the suite's training at every call, the record at its end included."""
    data = TrainingSet(_images(BATCH * STEPS), np.arange(BATCH * STEPS), flip=True, crop=4)
    chosen = recipe("smoke").with_epochs(20).model_copy(update={"batch": BATCH})
    steps = train(_model(name), data, chosen, 0, tmp_path / f"{name}.safetensors")

    def some() -> None:
        for _ in range(STEPS):
            next(steps)

    return some


def _bare():
    model = _model("plain").backbone
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.rand(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))

    def some() -> None:
        for _ in range(STEPS):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return some


def test_the_loop_reaches_nine_tenths_of_a_bare_loop_on_a_preloaded_tensor(tmp_path, record_property):
    speed = 1 / ratio(_loop("plain", tmp_path), _bare(), ROUNDS)
    record_property("of_bare_loop", speed)
    print(f"\ntraining loop: {speed:.3f} of the bare loop's images per second")
    assert speed >= 0.9


def test_sdpoint_trains_at_least_095_as_fast_as_the_plain_network(tmp_path, record_property):
    speed = 1 / ratio(_loop("sdpoint", tmp_path), _loop("plain", tmp_path), ROUNDS)
    record_property("of_plain", speed)
    print(f"\nSDPoint: {speed:.3f} of the plain network's images per second")
    assert speed >= 0.95
