"""Multiscale input training: one network, many sizes, and the full size is the plain network."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from toys import alone, images, lively, make, same, snapshot, table_of

from methods.base import AdjustableModel
from methods.counting import count
from methods.errors import MethodError
from methods.multiscale import Multiscale
from methods.registry import parse_settings
from methods.resizing import resized, resizing

TINY = "resnet8:width=2"


def multiscale(shape: tuple[int, int, int] = (3, 32, 32), backbone: str = TINY, **given: str) -> Multiscale:
    model: Multiscale = make("multiscale", backbone, shape, **given)
    return model


def sides(model: AdjustableModel) -> list[int]:
    """The side of every answer, by its first step."""
    full = min(model.image_shape[1:])
    return [int(a.work[0][1]) if a.work[0][0] == "resize" else full for a in model.answers()]


# Sizes --------------------------------------------------------------------------------------------


def test_of_32_pixels_there_are_exactly_the_17_sides_from_16_to_32() -> None:
    model = multiscale()
    assert sides(model) == list(range(16, 33))
    assert model.graph.names == (*(f"s{side}" for side in range(16, 32)), "full")


@pytest.mark.parametrize(
    ("full", "count", "expected"),
    [
        (8, "17", [4, 5, 6, 7, 8]),  # digits: there are no more
        (7, "17", [4, 5, 6, 7]),
        (32, "2", [16, 32]),
        (32, "3", [16, 24, 32]),
        (224, "3", [112, 168, 224]),
        (224, "17", [*range(112, 225, 7)]),
    ],
)
def test_sides_are_spread_evenly_from_half_to_full(full: int, count: str, expected: list[int]) -> None:
    assert sides(multiscale((3, full, full), sizes=count)) == expected


@given(full=st.integers(8, 64), count=st.integers(2, 40))
def test_sides_are_distinct_rise_and_never_leave_half_to_full(full: int, count: int) -> None:
    answers = Multiscale.answers(_shaped(full, count))
    found = [int(a.work[0][1]) if a.work[0][0] == "resize" else full for a in answers]
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == ((full + 1) // 2, full)
    assert len(found) == min(count, full - (full + 1) // 2 + 1)


def _shaped(full: int, count: int) -> Multiscale:
    model: Multiscale = multiscale((3, 8, 8))
    model.image_shape = (3, full, full)
    model.settings = Multiscale.Settings(sizes=count)
    return model


def test_the_shorter_side_is_the_side_and_the_other_keeps_the_proportion() -> None:
    model = multiscale((3, 16, 24), sizes="3")
    assert sides(model) == [8, 12, 16]
    assert tuple(model.step(("resize", 8), images(2, 16, 24)).shape) == (2, 3, 8, 12)
    assert tuple(model.step(("resize", 12), images(2, 16, 24)).shape) == (2, 3, 12, 18)
    upright = multiscale((3, 24, 16), sizes="3")
    assert tuple(upright.step(("resize", 12), images(2, 24, 16)).shape) == (2, 3, 18, 12)
    with torch.no_grad():
        upright.collect_statistics([images(4, 24, 16)])
        assert all(logits.shape == (2, 10) for logits in upright.trace(images(2, 24, 16)).values())


def test_odd_proportions_round_halves_to_even() -> None:
    assert tuple(resized(images(1, 4, 10), 1).shape) == (1, 3, 1, 2)  # 2.5
    assert tuple(resized(images(1, 4, 14), 1).shape) == (1, 3, 1, 4)  # 3.5


def test_resizing_is_bilinear_antialiased_with_corners_not_aligned() -> None:
    x = images(2, 32)
    expected = F.interpolate(x, (20, 20), mode="bilinear", antialias=True, align_corners=False)
    assert torch.equal(resized(x, 20), expected)
    assert not torch.equal(resized(x, 16), F.interpolate(x, (16, 16), mode="bilinear"))


def test_a_constant_image_stays_constant_at_every_size() -> None:
    for side in range(16, 32):
        torch.testing.assert_close(resized(torch.full((1, 3, 32, 32), 0.7), side), torch.full((1, 3, side, side), 0.7))


def test_full_size_has_no_resizing_step() -> None:
    assert resizing(32, (3, 32, 32)) == resizing(32, (3, 48, 32)) == ()
    assert resizing(31, (3, 32, 32)) == (("resize", 31),)
    assert all(step[0] != "resize" for step in multiscale().answers()[-1].work)


# The plain network --------------------------------------------------------------------------------


@pytest.mark.parametrize("bn", ["instance", "uniform"])
@torch.no_grad()
def test_full_size_is_the_plain_network_bit_for_bit(bn: str) -> None:
    plain, model = make("plain", TINY), multiscale(bn=bn)
    assert same(snapshot(plain), snapshot(model))  # the same names and, of the same seed, the same weights
    for network in (plain, model):
        lively(network)
        network.collect_statistics([images(32, seed=1)])
    x = images(8, seed=2)
    # the uniform statistics are the running ones of training, which the backbone has outside of any variant
    expected = alone(plain, "full", x) if bn == "instance" else plain.backbone(x)
    assert torch.equal(alone(model, "full", x), expected)


@torch.no_grad()
def test_full_size_of_private_norms_is_the_plain_network_bit_for_bit() -> None:
    plain, model = make("plain", TINY), multiscale(bn="private", sizes="3")
    for name, value in plain.state_dict().items():
        parent, _, leaf = name.rpartition(".")
        own = f"{parent}.norms.full.{leaf}"
        target = model.state_dict()[own if own in model.state_dict() else name]
        target.copy_(value)
    for network in (plain, model):
        network.collect_statistics([images(32, seed=1)])
    x = images(8, seed=2)
    assert torch.equal(alone(model, "full", x), alone(plain, "full", x))


@torch.no_grad()
def test_going_to_another_size_and_back_restores_the_output_bit_for_bit() -> None:
    model = multiscale()
    lively(model)
    model.collect_statistics([images(32, seed=1)])
    x = images(4, seed=2)
    model.points = tuple(model.static_points(table_of(model, x, 4), range(17), 20))
    model.point = "full"
    before, weights = model(x).logits, snapshot(model)
    for point in model.points:
        model.point = point.name
        model(x)
    model.point = "full"
    assert torch.equal(model(x).logits, before)
    assert same(snapshot(model), weights)


# Costs --------------------------------------------------------------------------------------------


def test_sizes_cost_what_the_plain_network_costs_on_images_of_that_size() -> None:
    model, plain = multiscale(), make("plain", TINY)
    costs = model.costs().outputs()
    for side, macs in zip(sides(model), costs, strict=True):
        assert macs == count(lambda side=side: plain.backbone(torch.zeros(1, 3, side, side))).macs  # type: ignore[misc]
    assert (costs[1:] > costs[:-1]).all()


def test_half_size_costs_a_quarter_but_for_the_classifier() -> None:
    costs = multiscale().costs().outputs()
    linear = 8 * 10  # width 2: eight channels into ten classes
    assert 4 * (costs[0] - linear) == costs[-1] - linear


def test_training_costs_three_passes_of_the_mean_size() -> None:
    model = multiscale(sizes="3")
    costs = model.costs()
    assert model.training_macs(costs) == pytest.approx(3 * costs.outputs().mean())


# Training -----------------------------------------------------------------------------------------


def draws(model: Multiscale, steps: int, seed: int) -> list[int]:
    """The sides of a training's mini-batches, by a hook on the first convolution."""
    found: list[int] = []
    stem = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    hook = stem.register_forward_hook(lambda _m, x, _y: found.append(x[0].shape[-1]))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        model.loss(images(2, 8), torch.zeros(2, dtype=torch.int64), generator)
    hook.remove()
    return found


def test_every_batch_has_one_size_and_all_sizes_are_equally_likely() -> None:
    found = Counter(draws(multiscale((3, 8, 8)).train(), 600, seed=0))
    assert set(found) == {4, 5, 6, 7, 8}
    assert sum(found.values()) == 600  # one forward a batch
    chi_square = sum((n - 120) ** 2 / 120 for n in found.values())
    assert chi_square < 18.5  # 4 degrees of freedom, p = 0.001


def test_the_size_is_drawn_from_the_generator_alone() -> None:
    model = multiscale((3, 8, 8)).train()
    torch.manual_seed(1)
    first = draws(model, 30, seed=5)
    torch.manual_seed(2)
    assert draws(model, 30, seed=5) == first
    assert draws(model, 30, seed=6) != first


def test_the_loss_is_the_cross_entropy_at_the_size_drawn() -> None:
    model = multiscale((3, 8, 8)).eval()
    x, labels = images(4, 8), torch.arange(4)
    for seed in range(4):
        drawn = int(torch.randint(5, (), generator=torch.Generator().manual_seed(seed)))
        expected = F.cross_entropy(model.trace(x)[model.graph.names[drawn]], labels)
        assert torch.equal(model.loss(x, labels, torch.Generator().manual_seed(seed)), expected)


# Statistics ---------------------------------------------------------------------------------------


def test_uniform_statistics_are_those_of_training_and_are_left_alone() -> None:
    model = multiscale(bn="uniform")
    lively(model)
    before = snapshot(model)
    model.collect_statistics([images(16)])
    assert same(before, snapshot(model))
    assert same(before, model.tensors())  # no other statistics anywhere


@torch.no_grad()
def test_instance_statistics_differ_between_sizes_and_uniform_ones_do_not() -> None:
    instance, uniform = multiscale(sizes="3"), multiscale(sizes="3", bn="uniform")
    for model in (instance, uniform):
        lively(model)
        model.collect_statistics([images(32, seed=1)])
    means = {name: v for name, v in instance.tensors().items() if name.endswith("stem.1/s16/mean")}
    other = {name: v for name, v in instance.tensors().items() if name.endswith("stem.1/full/mean")}
    assert len(means) == len(other) == 1
    x = images(8, seed=2)
    assert not torch.equal(alone(instance, "s16", x), alone(uniform, "s16", x))
    direct = uniform.backbone(resized(x, 16))
    assert torch.equal(alone(uniform, "s16", x), direct)


def test_uniform_and_instance_share_a_training_and_private_has_its_own() -> None:
    trained = [Multiscale.Settings(bn=bn).for_training() for bn in ("instance", "uniform", "private")]
    assert trained[0] == trained[1] != trained[2]


@pytest.mark.parametrize("given", [{"sizes": "1"}, {"sizes": "0"}, {"bn": "none"}, {"sizes": "many"}])
def test_settings_that_make_no_sense_are_refused_in_one_line(given: dict[str, str]) -> None:
    with pytest.raises(MethodError) as refused:
        parse_settings("multiscale", given)
    assert "\n" not in str(refused.value)
