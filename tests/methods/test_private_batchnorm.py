"""A batch norm of its own for every variant: nobody touches another's, neither in training nor after."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import alone, images, lively, make, same, snapshot

from methods.base import AdjustableModel
from methods.batchnorm import (
    PrivateBatchNorm,
    Selector,
    convert,
    privatise,
    statistics_tensors,
    variant_class,
    variant_norms,
)
from methods.errors import MethodError
from methods.storage import load, save

SIZE = 16
SIDES = ("s8", "s12", "s16")


def dynres(backbone: str = "resnet8:width=4") -> AdjustableModel:
    model: AdjustableModel = make("dynres", backbone, (3, SIZE, SIZE), predictor="resnet8:width=2")
    return model


def multiscale(backbone: str = "resnet8:width=4") -> AdjustableModel:
    model: AdjustableModel = make("multiscale", backbone, (3, SIZE, SIZE), sizes="3", bn="private")
    return model


def buffers_of(model: AdjustableModel, variant: str) -> dict[str, Tensor]:
    """Everything that belongs to one variant's batch norms, by name."""
    return {name: v for name, v in snapshot(model).items() if f".norms.{variant}." in name}


# One step of training -----------------------------------------------------------------------------


@pytest.mark.parametrize("make_model", [dynres, multiscale])
@pytest.mark.parametrize("backbone", ["resnet8:width=4", "preresnet8:width=4"])
def test_in_training_a_forward_at_one_size_changes_only_that_sizes_buffers(make_model: Any, backbone: str) -> None:
    model = make_model(backbone).train()
    for running in model.graph.names:
        before = snapshot(model)
        model.trace(images(8, SIZE), [running])
        changed = {name for name, value in snapshot(model).items() if not torch.equal(value, before[name])}
        assert changed
        assert all(f".norms.{running}." in name for name in changed)
        norms = [n for n, m in model.backbone.named_modules() if isinstance(m, PrivateBatchNorm)]
        means = {f"backbone.{norm}.norms.{running}.running_mean" for norm in norms}
        assert means <= changed  # every one of them, shortcuts included


@pytest.mark.parametrize("backbone", ["resnet8:width=4", "preresnet8:width=4", "resnet18"])
def test_every_batch_norm_of_the_classifier_is_private_those_of_shortcuts_included(backbone: str) -> None:
    plain = make("plain", backbone)
    private = make("multiscale", backbone, sizes="2", bn="private")
    count = sum(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    assert sum(isinstance(m, PrivateBatchNorm) for m in private.modules()) == count
    assert sum(isinstance(m, nn.BatchNorm2d) for m in private.modules()) == 2 * count
    if backbone == "resnet8:width=4":
        shortcuts = [n for n, m in private.named_modules() if isinstance(m, PrivateBatchNorm) and "shortcut" in n]
        assert len(shortcuts) == 2


def test_the_predictor_has_one_set_and_no_private_ones() -> None:
    model = dynres()
    assert not any(isinstance(m, PrivateBatchNorm) for m in model.get_submodule("predictor").modules())


def test_each_private_set_receives_gradients_from_its_own_size_only() -> None:
    model = multiscale().train()
    model.trace(images(8, SIZE), ["s12"])["s12"].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (".norms." not in name or ".norms.s12." in name), name


def test_private_sets_begin_as_copies_of_the_plain_networks() -> None:
    source = nn.BatchNorm2d(2, eps=0.25, momentum=0.5)
    with torch.no_grad():
        source.weight.copy_(torch.tensor([1.0, 2.0]))
        assert source.running_mean is not None
        source.running_mean.copy_(torch.tensor([3.0, 4.0]))
    norm = PrivateBatchNorm(source, ("a", "b"), selector := Selector()).eval()
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    for selector.variant in ("a", "b"):
        assert torch.equal(norm(x), source.eval()(x))
    tensors = {value.data_ptr() for value in norm.state_dict().values()} & {
        value.data_ptr() for value in source.state_dict().values()
    }
    assert not tensors


@pytest.mark.parametrize("variant", [None, "c", "A", ""])
def test_an_unknown_variant_raises_and_never_falls_back(variant: str | None) -> None:
    norm = PrivateBatchNorm(nn.BatchNorm2d(2), ("a", "b"), selector := Selector())
    selector.variant = variant
    for training in (True, False):
        with pytest.raises(MethodError, match="no private batch norm"):
            norm.train(training)(torch.zeros(2, 2, 2, 2))


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.BatchNorm1d, (2,)), (nn.BatchNorm3d, (2, 2, 2, 2)), (nn.SyncBatchNorm, (2, 3))]
)
@torch.no_grad()
def test_every_kind_of_batch_norm_becomes_private(kind: Any, shape: tuple[int, ...]) -> None:
    network, x = nn.Sequential(kind(2), nn.GroupNorm(1, 2)), torch.rand(4, *shape) + 3
    ordinary = copy.deepcopy(network)
    privatise(network, ("a", "b"), selector := Selector())
    before = snapshot(network)
    selector.variant = "b"
    assert torch.equal(network(x), ordinary(x))
    changed = {name for name, value in snapshot(network).items() if not torch.equal(value, before[name])}
    assert changed == {f"0.norms.b.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    convert(network.eval(), selector)
    selector.collecting = True
    network(x)
    for norm in variant_norms(network).values():
        norm.finish_collecting()
    assert {name.rpartition("/")[0] for name in statistics_tensors(network)} == {"statistics/0.norms.b/b"}


# Sub-batches --------------------------------------------------------------------------------------


@torch.no_grad()
def test_splitting_a_batch_by_size_gives_the_logits_of_images_one_by_one() -> None:
    model = dynres()
    lively(model)
    model.collect_statistics([images(64, SIZE, seed=1)])
    x = images(24, SIZE, seed=2)
    chosen = torch.randint(3, (24,), generator=torch.Generator().manual_seed(3))
    together = torch.empty(24, 10)
    for j, name in enumerate(SIDES):
        together[chosen == j] = model.trace(x[chosen == j], [name])[name]
    one_by_one = torch.cat([alone(model, SIDES[j], x[i : i + 1]) for i, j in enumerate(chosen.tolist())])
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-5)


# Statistics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_model", [dynres, multiscale])
def test_statistics_are_collected_for_every_size_and_weights_stay(make_model: Any) -> None:
    model = make_model()
    lively(model)
    before = snapshot(model)
    model.collect_statistics([images(32, SIZE, seed=1), images(16, SIZE, seed=2)])
    assert same(before, snapshot(model))
    assert not model.training
    for name, norm in variant_norms(model).items():
        own = name.rpartition(".norms.")[2] if ".norms." in name else "predictor"
        assert list(norm.statistics) == [own]


@torch.no_grad()
def test_statistics_of_a_size_are_those_of_its_images() -> None:
    """The first batch norm, by hand: mean and unbiased variance of what the first convolution gives."""
    model = multiscale()
    lively(model)
    x = images(32, SIZE, seed=1)
    model.collect_statistics([x])
    stem = model.backbone.get_submodule("stem")
    assert isinstance(stem, nn.Sequential)
    for side in (8, 12, 16):
        y = stem[0](model.step(("resize", side), x) if side < SIZE else x)
        name = f"s{side}" if side < SIZE else "full"
        norm = variant_norms(model)[f"backbone.stem.1.norms.{name}"]
        mean, var = norm.statistics[name]
        torch.testing.assert_close(mean, y.mean((0, 2, 3)), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(var, y.transpose(0, 1).flatten(1).var(1), rtol=1e-5, atol=1e-5)


def test_collecting_again_forgets_what_was_there() -> None:
    model, other = dynres(), dynres()
    lively(model)
    lively(other)
    model.collect_statistics([images(32, SIZE, seed=1) + 5])
    model.collect_statistics([images(32, SIZE, seed=2)])
    other.collect_statistics([images(32, SIZE, seed=2)])
    assert same(statistics_tensors(model), statistics_tensors(other))


def test_the_order_of_the_batches_does_not_matter() -> None:
    batches = [images(16, SIZE, seed=seed) for seed in range(3)]
    model, other = multiscale(), multiscale()
    model.collect_statistics(batches)
    other.collect_statistics(batches[::-1])
    for name, value in statistics_tensors(model).items():
        torch.testing.assert_close(statistics_tensors(other)[name], value, rtol=1e-4, atol=1e-5)


def test_converting_finds_the_private_ones_and_keeps_their_values() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2))
    privatise(network, ("a",), selector := Selector())
    before = snapshot(network)
    convert(network, selector)
    assert same(before, snapshot(network))
    assert [type(m) for m in network.modules() if isinstance(m, nn.BatchNorm2d)] == [variant_class(nn.BatchNorm2d)]


# Storage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "make_model"), [("dynres", dynres), ("multiscale", multiscale)])
@torch.no_grad()
def test_a_model_comes_back_from_its_file_bit_for_bit(name: str, make_model: Any, tmp_path: Path) -> None:
    model, x = make_model(), images(8, SIZE, seed=4)
    lively(model)
    model.collect_statistics([images(32, SIZE, seed=1)])
    save(model, tmp_path / "m.safetensors", name, "resnet8:width=4")
    again = load(tmp_path / "m.safetensors")
    assert same(model.tensors(), again.tensors())
    expected = model.trace(x)
    assert all(torch.equal(value, expected[answer]) for answer, value in again.trace(x).items())


def test_a_model_with_private_norms_does_not_take_weights_with_shared_ones(tmp_path: Path) -> None:
    shared = make("multiscale", "resnet8:width=4", (3, SIZE, SIZE), sizes="3")
    with pytest.raises(MethodError, match="do not fit this model"):
        multiscale().load_tensors(shared.tensors())
    with pytest.raises(MethodError, match="do not fit this model"):
        shared.load_tensors(multiscale().tensors())


def test_what_is_stored_counts_every_private_set() -> None:
    """Each batch norm of resnet8 (4, 8 and 16 channels wide) has two sets more, of weight and bias."""
    plain, private = make("plain", "resnet8:width=4"), multiscale()
    channels = sum(m.num_features for m in plain.modules() if isinstance(m, nn.BatchNorm2d))
    extra = sum(p.numel() for p in private.parameters()) - sum(p.numel() for p in plain.parameters())
    assert extra == 2 * 2 * channels
