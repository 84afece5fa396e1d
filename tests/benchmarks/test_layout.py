"""Channels-last training avoids the convolutions whose gradients overrun oneDNN's workspace and crash the process."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.training.layout import channels_last, overruns

HOUSE = Path(__file__).parents[2]
CPU = torch.device("cpu")
CRASHED = """
nn.Conv2d(2, 16, 1, stride=2)
nn.Conv2d(4, 1, 1, stride=2, bias=False)
nn.Conv2d(7, 64, 1, stride=2)
nn.Conv2d(8, 16, 1, stride=2)
nn.Conv2d(4, 16, 1, stride=3)
nn.Conv2d(4, 16, 1, stride=(2, 1))
nn.Conv2d(4, 16, 1, stride=(1, 2))
nn.Conv2d(4, 16, 1, stride=2, dilation=2)
nn.Conv2d(4, 16, 1, stride=2, padding="valid")
nn.ConvTranspose2d(16, 4, 1, stride=2, output_padding=1)
""".strip().splitlines()
"""Seen to crash on maps of 48 pixels, 16 images in channels-last layout: with 8 channels on AVX-512, all others on AVX2
as well."""
WENT_WELL = """
nn.Conv2d(16, 32, 1, stride=2)
nn.Conv2d(4, 16, 1)
nn.Conv2d(4, 16, 3, stride=2, padding=1)
nn.Conv2d(4, 16, (1, 3), stride=2)
nn.Conv2d(4, 16, 2, stride=2)
nn.Conv2d(4, 16, 1, stride=2, padding=1)
nn.Conv2d(4, 16, 1, stride=2, groups=2)
nn.ConvTranspose2d(4, 16, 1, stride=2, output_padding=1)
nn.Conv1d(4, 16, 1, stride=2)
nn.Linear(4, 16)
""".strip().splitlines()
CHILD = f"""
import sys, tempfile
from pathlib import Path
import numpy as np, torch
from torch import nn
from benchmarks.data.batches import InMemory
from benchmarks.training.layout import channels_last
from benchmarks.core.progress import drive
from benchmarks.training.recipes import recipe
from benchmarks.training.loop import TrainingSet, train
from methods.registry import create, parse_settings

torch.set_num_threads(1)
for made in [{", ".join(CRASHED)}]:
    twin = type(made)(made.in_channels, made.out_channels, 1, made.stride, made.padding, **(
        {{"output_padding": 1}} if isinstance(made, nn.ConvTranspose2d) else {{"dilation": made.dilation}}
    ), bias=made.bias is not None).double()
    twin.load_state_dict(made.state_dict())
    with channels_last(made, torch.device("cpu")):
        for _ in range(2):
            x = torch.randn(16, made.in_channels, 48, 48).to(memory_format=torch.channels_last).requires_grad_()
            made.zero_grad()
            y = made(x)
            wanted = torch.randn_like(y)
            y.backward(wanted)
            assert y.is_contiguous(memory_format=torch.channels_last), made
            again = x.detach().double().contiguous().requires_grad_()
            twin.zero_grad()
            twin(again).backward(wanted.double().contiguous())
            for one, other in [(made.weight.grad, twin.weight.grad), (x.grad, again.grad)]:
                torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))
images = InMemory(torch.zeros(16, 64, 64, 3, dtype=torch.uint8), torch.arange(16) % 10, torch.ones(3), torch.zeros(3))
data = TrainingSet(images, np.arange(16), flip=False, crop=0)
network = create("plain", parse_settings("plain", {{}}), "resnet8:width=4", 10, (3, 64, 64), seed=0)
with tempfile.TemporaryDirectory() as folder:
    drive(train(network, data, recipe("smoke").with_epochs(1), 0, Path(folder) / "state.safetensors"))
print("survived")
"""


def test_networks_of_few_channels_are_trained_with_right_gradients() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=HOUSE, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr


@pytest.mark.parametrize(("made", "expected"), [(m, True) for m in CRASHED] + [(m, False) for m in WENT_WELL])
def test_exactly_the_convolutions_that_crashed_are_kept_apart(made: str, expected: bool) -> None:
    assert overruns(eval(made, {"nn": nn})) is expected


def test_afterwards_everything_is_channels_last_and_no_hook_remains() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 1, stride=2), nn.Conv2d(8, 8, 3))
    images = torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last)
    layouts: list[tuple[int, ...]] = []
    network[1].register_forward_hook(lambda module, given, made: layouts.append(given[0].stride()))
    with channels_last(network, CPU):
        inside = network(images)
    after = network(images)
    assert layouts[0][1] > 1 == layouts[1][1]  # the channels' stride
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in network.parameters() if p.ndim == 4)
    torch.testing.assert_close(inside, after)


def test_a_network_without_such_a_convolution_is_left_alone() -> None:
    network, twin = (nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 1, stride=2)) for _ in range(2))
    twin.load_state_dict(network.state_dict())
    twin.to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last)
    with channels_last(network, CPU):
        network(images).square().sum().backward()
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    twin(images).square().sum().backward()
    assert all(
        torch.equal(one.grad, other.grad) for one, other in zip(network.parameters(), twin.parameters(), strict=True)
    )
