"""MACs: derived by hand, and again by a second counter."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from toys import images, make, sdpoint

from methods.cost import ptflops_macs
from methods.counting import count

RESNET20 = 40_813_184
# MACs of ResNet-20 at 32x32, by hand: the inner 3x3 convolutions of every stage cost the same (half the side,
# twice the channels); the first one of stages two and three costs half, and a 1x1 projection a ninth of that.
STEM = 9 * 3 * 16 * 32 * 32
CONV = 9 * 16 * 16 * 32 * 32
PROJECTION = 16 * 32 * 16 * 16
ENTRY_BLOCK = CONV // 2 + CONV + PROJECTION
HEAD = 64 * 10
FRACTIONS = {  # of the plain network, r = 0.5 and 0.75; measured with another counter
    1: (0.3449, 0.6178),
    2: (0.4316, 0.6684),
    3: (0.5183, 0.7190),
    4: (0.5857, 0.7583),
    5: (0.6724, 0.8089),
    6: (0.7591, 0.8595),
    7: (0.8266, 0.8988),
    8: (0.9133, 0.9494),
    9: (1.0, 1.0),
}


class Tiny(nn.Module):
    """A strided convolution with groups, pooling, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.classify = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.adaptive_avg_pool2d(self.norm(self.conv(x)).relu(), 2)
        return self.classify(x.mean((2, 3)))


def after(point: int) -> int:
    """Convolution MACs of ResNet-20's blocks after block `point`."""
    blocks = [2 * CONV] * 3 + 2 * [ENTRY_BLOCK, 2 * CONV, 2 * CONV]
    return sum(blocks[point:])


def test_a_tiny_network_costs_what_is_derived_by_hand() -> None:
    # 8x8 -> 4x4 maps; 6 output channels of 9 * 2 inputs each (two groups of 4 / 2 channels); then 6 x 5.
    macs = count(lambda: Tiny().eval()(torch.zeros(1, 4, 8, 8))).macs
    assert macs == 6 * 4 * 4 * 9 * 2 + 6 * 5


def test_operators_outside_the_convention_are_listed_never_silently_zero() -> None:
    uncounted = count(lambda: Tiny().eval()(torch.zeros(1, 4, 8, 8))).outside.keys()
    assert {"native_batch_norm", "relu", "_adaptive_avg_pool2d", "mean"} <= uncounted
    assert not any("conv" in name or "mm" in name for name in uncounted)


@pytest.mark.parametrize(
    ("backbone", "operator"), [("resnet8", "_adaptive_avg_pool2d"), ("resnet18", "adaptive_max_pool2d")]
)
def test_the_downsampling_of_sdpoint_is_listed(backbone: str, operator: str) -> None:
    assert operator in make("sdpoint", backbone, (3, 64, 64)).costs().uncounted


def test_attention_is_counted_although_torch_has_a_fast_path_for_it() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    tokens, width, hidden = 5, 8, 16
    projections, mixing, feedforward = 4 * width * width, 2 * tokens * width, 2 * width * hidden
    with torch.no_grad():
        macs = count(lambda: layer(torch.zeros(1, tokens, width))).macs
    assert macs == tokens * (projections + mixing + feedforward)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("backbone", ["resnet8", "preresnet8", "wrn-10-1"])
def test_a_second_counter_agrees_but_for_the_bias_of_the_classifier(backbone: str) -> None:
    plain = make("plain", backbone)
    macs = int(plain.costs().outputs()[0])
    assert ptflops_macs(plain.backbone, (3, 32, 32)) == macs + 10


def test_resnet20_costs_40813184_macs() -> None:
    assert STEM + 14 * CONV + 2 * ENTRY_BLOCK + HEAD == RESNET20
    assert make("plain", "resnet20").costs().outputs().tolist() == [RESNET20]


def test_resnet50_at_224_costs_4089184256_macs() -> None:
    assert make("plain", "resnet50", (3, 224, 224), classes=1000).costs().outputs().tolist() == [4_089_184_256]


def test_costs_add_up_over_the_nodes_of_the_plain_network() -> None:
    costs = make("plain", "resnet20").costs()
    by_step = dict(zip((label.partition(": ")[2] for label in costs.work), costs.macs.tolist(), strict=True))
    assert (by_step["stem"], by_step["body 1"], by_step["body 4"]) == (STEM, 2 * CONV, ENTRY_BLOCK)
    assert (by_step["act 1"], by_step["head"]) == (0, HEAD)


def test_an_sdpoint_instance_costs_the_network_less_what_shrinks_behind_its_point() -> None:
    model = sdpoint("resnet20")
    for name, macs in zip(model.graph.names[:-1], model.costs().outputs(), strict=False):
        point, _, ratio = name[1:].partition("_r")
        assert macs == RESNET20 - (1 - float(ratio) ** 2) * after(int(point)), name


def test_sdpoint_fractions_of_resnet20_are_those_measured_elsewhere() -> None:
    model = sdpoint("resnet20")
    fractions = (model.costs().outputs() / RESNET20).round(4)
    found = dict(zip(model.graph.names, fractions.tolist(), strict=True))
    assert found == {
        **{f"p{p}_r{r}": f for p, both in FRACTIONS.items() for r, f in zip((0.5, 0.75), both, strict=True)},
        "full": 1.0,
    }


def test_sdpoint_cost_does_not_fall_with_the_point_nor_with_the_ratio_on_small_images() -> None:
    half, three_quarters = sdpoint("resnet20").costs().outputs()[:-1].reshape(9, 2).T
    assert all(a <= b for column in (half, three_quarters) for a, b in pairwise(column))
    assert (half[:-1] < three_quarters[:-1]).all()


def test_the_last_point_costs_as_much_as_the_network() -> None:
    assert sdpoint("resnet20").costs().outputs()[-3:].tolist() == [RESNET20] * 3


def test_counting_changes_neither_mode_nor_weights_nor_statistics() -> None:
    model = sdpoint()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    model.costs()
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_costs_can_be_asked_before_and_after_statistics_are_collected_and_are_the_same() -> None:
    model = sdpoint()
    before = model.costs().macs.tolist()
    model.collect_statistics([images(4)])
    tensors = {k: v.clone() for k, v in model.tensors().items()}
    assert model.costs().macs.tolist() == before
    assert all(torch.equal(v, tensors[k]) for k, v in model.tensors().items())
    model.trace(images(2), ["p1_r0.5"])


def test_training_macs_are_three_forward_passes_of_what_the_loss_computes() -> None:
    plain, point = make("plain", "resnet20"), sdpoint("resnet20")
    assert plain.training_macs(plain.costs()) == 3 * RESNET20
    macs = point.costs().outputs()[:-1].reshape(9, 2).mean(axis=1)
    assert point.training_macs(point.costs()) == pytest.approx(3 * (macs.sum() + RESNET20) / 10)
    exits = make("earlyexit", "resnet20")
    costs = exits.costs()
    assert exits.training_macs(costs) == 3 * int(costs.macs.sum())


def test_mean_cost_is_the_sum_of_shares_times_cumulative_costs() -> None:
    costs = make("earlyexit", "resnet8").costs()
    stops = np.repeat([0, 1, 2], [5, 3, 2])
    visited = np.arange(3) <= stops[:, None]
    through = np.cumsum([*costs.outputs()[:1], *np.diff(_cascade(costs.macs, costs.uses))])
    assert costs.trails(visited).mean() == pytest.approx(0.5 * through[0] + 0.3 * through[1] + 0.2 * through[2])


def _cascade(macs: NDArray[np.int64], uses: NDArray[np.bool_]) -> list[int]:
    """MACs of the first k answers together, k = 1, 2, ..."""
    return [int(macs[uses[: k + 1].any(axis=0)].sum()) for k in range(len(uses))]
