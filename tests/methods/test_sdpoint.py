"""SDPoint: where it attaches, what it draws, and that it adds nothing to the network."""

from collections import Counter
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor
from torch.nn import functional as F
from toys import alone, images, lively, make, same, sdpoint, snapshot

from methods.errors import MethodError
from methods.registry import parse_settings
from methods.routers import Constant
from methods.sdpoint import SDPoint, smaller

POST = ["resnet8:width=4", "preresnet8:width=4"]


def sizes(model: SDPoint, answer: str, x: Tensor) -> dict[str, tuple[int, ...]]:
    """Step -> height and width (or classes) of what comes out, along one answer."""
    found = {}
    for index in model.graph.paths[model.graph.index(answer)]:
        node = model.graph.nodes[index]
        with torch.no_grad():
            x = model.run_node(node, x)
        found[" ".join(map(str, node.step))] = tuple(x.shape[2:])
    return found


def drawn(model: SDPoint, seed: int, times: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The answers that `loss` trains in `times` steps."""
    asked: list[str] = []

    def record(_images: Tensor, answers: list[str]) -> dict[str, Tensor]:
        asked.extend(answers)
        return {answers[0]: torch.zeros(1, 10)}

    monkeypatch.setattr(model, "trace", record)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(times):
        model.loss(torch.zeros(1), torch.zeros(1, dtype=torch.int64), generator)
    return asked


# The draw -----------------------------------------------------------------------------------------


def test_p_is_uniform_over_none_and_every_point_the_first_included(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = drawn(sdpoint("resnet20"), 0, 10_000, monkeypatch)
    points = Counter(name.partition("_")[0] for name in draws)
    assert set(points) == {"full", *(f"p{p}" for p in range(1, 10))}
    assert chisquare(list(points.values())).pvalue > 0.01
    assert points["full"] / 10_000 == pytest.approx(1 / 10, abs=0.01)


def test_r_is_uniform_given_p(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = drawn(sdpoint("resnet20", ratios="0.25,0.5,0.75"), 0, 10_000, monkeypatch)
    ratios = Counter(name.partition("_")[2] for name in draws if name != "full")
    assert set(ratios) == {"r0.25", "r0.5", "r0.75"}
    assert chisquare(list(ratios.values())).pvalue > 0.01


def test_the_training_work_weighs_as_the_draw_does() -> None:
    for given in ("0.5", "0.5,0.75", "0.25,0.5,0.75"):
        work = Counter(names[0] for names in sdpoint("resnet20", ratios=given).training_work())
        assert work["full"] / work.total() == pytest.approx(1 / 10)
        assert len({n for name, n in work.items() if name != "full"}) == 1


def test_the_same_generator_seed_gives_the_same_draws_and_another_seed_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = sdpoint()
    first, second, other = (drawn(model, seed, 50, monkeypatch) for seed in (1, 1, 2))
    assert first == second != other


def test_the_draw_leaves_the_global_random_numbers_alone() -> None:
    model = sdpoint().train()
    before = torch.get_rng_state()
    model.loss(images(4), torch.arange(4), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_trains_one_instance_by_plain_cross_entropy_of_the_last_classifier() -> None:
    model = sdpoint()
    x, labels = images(6), torch.arange(6)
    for seed in range(8):
        loss = model.loss(x, labels, torch.Generator().manual_seed(seed))
        each = [F.cross_entropy(alone(model, name, x), labels) for name in model.graph.names]
        assert sum(torch.equal(loss, one) for one in each) >= 1


# Sizes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "behind"),
    [("p1_r0.5", (16, 8, 4)), ("p1_r0.75", (24, 12, 6)), ("p2_r0.5", (32, 8, 4)), ("p2_r0.75", (32, 12, 6)),
     ("p3_r0.5", (32, 16, 4)), ("p3_r0.75", (32, 16, 6))],
)  # fmt: skip
@pytest.mark.parametrize("backbone", POST)
def test_only_the_output_of_the_block_at_the_point_shrinks(
    backbone: str, answer: str, behind: tuple[int, int, int]
) -> None:
    model = sdpoint(backbone)
    plain, found = sizes(model, "full", images(1)), sizes(model, answer, images(1))
    point = int(answer[1])
    ends = [found.get(f"pool {b} {answer[4:]}", found[f"body {b}"]) for b in (1, 2, 3)]
    assert ends == [(s, s) for s in behind]
    assert [step for step in found if step.startswith("pool")] == [f"pool {point} {answer[4:]}"]
    for block in range(1, point + 1):
        assert found[f"body {block}"] == plain[f"body {block}"]


def test_at_224_the_first_stage_shrinks_from_56_to_28_and_42() -> None:
    model = make("sdpoint", "resnet18", (3, 224, 224))
    shape = (1, 64, 56, 56)
    for r, expected in ((0.5, (28, 28)), (0.75, (42, 42))):
        assert tuple(model.step(("pool", 1, r), torch.zeros(shape)).shape[2:]) == expected
        assert tuple(model.step(("stem_pool", r), torch.zeros(1, 64, 112, 112)).shape[2:]) == expected


@pytest.mark.parametrize(("size", "r", "expected"), [(7, 0.5, 4), (14, 0.75, 10), (5, 0.5, 2), (56, 0.75, 42)])
def test_sizes_are_rounded_halves_to_even(size: int, r: float, expected: int) -> None:
    assert smaller(torch.zeros(1, 1, size, size), r) == (expected, expected)


@pytest.mark.parametrize("backbone", POST)
@pytest.mark.parametrize(("height", "width"), [(33, 30), (20, 37), (9, 64)])
@torch.no_grad()
def test_images_that_are_not_square_and_odd_sizes_work(backbone: str, height: int, width: int) -> None:
    model = sdpoint(backbone)
    x = images(2, height, width)
    assert all(y.shape == (2, 10) for y in model.trace(x).values())
    found = sizes(model, "p1_r0.5", x)
    assert found["pool 1 0.5"] == (round(height * 0.5), round(width * 0.5))


def test_an_image_too_small_for_a_point_is_one_line_that_says_so() -> None:
    with pytest.raises(MethodError, match=r"too small: a 1x1 map cannot be downsampled by 0.5") as raised:
        make("sdpoint", shape=(3, 4, 4)).costs()
    assert "\n" not in str(raised.value)


# The site -----------------------------------------------------------------------------------------


def after_block_one(model: SDPoint, answer: str, x: Tensor) -> Tensor:
    """The state that block 2 gets."""
    for index in model.graph.paths[model.graph.index(answer)]:
        node = model.graph.nodes[index]
        if node.step == ("body", 2):
            return x
        x = model.run_node(node, x)
    raise AssertionError("no block 2")


@torch.no_grad()
def test_after_activation_networks_are_pooled_between_addition_and_relu() -> None:
    model = sdpoint("resnet8:width=4")
    lively(model)
    x = images(3)
    block: Any = model.backbone.block(1)
    stem = model.backbone.step(("stem",), x)
    total = block.bn2(block.conv2(block.bn1(block.conv1(stem)).relu())) + stem
    for r in (0.5, 0.75):
        expected = F.adaptive_avg_pool2d(total, round(32 * r)).relu()
        assert torch.equal(after_block_one(model, f"p1_r{r}", x), expected)
        assert not torch.allclose(expected, F.adaptive_avg_pool2d(total.relu(), round(32 * r)))


@torch.no_grad()
def test_pre_activation_networks_are_pooled_after_the_addition() -> None:
    model = sdpoint("preresnet8:width=4")
    lively(model)
    x = images(3)
    block = model.backbone.block(1)(model.backbone.step(("stem",), x))
    assert torch.equal(after_block_one(model, "p1_r0.5", x), F.adaptive_avg_pool2d(block, 16))


@torch.no_grad()
def test_at_the_stem_max_pooling_is_replaced_by_adaptive_max_pooling() -> None:
    model = make("sdpoint", "resnet18", (3, 64, 64))
    assert model.graph.names[:2] == ("stem_r0.5", "stem_r0.75")
    x = images(2, 64)
    stem = model.backbone.step(("stem",), x)
    network: Any = model.backbone.network
    assert stem.shape[2:] == (32, 32)
    assert network.maxpool(stem).shape[2:] == (16, 16)
    for r, side in ((0.5, 8), (0.75, 12)):
        expected = F.adaptive_max_pool2d(stem, side)
        pooled = model.step(("stem_pool", r), stem)
        assert torch.equal(pooled, expected)
        rest = network.layer4(network.layer3(network.layer2(network.layer1(expected))))
        logits = network.fc(network.avgpool(rest).flatten(1))
        assert torch.equal(model.trace(x, [f"stem_r{r}"])[f"stem_r{r}"], logits)


@torch.no_grad()
def test_the_stem_point_follows_the_size_of_the_images_it_is_given() -> None:
    model = make("sdpoint", "resnet18", (3, 64, 64))
    for size, side in ((64, 8), (96, 12), (64, 8)):
        stem = model.backbone.step(("stem",), images(1, size))
        assert model.step(("stem_pool", 0.5), stem).shape[2:] == (side, side)


@pytest.mark.parametrize(
    ("backbone", "points"), [("resnet14", 6), ("preresnet14", 6), ("wrn-16-1", 6), ("resnet18", 9)]
)
def test_every_gap_between_blocks_is_a_point_basic_blocks_included(backbone: str, points: int) -> None:
    model = make("sdpoint", backbone, (3, 64, 64))
    assert len(model.graph.names) == 2 * points + 1


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [("resnet14", ["p2", "p4", "p6"]), ("resnet18", ["p1", "p3", "p5", "p7"])],
)
def test_every_second_point(backbone: str, expected: list[str]) -> None:
    """ImageNet networks have one point more, the stem, which comes first and is left out."""
    model = make("sdpoint", backbone, (3, 64, 64), every="2")
    assert list(dict.fromkeys(name.partition("_")[0] for name in model.graph.names[:-1])) == expected


# Nothing is added ---------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", [*POST, "resnet18"])
def test_parameters_and_names_are_those_of_the_plain_network(backbone: str) -> None:
    assert same(snapshot(make("sdpoint", backbone)), snapshot(make("plain", backbone)))


@pytest.mark.parametrize("backbone", [*POST, "resnet18"])
@torch.no_grad()
def test_the_full_answer_is_the_plain_network_bit_for_bit(backbone: str) -> None:
    model, plain = make("sdpoint", backbone), make("plain", backbone)
    x = images(2, 64)
    assert torch.equal(model.trace(x)["full"], plain.backbone(x))
    assert torch.equal(model(x).logits, plain.backbone(x))


@torch.no_grad()
def test_pooling_to_the_same_size_is_the_identity() -> None:
    x = images(2, 7)
    assert torch.equal(F.adaptive_avg_pool2d(x, 7), x)


@torch.no_grad()
def test_the_mean_of_even_maps_survives_a_ratio_that_divides_them_and_no_other() -> None:
    x = images(2, 8)
    means = {r: F.adaptive_avg_pool2d(x, smaller(x, r)).mean((2, 3)) for r in (0.25, 0.5, 0.7)}
    torch.testing.assert_close(means[0.5], x.mean((2, 3)))
    torch.testing.assert_close(means[0.25], x.mean((2, 3)))
    assert not torch.allclose(means[0.7], x.mean((2, 3)), atol=1e-3)


@torch.no_grad()
def test_returning_to_full_restores_outputs_and_buffers_bit_for_bit() -> None:
    model = sdpoint()
    lively(model)
    model.collect_statistics([images(16)])
    x, before = images(5, seed=1), snapshot(model)
    full = Constant(answer=len(model.graph.names) - 1)
    expected = model.execute(x, full).logits
    statistics = {k: v.clone() for k, v in model.tensors().items()}
    for k in range(len(model.graph.names)):
        model.execute(x, Constant(answer=k))
    assert torch.equal(model.execute(x, full).logits, expected)
    assert same(snapshot(model), before)
    assert same(model.tensors(), statistics)


@torch.no_grad()
def test_what_is_stored_in_addition_are_batch_norm_statistics_only() -> None:
    model = sdpoint()
    weights = set(model.tensors())
    model.collect_statistics([images(8)])
    added = set(model.tensors()) - weights
    assert added
    assert all(name.startswith("statistics/") for name in added)
    assert set(model.state_dict()) == weights


# Settings -----------------------------------------------------------------------------------------


def test_ratios_are_put_in_order() -> None:
    assert sdpoint(ratios="0.75,0.5").graph.names == sdpoint(ratios="0.5,0.75").graph.names


@pytest.mark.parametrize(
    ("setting", "value"),
    [("ratios", "0.5,0.5"), ("ratios", "0"), ("ratios", "1"), ("ratios", "1.5"), ("ratios", "-0.5"), ("ratios", "nan"),
     ("ratios", "half"), ("ratios", ""), ("every", "0"), ("every", "x"), ("bn", "none")],
)  # fmt: skip
def test_invalid_settings_are_one_line_that_names_them(setting: str, value: str) -> None:
    with pytest.raises(MethodError, match=f"setting '{setting}' of sdpoint") as raised:
        parse_settings("sdpoint", {setting: value})
    assert "\n" not in str(raised.value)


# Learning -----------------------------------------------------------------------------------------


def gratings(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy stripes of four orientations and random phase, images [n, 3, 16, 16], and their orientation [n]."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (n,), generator=generator)
    angle = labels * torch.pi / 4
    phase = 2 * torch.pi * torch.rand(n, 1, 1, generator=generator)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    across = angle.cos().view(-1, 1, 1) * x + angle.sin().view(-1, 1, 1) * y
    stripes = torch.sin(across * 1.6 + phase)[:, None].expand(-1, 3, -1, -1)
    return stripes + 2.5 * torch.randn(n, 3, 16, 16, generator=generator), labels


def test_a_trained_network_is_more_often_right_with_statistics_of_its_own_than_with_the_mixture() -> None:
    """Seeded; 1,000 test images, so one standard error of a difference of proportions is about 0.02."""
    model: SDPoint = make("sdpoint", "resnet8:width=8", (3, 16, 16), classes=4).train()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for step in range(80):
        optimizer.zero_grad()
        model.loss(*gratings(64, step), generator).backward()
        optimizer.step()
    x, labels = gratings(1000, 10_000)

    @torch.no_grad()
    def accuracy() -> dict[str, float]:
        return {name: float((y.argmax(1) == labels).float().mean()) for name, y in model.trace(x).items()}

    model.eval()
    uniform = accuracy()
    model.collect_statistics([gratings(512, 20_000)[0]])
    instance = accuracy()
    assert instance["full"] > 0.8
    assert all(instance[name] > uniform[name] - 0.02 for name in uniform)
    assert sum(instance.values()) > sum(uniform.values())
