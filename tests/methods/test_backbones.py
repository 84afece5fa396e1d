"""Backbones: named steps, counts derived by hand, and torchvision's networks unchanged by the adapter."""

import copy
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models.convnext import LayerNorm2d

from methods import backbones
from methods.backbones import Backbone, build, initialise
from methods.backbones.imagenet import TorchvisionBackbone
from methods.errors import MethodError

CIFAR = ["resnet8", "resnet14", "preresnet8", "wrn-10-2", "resnext11-2x4d", "densenet-bc-16-4"]
TORCHVISION = ["resnet18", "resnet50"]
# A 3x3 convolution of the first stage from 16 to 16 channels on a 32x32 map; stages two and three halve both
# sides and double both channel counts, so their inner convolutions cost the same, their first ones half.
CONV = 16 * 16 * 9 * 32 * 32


def images(size: int = 32, n: int = 2) -> Tensor:
    """Random images [n, 3, size, size], the same ones every time."""
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def macs(call: Callable[[], object]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) // 2


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def run(backbone: Backbone, x: Tensor, steps: slice = slice(None)) -> Tensor:
    for step in backbone.work()[steps]:
        x = backbone.step(step, x)
    return x


def settled(spec: str, classes: int = 10) -> Backbone:
    """A backbone in eval mode whose batch norms are not the identity."""
    backbone = build(spec, classes).train()
    with torch.no_grad():
        backbone(images(n=4) * 3)
    return backbone.eval()


# --- Steps


def test_work_of_a_post_activation_network_has_body_and_act_for_every_block() -> None:
    assert build("resnet8", 10).work() == (
        ("stem",), ("body", 1), ("act", 1), ("body", 2), ("act", 2), ("body", 3), ("act", 3), ("head",),
    )  # fmt: skip


def test_work_of_a_pre_activation_network_has_no_act() -> None:
    assert build("preresnet8", 10).work() == (("stem",), ("body", 1), ("body", 2), ("body", 3), ("head",))


def test_work_of_an_imagenet_network_pools_after_the_stem() -> None:
    backbone = build("resnet50", 10)
    assert backbone.work()[:4] == (("stem",), ("stem_pool",), ("body", 1), ("act", 1))
    assert backbone.stages == (3, 4, 6, 3)
    assert backbone.stage_ends() == (3, 7, 13, 16)


@pytest.mark.parametrize("spec", [*CIFAR, *TORCHVISION])
def test_forward_is_its_steps_in_order(spec: str) -> None:
    backbone, x = settled(spec), images()
    with torch.no_grad():
        assert torch.equal(run(backbone, x), backbone(x))


@pytest.mark.parametrize("spec", [*CIFAR, *TORCHVISION])
@pytest.mark.parametrize("training", [True, False])
def test_no_step_writes_into_its_input(spec: str, training: bool) -> None:
    backbone, x = settled(spec).train(training), images()
    with torch.no_grad():
        for step in backbone.work():
            before = x.clone()
            after = backbone.step(step, x)
            assert torch.equal(x, before), step
            x = after


@pytest.mark.parametrize("spec", [*CIFAR, *TORCHVISION])
def test_body_and_act_are_the_block(spec: str) -> None:
    backbone = settled(spec)
    names = backbone.work()
    with torch.no_grad():
        for index in range(1, sum(backbone.stages) + 1):
            x = run(backbone, images(), slice(names.index(("body", index))))
            y = backbone.step(("body", index), x)
            if backbone.post_activation:
                assert y.min() < 0  # the addition, not yet activated
                y = backbone.step(("act", index), y)
            assert torch.equal(backbone.block(index)(x), y)


@pytest.mark.parametrize("spec", [*CIFAR, *TORCHVISION])
def test_head_step_is_the_head(spec: str) -> None:
    backbone = settled(spec)
    with torch.no_grad():
        x = run(backbone, images(), slice(-1))
        assert torch.equal(backbone.step(("head",), x), backbone.head(x))


@pytest.mark.parametrize(
    ("spec", "step"),
    [
        ("resnet8", ("body", 0)),
        ("resnet8", ("act", 4)),
        ("resnet8", ("stem_pool",)),
        ("preresnet8", ("act", 1)),
        ("resnet18", ("body", 9)),
        ("resnet18", ("pool", 1, 0.5)),
    ],
)
def test_unknown_step_raises(spec: str, step: backbones.Step) -> None:
    with pytest.raises(ValueError, match="has no step"):
        build(spec, 10).step(step, images())


@pytest.mark.parametrize("spec", ["resnet8", "wrn-10-2", "resnet18"])
def test_replaced_batch_norms_are_the_ones_that_run(spec: str) -> None:
    class Zero(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 0

    backbone = settled(spec)
    for parent in list(backbone.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, Zero(child.num_features).eval())
    assert not any(type(m) is nn.BatchNorm2d for m in backbone.modules())
    with torch.no_grad():
        logits = backbone(images())
        classifier = next(m for m in backbone.modules() if isinstance(m, nn.Linear))
        assert torch.equal(logits, classifier.bias.expand(2, -1))  # nothing but zeros reaches the classifier


@pytest.mark.parametrize("spec", ["resnet8", "preresnet8", "resnet18"])
def test_a_copy_is_independent(spec: str) -> None:
    backbone, x = settled(spec), images()
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        before = backbone(x)
        assert torch.equal(twin(x), before)
        for p in twin.parameters():
            p.zero_()
        assert torch.equal(backbone(x), before)
        assert not twin(x).any()


@pytest.mark.parametrize("spec", ["resnet8", "preresnet8", "resnext11-2x4d", "densenet-bc-16-4", "resnet18"])
@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_input_size_gives_logits(spec: str, height: int, width: int) -> None:
    with torch.no_grad():
        assert build(spec, 7).eval()(torch.rand(2, 3, height, width)).shape == (2, 7)


@pytest.mark.parametrize("spec", ["resnet8", "preresnet8", "resnext11-2x4d", "densenet-bc-16-4", "resnet18"])
def test_channels_last_images_stay_channels_last_and_give_the_same_logits(spec: str) -> None:
    backbone, x = settled(spec), images()
    twin = copy.deepcopy(backbone).to(memory_format=torch.channels_last)
    with torch.no_grad():
        state = run(twin, x.contiguous(memory_format=torch.channels_last), slice(-1))
        assert state.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(twin.step(("head",), state), backbone(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", ["resnet8", "preresnet8", "resnext11-2x4d", "densenet-bc-16-4", "resnet18"])
def test_every_parameter_receives_a_gradient(spec: str) -> None:
    backbone = build(spec, 10)
    backbone(images()).square().sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


# --- Fresh parts


@pytest.mark.parametrize("spec", ["resnet14", "preresnet14", "wrn-16-2", "resnext20-2x4d", "resnet18", "resnet50"])
def test_entry_block_takes_what_its_stage_takes_and_gives_what_its_block_gives(spec: str) -> None:
    backbone = settled(spec)
    ends = (0, *backbone.stage_ends())
    names = backbone.work()
    with torch.no_grad():
        for stage in range(len(backbone.stages)):
            first = ends[stage] + 1
            x = run(backbone, images(), slice(names.index(("body", first))))
            y = backbone.entry_block(stage).eval()(x)
            assert y.shape == backbone.block(first)(x).shape
            assert not backbone.post_activation or y.min() >= 0


@pytest.mark.parametrize("spec", ["resnet14", "preresnet14", "resnext20-2x4d", "resnet18"])
def test_entry_block_and_new_head_are_fresh_and_share_nothing(spec: str) -> None:
    backbone = settled(spec)
    state = {k: v.clone() for k, v in backbone.state_dict().items()}
    for part, source in [(backbone.entry_block(1), backbone.block(backbone.stages[0] + 1)),
                         (backbone.new_head(), backbone.head)]:  # fmt: skip
        shapes = {k: v.shape for k, v in source.state_dict().items()}
        assert {k: v.shape for k, v in part.state_dict().items()} == shapes
        for (name, p), q in zip(part.named_parameters(), source.parameters(), strict=True):
            assert p.dim() == 1 or not torch.equal(p, q), name
        for m in part.modules():
            if isinstance(m, nn.BatchNorm2d):
                assert m.num_batches_tracked == 0
                assert m.running_mean is not None
                assert not m.running_mean.any()
        with torch.no_grad():
            for p in part.parameters():
                p.zero_()
    assert all(torch.equal(v, state[k]) for k, v in backbone.state_dict().items())


def test_entry_block_of_a_stage_that_does_not_exist_raises() -> None:
    for stage in (-1, 3):
        with pytest.raises(ValueError, match="stages are 0 to 2"):
            build("resnet8", 10).entry_block(stage)


def test_initial_convolutions_have_variance_two_over_fan_out() -> None:
    conv = nn.Conv2d(64, 128, 3)
    initialise(conv)
    assert conv.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert conv.bias is not None
    assert not conv.bias.any()


def test_initialise_refuses_a_layer_it_cannot_reset_in_one_line() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(MethodError, match=r"^no initial values are known for Scaled: give it a method reset_param"):
        initialise(nn.Sequential(nn.ReLU(), Scaled()))


@pytest.mark.parametrize(
    "norm", [LayerNorm2d(3), nn.GroupNorm(1, 3), nn.LayerNorm(3), nn.InstanceNorm2d(3, affine=True)]
)
def test_initialise_resets_norms_of_other_kinds(norm: nn.Module) -> None:
    for value in norm.parameters():
        nn.init.constant_(value, 7)
    initialise(nn.Sequential(nn.ReLU(), norm))
    assert [value.tolist() for value in norm.parameters()] == [[1, 1, 1], [0, 0, 0]]


# --- Small images: counts by hand


@pytest.mark.parametrize(("spec", "repeats", "expected"), [("resnet8", 1, 12_501_632), ("resnet20", 3, 40_813_184)])
def test_macs_of_a_cifar_resnet_are_those_counted_by_hand(spec: str, repeats: int, expected: int) -> None:
    stem, classifier = 3 * 16 * 9 * 32 * 32, 64 * 10
    first_stage = 2 * repeats * CONV
    later_stage = CONV // 2 + (2 * repeats - 1) * CONV + 16 * 32 * 16 * 16  # with its 1x1 projection
    assert stem + first_stage + 2 * later_stage + classifier == expected
    backbone = build(spec, 10).eval()
    assert macs(lambda: backbone(images(n=1))) == expected


def test_macs_of_preresnet_equal_those_of_resnet() -> None:
    backbone = build("preresnet20", 10).eval()
    assert macs(lambda: backbone(images(n=1))) == 40_813_184


def test_macs_of_the_steps_add_up() -> None:
    backbone, x, total = build("resnet8", 10).eval(), images(n=1), 0
    for step in backbone.work():
        total += macs(lambda step=step, x=x: backbone.step(step, x))  # type: ignore[misc]
        x = backbone.step(step, x)
    assert total == 12_501_632


def wide_resnet_parameters(repeats: int, factor: int, classes: int) -> int:
    """Convolutions without bias; BN 2 a channel, before each convolution of a block and once in the head."""
    widths = (16, 16 * factor, 32 * factor, 64 * factor)
    total = 3 * 16 * 9
    for before, after in pairwise(widths):
        first = 2 * before + 9 * before * after + 2 * after + 9 * after * after + before * after
        other = 2 * (2 * after + 9 * after * after)
        total += first + (repeats - 1) * other
    return total + 2 * widths[-1] + widths[-1] * classes + classes


@pytest.mark.parametrize(
    ("spec", "repeats", "factor", "expected"),
    [("wrn-16-4", 2, 4, 2_748_890), ("wrn-28-10", 4, 10, 36_479_194)],
)
def test_parameters_of_wide_resnets_are_those_counted_by_hand(
    spec: str, repeats: int, factor: int, expected: int
) -> None:
    assert wide_resnet_parameters(repeats, factor, 10) == expected
    with torch.device("meta"):
        assert parameters(build(spec, 10)) == expected


def test_width_is_that_of_the_first_stage() -> None:
    backbone = build("resnet8:width=32", 10)
    with torch.no_grad():
        assert [run(backbone, images(), slice(k)).shape[1] for k in (1, 3, 5, 7)] == [32, 32, 64, 128]


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
@pytest.mark.parametrize("family", ["resnet", "preresnet"])
def test_depth_counts_the_weighted_layers_of_the_main_path(family: str, depth: int) -> None:
    with torch.device("meta"):
        backbone = build(f"{family}{depth}:width=4", 10)
    layers = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len([m for m in layers if isinstance(m, nn.Linear) or m.kernel_size == (3, 3)]) == depth
    assert sum(backbone.stages) * 2 + 2 == depth


def test_shortcuts_are_projections_only_where_the_shape_changes() -> None:
    for spec, projections in [("resnet14", 2), ("preresnet14", 2), ("wrn-16-4", 3), ("wrn-16-1", 2)]:
        convs = [m for m in build(spec, 10).modules() if isinstance(m, nn.Conv2d)]
        assert len([m for m in convs if m.kernel_size == (1, 1)]) == projections, spec


# --- torchvision


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("training", [True, False])
def test_adapter_gives_torchvisions_outputs_and_statistics_bit_for_bit(name: str, training: bool) -> None:
    original: nn.Module = models.get_model(name, weights=None, num_classes=10).train(training)
    backbone = TorchvisionBackbone(copy.deepcopy(original))  # type: ignore[arg-type, unused-ignore]
    x = images(64)
    ours, theirs = backbone(x), original(x)
    assert torch.equal(ours, theirs)
    ours.sum().backward()
    theirs.sum().backward()
    for p, q in zip(backbone.parameters(), original.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert torch.equal(p.grad, q.grad)
    for kept, expected in zip(backbone.buffers(), original.buffers(), strict=True):
        assert torch.equal(kept, expected)


@pytest.mark.parametrize("name", TORCHVISION)
def test_adapter_has_torchvisions_parameters_under_one_prefix(name: str) -> None:
    torch.manual_seed(0)
    original: nn.Module = models.get_model(name, weights=None, num_classes=10)
    torch.manual_seed(0)
    ours = build(name, 10).state_dict()
    theirs = {f"network.{key}": value for key, value in original.state_dict().items()}
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


# Published counts are for 1,000 classes: torchvision's documentation of each network.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", 11_689_512),
        ("resnet50", 25_557_032),
        ("resnext50_32x4d", 25_028_904),
        ("wide_resnet50_2", 68_883_240),
    ],
)
def test_parameters_of_imagenet_networks_are_the_published_ones(name: str, expected: int) -> None:
    with torch.device("meta"):
        backbone = build(name, 1000)
        assert backbone(torch.empty(1, 3, 224, 224)).shape == (1, 1000)
    assert parameters(backbone) == expected


def test_resnet50_at_224_is_4_089_184_256_macs() -> None:
    with torch.device("meta"):
        backbone, x = build("resnet50", 1000).eval(), torch.empty(1, 3, 224, 224)
    assert macs(lambda: backbone(x)) == 4_089_184_256


def test_no_relu_of_the_adapter_works_in_place() -> None:
    assert not any(m.inplace for m in build("resnet18", 10).modules() if isinstance(m, nn.ReLU))


def test_hooks_on_convolutions_fire_once_a_forward() -> None:
    backbone, calls = settled("resnet18"), list[str]()
    convolutions = {n: m for n, m in backbone.named_modules() if isinstance(m, nn.Conv2d)}
    for name, module in convolutions.items():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    with torch.no_grad():
        backbone(images())
    assert sorted(calls) == sorted(convolutions)


def test_building_draws_only_the_weights_from_the_global_generator() -> None:
    states = []
    for _ in range(2):
        backbones.imagenet._body_of.cache_clear()
        torch.manual_seed(0)
        build("resnet18", 10)
        build("resnet18", 10)  # the second time blocks are not traced again
        states.append(torch.get_rng_state())
    torch.manual_seed(0)
    for _ in range(2):
        models.get_model("resnet18", weights=None, num_classes=10)
    states.append(torch.get_rng_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


# --- Names


def registry() -> dict[str, dict[str, object]]:
    return tomllib.loads((Path(backbones.__file__).parent / "registry.toml").read_text(encoding="utf-8"))


def test_every_family_is_titled_cited_and_can_be_built() -> None:
    assert set(registry()) == set(backbones.BUILDERS)
    for facts in registry().values():
        assert {"title", "citation", "examples", "options"} <= set(facts)
        assert facts["title"]
        assert facts["citation"]


def test_every_registered_name_builds() -> None:
    for facts in registry().values():
        for name in facts["examples"]:  # type: ignore[attr-defined]
            with torch.device("meta"):
                assert build(name, 10).classes == 10


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("resnet15", "resnet14"),
        ("ResNet14", "resnet14"),
        ("resnext50", "resnext50_32x4d"),
        ("rsnet14", "resnet14"),
        ("wide_resnet50", "wide_resnet50_2"),
        ("preresnet18", "preresnet14"),
        ("vgg", "resnet8"),
        ("wrn-17-4", "wrn-16-4"),
        ("wrn-4-2", "wrn-10-2"),
        ("wrn-16", "wrn-16-4"),
        ("wrn-16-0", "wrn-16-4"),
        ("resnext30-8x64d", "9n \\+ 2, nearest is resnext29-8x64d"),
        ("resnext29-8x64", "resnext29-8x64d"),
        ("densenet-bc-99-12", "6n \\+ 4, nearest is densenet-bc-100-12"),
        ("densenet-bc-4-12", "nearest is densenet-bc-10-12"),
        ("densenet-bc", "densenet-bc-<depth>-<growth>"),
        ("mobilenetv2", "mobilenet_v2"),
        ("wrn-16-4:dropout=1", "at most 0.9"),
        ("wrn-16-4:dropout=-0.1", "at least 0 and at most 0.9"),
        ("wrn-16-4:dropout=0.33333", "up to 4 decimals"),
        ("wrn-16-4:dropout=nan", "a number"),
        ("resnet8:stochastic_depth=2", "at most 1"),
        ("resnet8:stochasticdepth=0.5", "it has stochastic_depth"),
        ("densenet121:dropout=0.1", "it has none"),
        ("resnet14:wdth=3", "width"),
        ("resnet50:width=3", "it has none"),
        ("resnet14:width=0", "at least 1"),
        ("resnet14:width=1.5", "at least 1"),
        ("resnet14:width", "name:option=value"),
        ("resnet14:", "name:option=value"),
        ("", "resnet8"),
    ],
)
def test_a_wrong_name_or_option_is_one_line_that_names_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(MethodError, match=hint) as caught:
        build(spec, 10)
    assert "\n" not in str(caught.value)
