"""Batch-norm statistics of every variant: measured once, exactly, without touching anything else."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from toys import alone, earlyexit, images, lively, make, same, sdpoint, snapshot

from methods.base import AdjustableModel
from methods.batchnorm import Selector, VariantBatchNorm, convert, variant_norms
from methods.errors import MethodError

Statistics = dict[tuple[str, str], tuple[Tensor, Tensor]]


def statistics(model: AdjustableModel) -> Statistics:
    """(layer, variant) -> copies of mean and variance."""
    return {
        (layer, variant): (mean.clone(), var.clone())
        for layer, norm in variant_norms(model).items()
        for variant, (mean, var) in norm.statistics.items()
    }


def equal(a: Statistics, b: Statistics, tolerance: float = 0.0) -> bool:
    return a.keys() == b.keys() and all(
        torch.allclose(x, y, rtol=tolerance, atol=tolerance) for k in a for x, y in zip(a[k], b[k], strict=True)
    )


def measured_alone(model: AdjustableModel, answer: str, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Statistics of every batch norm that `answer` runs through, by torch's own training mode."""
    reference = copy.deepcopy(model).train()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # cumulative
    alone(reference, answer, x)
    return {
        name: (module.running_mean, module.running_var)  # type: ignore[misc]
        for name, module in reference.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.num_batches_tracked
    }


def owners(model: AdjustableModel, answer: str) -> dict[str, str]:
    """Batch norm -> the variant whose statistics it uses while `answer` is computed."""
    used: dict[str, str] = {}
    hooks = [
        norm.register_forward_hook(lambda _m, _i, _o, name=name: used.update({name: model._selector.variant or ""}))
        for name, norm in variant_norms(model).items()
    ]
    alone(model, answer, images(2))
    for hook in hooks:
        hook.remove()
    return used


@pytest.fixture
def layer() -> tuple[VariantBatchNorm, Selector]:
    selector = Selector()
    wrapper = nn.Sequential(nn.BatchNorm2d(3))
    convert(wrapper.eval(), selector)
    norm = wrapper[0]
    assert isinstance(norm, VariantBatchNorm)
    return norm, selector


def collected(layer: tuple[VariantBatchNorm, Selector], batches: list[Tensor]) -> tuple[Tensor, Tensor]:
    norm, selector = layer
    selector.variant, selector.collecting = "v", True
    for batch in batches:
        norm(batch)
    selector.collecting = False
    norm.finish_collecting()
    return norm.statistics["v"]


def test_one_full_pass_gives_the_mean_and_the_unbiased_variance_of_every_channel(
    layer: tuple[VariantBatchNorm, Selector],
) -> None:
    x = 5 + 2 * images(16, 6)
    mean, var = collected(layer, [x])
    torch.testing.assert_close(mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(var, x.transpose(0, 1).flatten(1).var(1, correction=1))


def test_batches_weigh_as_many_images_as_they_hold(layer: tuple[VariantBatchNorm, Selector]) -> None:
    x = 5 + 2 * images(16, 6)
    parts = [x[:10], x[10:15], x[15:]]
    mean, var = collected(layer, parts)
    torch.testing.assert_close(mean, x.mean((0, 2, 3)))
    within = torch.stack([len(p) / 16 * p.transpose(0, 1).flatten(1).var(1, correction=1) for p in parts])
    torch.testing.assert_close(var, within.sum(0))


def test_the_order_of_batches_does_not_matter() -> None:
    model = sdpoint()
    batches = list(images(40).split(12))
    model.collect_statistics(batches)
    forwards = statistics(model)
    model.collect_statistics(batches[::-1])
    assert equal(forwards, statistics(model), tolerance=1e-6)


@pytest.mark.parametrize("method", ["plain", "sdpoint", "earlyexit"])
def test_every_answer_uses_the_statistics_torch_measures_for_it_alone(method: str) -> None:
    model = make(method)
    x = images(32)
    model.collect_statistics([x])
    found = statistics(model)
    for answer in model.graph.names:
        used = owners(model, answer)
        expected = measured_alone(model, answer, x)
        assert used.keys() == expected.keys()
        for layer, (mean, var) in expected.items():
            torch.testing.assert_close(found[layer, used[layer]][0], mean)
            torch.testing.assert_close(found[layer, used[layer]][1], var)


def test_statistics_before_the_point_are_those_of_the_full_network() -> None:
    model = sdpoint()
    model.collect_statistics([images(32)])
    behind = {"p1_r0.5": ("blocks.1", "blocks.2"), "p2_r0.75": ("blocks.2",), "p3_r0.5": ()}
    for answer, blocks in behind.items():
        for layer, variant in owners(model, answer).items():
            own = any(block in layer for block in blocks)
            assert variant == (answer if own else "full"), (answer, layer)


def test_statistics_behind_the_point_are_not_those_of_the_full_network() -> None:
    model = sdpoint()
    model.collect_statistics([images(32)])
    found = statistics(model)
    layer = "backbone.blocks.1.bn1"
    assert not torch.allclose(found[layer, "p1_r0.5"][1], found[layer, "full"][1], rtol=1e-2)


def test_a_second_collection_is_not_influenced_by_the_first() -> None:
    model = sdpoint()
    model.collect_statistics([images(16, seed=1)])
    expected = statistics(model)
    model.collect_statistics([50 + 9 * images(16, seed=2)])
    model.collect_statistics([images(16, seed=1)])
    assert equal(statistics(model), expected)


def test_a_collection_that_failed_halfway_does_not_influence_the_next() -> None:
    model = sdpoint()
    model.collect_statistics([images(16, seed=1)])
    expected = statistics(model)

    def broken() -> Iterator[Tensor]:
        yield 50 + 9 * images(16, seed=2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        model.collect_statistics(broken())
    model.collect_statistics([images(16, seed=1)])
    assert equal(statistics(model), expected)


@pytest.mark.parametrize("method", ["plain", "sdpoint", "earlyexit"])
def test_collecting_changes_no_weight_and_no_running_statistic_and_ends_in_evaluation_mode(method: str) -> None:
    model = make(method)
    lively(model)
    before = snapshot(model)
    model.train()
    model.collect_statistics([images(8)])
    assert same(snapshot(model), before)
    assert not any(module.training for module in model.modules())


def test_parameters_stay_the_same_objects_so_that_an_optimizer_keeps_them() -> None:
    model = earlyexit()
    before = {name: id(p) for name, p in model.named_parameters()}
    model.collect_statistics([images(8)])
    assert {name: id(p) for name, p in model.named_parameters()} == before


def test_no_images_are_an_error() -> None:
    with pytest.raises(MethodError, match="no images"):
        sdpoint().collect_statistics([])


def test_a_single_image_with_a_1x1_map_cannot_be_normalised_and_says_so() -> None:
    model = make("sdpoint", shape=(3, 8, 8))  # 8 -> 4 -> 2, and 1 behind p2_r0.5
    with pytest.raises(MethodError, match="at least two images") as raised:
        model.collect_statistics([images(1, 8)])
    assert "\n" not in str(raised.value)
    model.collect_statistics([images(2, 8)])


def test_an_unknown_variant_raises_and_never_falls_back() -> None:
    model = sdpoint()
    model.collect_statistics([images(8)])
    model._selector.variant = "p9_r0.1"
    norm = next(iter(variant_norms(model).values()))
    with pytest.raises(MethodError, match=r"no batch-norm statistics for 'p9_r0.1'"):
        norm(torch.zeros(2, norm.num_features, 4, 4))


def test_uniform_batch_norm_uses_the_running_statistics_of_training() -> None:
    model, plain = sdpoint(bn="uniform"), make("plain")
    lively(model)
    plain.load_state_dict(model.state_dict())
    model.collect_statistics([images(8)])
    assert torch.equal(alone(model, "full", images(4)), plain.backbone(images(4)))
    assert not variant_norms(model)


def test_instance_statistics_differ_from_uniform_ones_in_what_the_model_says() -> None:
    uniform, instance = sdpoint(bn="uniform"), sdpoint(bn="instance")
    for model in (uniform, instance):
        model.collect_statistics([images(16)])
    assert not torch.allclose(alone(uniform, "p1_r0.5", images(4)), alone(instance, "p1_r0.5", images(4)))


def test_in_training_mode_a_converted_network_trains_like_the_ordinary_one() -> None:
    model, ordinary = sdpoint(), sdpoint()
    model.collect_statistics([images(8)])
    x = images(8, seed=3)
    for m in (model, ordinary):
        m.train()
        m.trace(x, ["p2_r0.5"])["p2_r0.5"].sum().backward()
    assert same(snapshot(model), snapshot(ordinary))
    for a, b in zip(model.parameters(), ordinary.parameters(), strict=True):
        assert (a.grad is None and b.grad is None) or torch.equal(a.grad, b.grad)  # type: ignore[arg-type]


def test_statistics_travel_with_the_model_and_its_copies() -> None:
    model = sdpoint()
    model.collect_statistics([images(8)])
    twin = copy.deepcopy(model)
    expected = alone(model, "p1_r0.5", images(4))
    model.collect_statistics([images(8, seed=9)])
    assert torch.equal(alone(twin, "p1_r0.5", images(4)), expected)
    assert all(mean.dtype == torch.float64 for mean, _ in statistics(twin.double()).values())


def test_converting_again_changes_nothing() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2))
    selector = Selector()
    convert(network, selector)
    first = network[0]
    convert(network, selector)
    assert network[0] is first


def test_a_norm_without_running_statistics_is_refused_in_one_line() -> None:
    module = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False))
    with pytest.raises(MethodError, match=r"^a batch norm without running statistics .* track_running_stats=True$"):
        convert(module, Selector())
