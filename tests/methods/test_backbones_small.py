"""ResNeXt-29 and DenseNet-BC for small images: parameters and MACs by hand, and what lies where."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from methods.backbones import Backbone, build


def parameters(spec: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(spec, 10).parameters())


def macs(spec: str, side: int = 32) -> int:
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        build(spec, 10).eval()(torch.empty(1, 3, side, side))
    return int(counter.get_total_flops()) // 2


def shapes(backbone: Backbone, side: int = 32) -> list[tuple[int, ...]]:
    """Channels, height and width behind every step but the last."""
    x, found = torch.empty(1, 3, side, side), []
    for step in backbone.work()[:-1]:
        x = backbone.step(step, x)
        found.append(tuple(x.shape[1:]))
    return found


def resnext_counts(repeats: int, cardinality: int, width: int) -> tuple[int, int]:
    """Parameters (10 classes) and MACs at 32x32: a bottleneck of D channels in `cardinality` groups."""
    weights, cost = 3 * 64 * 9 + 2 * 64, 3 * 64 * 9 * 32**2
    c_in = 64
    for stage, c_out in enumerate((256, 512, 1024)):
        area = (32 >> stage) ** 2
        inner = cardinality * width * 2**stage
        grouped = inner * (inner // cardinality) * 9
        for block in range(repeats):
            before = area * (4 if stage and block == 0 else 1)  # the stride lies in the 3x3 convolution
            weights += c_in * inner + grouped + inner * c_out + 2 * (inner + inner + c_out)
            cost += c_in * inner * before + (grouped + inner * c_out) * area
            if block == 0:
                weights += c_in * c_out + 2 * c_out
                cost += c_in * c_out * area
            c_in = c_out
    return weights + 1024 * 10 + 10, cost + 1024 * 10


@pytest.mark.parametrize(
    ("spec", "numbers", "millions"),
    [
        ("resnext29-8x64d", (3, 8, 64), 34.4),
        ("resnext29-16x64d", (3, 16, 64), 68.1),  # 68.155 M; the paper cuts it off
        ("resnext29-4x8d", (3, 4, 8), None),
        ("resnext11-2x4d", (1, 2, 4), None),
    ],
)
def test_resnext_has_the_parameters_and_macs_counted_by_hand(
    spec: str, numbers: tuple[int, int, int], millions: float | None
) -> None:
    assert (parameters(spec), macs(spec)) == resnext_counts(*numbers)
    assert millions is None or int(parameters(spec) / 1e5) / 10 == millions


def test_resnext_stages_have_256_512_and_1024_channels_whatever_the_groups() -> None:
    with torch.device("meta"):
        found = shapes(build("resnext11-2x4d", 10))
        grouped = [m for m in build("resnext29-8x64d", 10).modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert found[2::2] == [(256, 32, 32), (512, 16, 16), (1024, 8, 8)]
    assert [(m.groups, m.in_channels) for m in grouped[::3]] == [(8, 512), (8, 1024), (8, 2048)]


def densenet_counts(layers: int, growth: int) -> tuple[int, int]:
    """Parameters (10 classes) and MACs at 32x32: BN, 1x1 to 4k, BN, 3x3 to k; transitions BN, 1x1 to half."""
    channels = 2 * growth
    weights = 3 * channels * 9
    cost = weights * 32**2
    for stage in range(3):
        area = (32 >> stage) ** 2
        if stage:
            half = channels // 2
            weights += 2 * channels + channels * half
            cost += channels * half * area * 4  # before its pooling
            channels = half
        for _ in range(layers):
            layer = channels * 4 * growth + 4 * growth * growth * 9
            weights += layer + 2 * channels + 2 * 4 * growth
            cost += layer * area
            channels += growth
    return weights + 2 * channels + channels * 10 + 10, cost + channels * 10


@pytest.mark.parametrize(
    ("spec", "numbers", "millions"),
    [
        ("densenet-bc-100-12", (16, 12), 0.8),
        ("densenet-bc-190-40", (31, 40), 25.6),
        ("densenet-bc-16-4", (2, 4), None),
        ("densenet-bc-10-3", (1, 3), None),
    ],
)
def test_densenet_has_the_parameters_and_macs_counted_by_hand(
    spec: str, numbers: tuple[int, int], millions: float | None
) -> None:
    assert (parameters(spec), macs(spec)) == densenet_counts(*numbers)
    assert millions is None or round(parameters(spec) / 1e6, 1) == millions


def test_the_smallest_densenet_by_hand() -> None:
    """k = 1, one layer a stage: 2 -> 3 | 1 -> 2 | 1 -> 2 channels."""
    layer = {c: 2 * c + 4 * c + 8 + 36 for c in (1, 2)}  # BN, 1x1 to 4, BN, 3x3 to 1
    transition = {c: 2 * c + c for c in (2, 3)}  # BN, 1x1 to 1
    total = 54 + layer[2] + transition[3] + layer[1] + transition[2] + layer[1] + 4 + 2 * 10 + 10
    assert parameters("densenet-bc-10-1") == total


def test_a_dense_block_is_one_layer_behind_its_concatenation_and_transitions_open_a_stage() -> None:
    with torch.device("meta"):
        backbone = build("densenet-bc-16-4", 10)
        assert backbone.stages == (2, 2, 2)
        assert shapes(backbone) == [
            (8, 32, 32), (12, 32, 32), (16, 32, 32), (8 + 4, 16, 16), (16, 16, 16), (8 + 4, 8, 8), (16, 8, 8),
        ]  # fmt: skip


@torch.no_grad()
def test_a_dense_layer_keeps_what_it_was_given() -> None:
    backbone = build("densenet-bc-16-4", 10).eval()
    x = torch.rand(2, 8, 6, 6)
    assert torch.equal(backbone.step(("body", 1), x)[:, :8], x)


def test_odd_maps_keep_their_border_in_a_transition() -> None:
    with torch.device("meta"):
        assert [shape[1] for shape in shapes(build("densenet-bc-10-2", 10), side=7)] == [7, 7, 4, 2]
