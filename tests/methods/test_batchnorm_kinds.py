"""Batch norms of every kind have statistics per variant; what cannot have them is named, never left in silence."""

import copy
import io
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from toys import images, make, same, sdpoint, snapshot

from methods.base import AdjustableModel
from methods.batchnorm import (
    PrivateBatchNorm,
    Selector,
    VariantBatchNorm,
    batch_norms,
    convert,
    privatise,
    variant_norms,
)
from methods.errors import MethodError


class Named(nn.BatchNorm2d):
    """A user's, with torch's forward."""


class Absolute(nn.BatchNorm2d):
    """A user's, with a forward of its own around torch's."""

    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x.abs())


class Running(nn.BatchNorm1d):
    """A user's, whose forward is all its own and gives its running statistics new tensors."""

    def forward(self, x: Tensor) -> Tensor:
        mean, var = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
        if self.training:
            m = cast(float, self.momentum)
            self.running_mean = (1 - m) * mean + m * x.mean(0)
            self.running_var = (1 - m) * var + m * x.var(0)
            mean, var = x.mean(0), x.var(0, correction=0)
        return cast(Tensor, (x - mean) / (var + self.eps).sqrt() * self.weight + self.bias)


KINDS = [
    (nn.BatchNorm1d(3), (3,)),
    (nn.BatchNorm1d(3), (3, 5)),
    (nn.BatchNorm2d(3, affine=False), (3, 4, 2)),
    (nn.BatchNorm2d(3, momentum=None), (3, 4, 2)),
    (nn.BatchNorm3d(3), (3, 2, 3, 2)),
    (nn.SyncBatchNorm(3), (3, 4, 2)),
    (nn.SyncBatchNorm(3, affine=False), (3,)),
    (Named(3), (3, 4, 2)),
    (Absolute(3), (3, 4, 2)),
    (Running(3), (3,)),
]


def varied(norm: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose parameters and running statistics are nobody else's."""
    draws, norm = torch.Generator().manual_seed(1), copy.deepcopy(norm).eval()
    for value in norm.state_dict().values():
        value.copy_((0.5 + 3 * torch.rand(value.shape, generator=draws)).to(value.dtype))
    return norm


def converted(norm: nn.Module) -> tuple[VariantBatchNorm, Selector]:
    convert(nn.Sequential(norm), selector := Selector())
    assert isinstance(norm, VariantBatchNorm)
    return norm, selector


def collect(norm: nn.Module, selector: Selector, variant: str, batches: list[Tensor]) -> None:
    selector.variant, selector.collecting = variant, True
    for batch in batches:
        norm(batch)
    selector.collecting = False


def batches(shape: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    """Four images, and two."""
    draws = torch.Generator().manual_seed(seed)
    return list((2 + 3 * torch.randn(6, *shape, generator=draws)).split((4, 2)))


def by_hand(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of every channel, batches weighted by their images."""
    values = [part.transpose(0, 1).flatten(1) for part in parts]
    shares = [len(part) / sum(map(len, parts)) for part in parts]
    means, variances = [v.mean(1) for v in values], [v.var(1, correction=1) for v in values]
    return tuple(sum(s * v for s, v in zip(shares, each, strict=True)) for each in (means, variances))  # type: ignore[return-value]


@pytest.mark.parametrize(("norm", "shape"), KINDS, ids=lambda value: str(value)[:40])
@torch.no_grad()
def test_each_kind_has_statistics_of_each_variant_and_computes_with_them(
    norm: nn.BatchNorm2d, shape: tuple[int, ...]
) -> None:
    source = cast(nn.BatchNorm2d, varied(norm))
    seen: list[Tensor] = []
    source.register_forward_hook(lambda _m, _i, y: seen.append(y))
    before, parameters = snapshot(source), dict(source.named_parameters())
    made, selector = converted(source)
    assert isinstance(made, type(norm))
    assert all(value is parameters[name] for name, value in made.named_parameters())
    data = {"a": batches(shape), "b": batches(shape, seed=5)}
    for variant, parts in data.items():
        collect(made, selector, variant, parts)
    made.finish_collecting()
    assert same(snapshot(made), before)
    assert len(seen) == 4  # hooks stay
    for selector.variant, parts in data.items():
        mean, var = by_hand([part.abs() for part in parts] if isinstance(norm, Absolute) else parts)
        torch.testing.assert_close(made.statistics[selector.variant], (mean, var))
        ordinary = varied(norm)
        ordinary.running_mean, ordinary.running_var = mean, var
        torch.testing.assert_close(made(parts[0]), ordinary(parts[0]))
    selector.variant = "c"
    with pytest.raises(MethodError, match=r"^no batch-norm statistics for 'c': collect them first$"):
        made(data["a"][0])
    selector.variant = None
    assert torch.equal(made(data["a"][0]), varied(norm)(data["a"][0]))
    assert torch.equal(made.train()(data["a"][0]), varied(norm).train()(data["a"][0]))


@pytest.mark.parametrize(("norm", "shape"), KINDS, ids=lambda value: str(value)[:40])
def test_copies_and_pickles_of_each_kind_keep_their_statistics(norm: nn.Module, shape: tuple[int, ...]) -> None:
    made, selector = converted(varied(norm))
    x = batches(shape)
    collect(made, selector, "a", x)
    made.finish_collecting()
    torch.save(nn.Sequential(made), file := io.BytesIO())
    file.seek(0)
    for twin in (copy.deepcopy(made), torch.load(file, weights_only=False)[0]):
        assert type(twin) is type(made)
        assert same(snapshot(twin), snapshot(made))
        assert twin.statistics["a"][0] is not made.statistics["a"][0]
        assert twin.selector is not selector
        assert torch.equal(twin(x[0]), made(x[0]))
    settled = made.settled("a")
    assert type(settled) is type(norm)
    assert torch.equal(settled(x[0]), made(x[0]))
    assert vars(settled).keys() == vars(norm).keys()


@pytest.mark.parametrize(("norm", "shape"), [k for k in KINDS if len(k[1]) == 1] + [(nn.BatchNorm3d(3), (3, 1, 1, 1))])
def test_one_value_per_channel_cannot_be_measured(norm: nn.Module, shape: tuple[int, ...]) -> None:
    made, selector = converted(varied(norm))
    with pytest.raises(MethodError, match=r"^batch norm cannot normalise one value per channel: give at least two"):
        collect(made, selector, "a", [torch.zeros(1, *shape)])


def test_a_failing_forward_leaves_the_running_statistics_where_they_were() -> None:
    made, selector = converted(varied(Absolute(3)))
    before = snapshot(made)
    with pytest.raises(ValueError, match="expected 4D input"):
        collect(made, selector, "a", [torch.zeros(4, 3)])
    assert same(snapshot(made), before)
    assert not made.training
    assert made.momentum == 0.1


def test_a_norm_behind_two_names_is_one_and_has_statistics_once() -> None:
    shared = nn.BatchNorm1d(2)
    network = nn.ModuleDict({"a": shared, "b": nn.ModuleDict({"c": shared}), "d": shared})
    convert(network, Selector())
    assert network["a"] is shared is network["d"]
    assert list(variant_norms(network)) == ["a"]
    private = nn.ModuleDict({"a": nn.Sequential(norm := nn.BatchNorm1d(2)), "b": norm, "c": norm})
    privatise(private, ("v",), Selector())
    assert isinstance(private["b"], PrivateBatchNorm)
    assert private["b"] is private["c"] is private["a"].get_submodule("0")


# What cannot have statistics per variant ----------------------------------------------------------


class Renormalising(nn.BatchNorm2d):
    """A user's, whose forward reads more than the mean and the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("running_bound", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * cast(Tensor, self.running_bound)[:, None, None]


class Fixed(nn.Module):
    """No batch norm of torch's, but with statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(3))


REFUSED = [
    (nn.BatchNorm3d(3, track_running_stats=False), "^a batch norm without running statistics .* it with track_running"),
    (nn.LazyBatchNorm1d(), "^LazyBatchNorm1d '0.n' never ran: run the network once where it is made$"),
    (Renormalising(3), r"^Renormalising '0.n' has a forward and buffers of its own \(running_bound\), which cannot "),
    (nn.InstanceNorm2d(3, track_running_stats=True), "^InstanceNorm2d '0.n' has running statistics, which cannot "),
    (nn.LazyInstanceNorm1d(track_running_stats=True), "^LazyInstanceNorm1d '0.n' has running statistics, "),
    (Fixed(), "^Fixed '0.n' has running statistics, "),
]


@pytest.mark.parametrize(("norm", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_have_statistics_per_variant_is_named_and_nothing_is_changed(norm: nn.Module, said: str) -> None:
    network = nn.Sequential(nn.ModuleDict({"before": nn.BatchNorm2d(3), "n": norm}))
    before = [(module, type(module)) for module in network.modules()]
    for change in (lambda: convert(network, Selector()), lambda: privatise(network, ("v",), Selector())):
        with pytest.raises(MethodError, match=said) as error:
            change()
        assert "\n" not in str(error.value)
        assert [(module, type(module)) for module in network.modules()] == before


def test_a_forward_that_measures_nothing_is_named() -> None:
    class Still(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return x - cast(Tensor, self.running_mean)[:, None, None]

    made, selector = converted(Still(3).eval())
    with pytest.raises(MethodError, match=r"^Still does not bring running_var up to date in training mode"):
        collect(made, selector, "a", batches((3, 2, 2)))


def test_norms_without_running_statistics_and_what_keeps_its_own_are_left_alone() -> None:
    kept = nn.Sequential(nn.BatchNorm2d(3), nn.InstanceNorm2d(3, track_running_stats=True))
    kept.keeps_statistics = True  # type: ignore[assignment]
    lazy = nn.LazyBatchNorm2d()
    lazy(torch.zeros(2, 3, 2, 2))
    plain = [nn.GroupNorm(1, 3), nn.LayerNorm(3), nn.InstanceNorm2d(3), nn.InstanceNorm1d(3, affine=True)]
    network = nn.Sequential(*plain, kept, lazy)
    before = [type(module) for module in network.modules()]
    assert batch_norms(network) == [lazy]  # it became an ordinary one when it ran
    convert(network, Selector())
    assert [type(module) for module in network.modules()][:-1] == before[:-1]


def test_what_cannot_is_refused_before_it_is_trained() -> None:
    def with_instance_norms(model: AdjustableModel) -> AdjustableModel:
        model.backbone.get_submodule("blocks.1").bn1 = nn.InstanceNorm2d(8, track_running_stats=True)
        return model

    with pytest.raises(MethodError, match=r"^InstanceNorm2d 'backbone\.blocks\.1\.bn1' has running"):
        with_instance_norms(sdpoint()).costs()
    with_instance_norms(sdpoint(bn="uniform")).costs()  # there all use those of training


# In whole models ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "given"), [("sdpoint", {}), ("multiscale", {"sizes": "2", "bn": "private"})])
@torch.no_grad()
def test_a_network_with_synchronised_norms_says_what_it_says_with_ordinary_ones(
    method: str, given: dict[str, str]
) -> None:
    ordinary = make(method, shape=(3, 16, 16), **given)
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(ordinary))
    again = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(ordinary))
    for model in (ordinary, synchronised):
        model.collect_statistics([images(8, 16), images(4, 16, seed=1)])
    again.load_tensors(synchronised.tensors())
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in variant_norms(synchronised).values())
    assert same(ordinary.tensors(), synchronised.tensors())
    assert same(ordinary.tensors(), again.tensors())
    expected = ordinary.trace(images(3, 16))
    for model in (synchronised, again):
        assert same(model.trace(images(3, 16)), expected)
