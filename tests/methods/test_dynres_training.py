"""Training DRNet: the regulariser, the straight-through choice, sub-batches and stages."""

from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from toys import alone, images, lively, make, snapshot

from methods.dynres import DynRes, straight_through

SIZE = 16
TINY = "resnet8:width=2"


def dynres(backbone: str = TINY, size: int = SIZE, **given: str) -> DynRes:
    return cast(DynRes, make("dynres", backbone, (3, size, size), **({"predictor": TINY} | given)))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_hot(*choices: int, of: int = 3) -> Tensor:
    return F.one_hot(torch.tensor(choices), of).float()


# The regulariser (eq. 13) -------------------------------------------------------------------------


def costs_of(model: DynRes) -> list[float]:
    found: list[float] = model.costs().outputs()[: len(model.resolutions)].tolist()
    return found


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_the_regulariser_is_the_excess_over_alpha_and_zero_below(choices: list[int], alpha: float) -> None:
    model = _cached()
    model.settings = DynRes.Settings(alpha=alpha)
    costs = costs_of(model)
    mean = float(np.mean([costs[j] for j in choices]))
    expected = max(0.0, (mean - alpha * costs[-1]) / (costs[-1] - costs[0]))
    assert float(model.regulariser(one_hot(*choices))) == pytest.approx(expected, abs=1e-5)


_MADE: list[DynRes] = []


def _cached() -> DynRes:
    if not _MADE:
        _MADE.append(dynres())
    return _MADE[0]


def test_it_is_one_where_all_choose_the_largest_and_alpha_is_the_smallest() -> None:
    model = dynres()
    small, _, large = costs_of(model)
    model.settings = DynRes.Settings(alpha=small / large)
    assert float(model.regulariser(one_hot(2, 2, 2, 2))) == pytest.approx(1, abs=1e-6)
    assert float(model.regulariser(one_hot(0, 0, 0))) == 0


def test_it_leaves_the_predictors_cost_out() -> None:
    model = dynres(predictor="resnet20:width=8")
    model.settings = DynRes.Settings(alpha=1.0)
    assert float(model.regulariser(one_hot(2, 2))) == 0


def test_its_gradient_pushes_towards_the_smaller_resolutions() -> None:
    model = dynres(alpha="0.1")
    scores = torch.zeros(200, 3, requires_grad=True)
    model.regulariser(straight_through(scores, generator())).backward()
    assert scores.grad is not None
    push = -scores.grad.sum(0)  # what a step of descent does
    assert push[0] > 0 > push[2]


def test_below_the_target_it_has_no_gradient() -> None:
    model = dynres(alpha="1")
    scores = torch.zeros(50, 3, requires_grad=True)
    model.regulariser(straight_through(scores, generator())).backward()
    assert scores.grad is not None
    assert not scores.grad.any()


def test_of_one_resolution_it_is_finite_and_zero() -> None:
    model = dynres(resolutions="16", alpha="1")
    assert float(model.regulariser(torch.ones(4, 1))) == 0


# Straight-through Gumbel softmax ------------------------------------------------------------------


def test_choices_are_one_hot_exactly() -> None:
    scores = 5 * torch.randn(5000, 3, generator=generator(1))
    choice = straight_through(scores, generator())
    assert torch.equal(choice, F.one_hot(choice.argmax(1), 3).float())


def test_choices_are_as_frequent_as_softmax_says() -> None:
    scores = torch.tensor([0.5, -1.0, 1.5])
    drawn = straight_through(scores.expand(10_000, 3), generator()).mean(0)
    expected = scores.softmax(0)
    deviation = (expected * (1 - expected) / 10_000).sqrt()
    assert ((drawn - expected).abs() < 4 * deviation).all()


def test_the_gradient_is_that_of_the_soft_choice() -> None:
    scores = torch.randn(6, 3, generator=generator(2)).requires_grad_()
    weights = torch.randn(6, 3, generator=generator(3))
    (straight_through(scores, generator(4)) * weights).sum().backward()
    noise = -(-torch.rand(6, 3, generator=generator(4)).log()).log()
    soft = scores.detach().clone().requires_grad_()
    ((soft.log_softmax(1) + noise).softmax(1) * weights).sum().backward()
    assert scores.grad is not None
    assert soft.grad is not None
    torch.testing.assert_close(scores.grad, soft.grad)
    assert scores.grad.any()


def test_extreme_scores_and_draws_stay_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]], requires_grad=True)
    for extreme in (0.0, 1 - 2**-24):
        monkeypatch.setattr(torch, "rand", lambda shape, generator, e=extreme: torch.full(shape, e))
        choice = straight_through(scores, generator())
        assert choice.argmax(1).tolist() == [0, 2]
        (grad,) = torch.autograd.grad((choice * torch.tensor([1.0, 2.0, 3.0])).sum(), scores)
        assert grad.isfinite().all()


def test_noise_comes_from_the_generator_alone() -> None:
    scores = torch.zeros(50, 3)
    torch.manual_seed(1)
    first = straight_through(scores, generator(7))
    torch.manual_seed(2)
    assert torch.equal(straight_through(scores, generator(7)), first)
    assert not torch.equal(straight_through(scores, generator(8)), first)


# The losses ---------------------------------------------------------------------------------------


def training(model: DynRes) -> DynRes:
    model.train()
    return model


def sent_to(monkeypatch: pytest.MonkeyPatch, *choices: int) -> None:
    """Make every training draw these choices, with the predictor's gradient still attached."""

    def fixed(scores: Tensor, generator: torch.Generator) -> Tensor:
        soft = scores.softmax(1)
        return one_hot(*choices, of=scores.shape[1]) + (soft - soft.detach())

    monkeypatch.setattr("methods.dynres.straight_through", fixed)


def test_without_eta_the_loss_is_the_cross_entropy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = images(6, SIZE), torch.arange(6)
    sent_to(monkeypatch, 2, 0, 1, 2, 0, 1)
    losses = {}
    for eta in ("0", "0.2", "1"):
        model = dynres(eta=eta, alpha="0.1").eval()
        with torch.no_grad():
            logits = torch.cat(
                [alone(model, model.graph.names[j], x[i : i + 1]) for i, j in enumerate([2, 0, 1, 2, 0, 1])]
            )
            losses[eta] = float(model.loss(x, labels, generator())) - float(F.cross_entropy(logits, labels))
            regulariser = float(model.regulariser(one_hot(2, 0, 1, 2, 0, 1)))
    assert losses["0"] == pytest.approx(0, abs=1e-6)
    assert losses["0.2"] == pytest.approx(0.2 * regulariser, abs=1e-6)
    assert losses["1"] == pytest.approx(regulariser, abs=1e-6)
    assert regulariser > 0.1


def test_the_cross_entropy_teaches_the_predictor_and_the_classifier() -> None:
    model = training(dynres(eta="0"))
    model.loss(images(12, SIZE), torch.arange(12) % 10, generator()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith("predictor") or ".norms." not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    predictor = [p.grad for p in model.predictor.parameters() if p.grad is not None]
    assert all(grad.any() for grad in predictor[-2:])


@pytest.mark.parametrize("choices", [(0,) * 6, (2,) * 6, (0, 0, 0, 0, 0, 2), (0, 1, 2, 2, 2, 2)])
@pytest.mark.parametrize("backbone", [TINY, "preresnet8:width=2"])
def test_empty_sub_batches_and_those_of_one_image_train_on_maps_of_one_pixel(
    choices: tuple[int, ...], backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_to(monkeypatch, *choices)
    model = training(dynres(backbone, size=4, resolutions="2,3,4", predictor_size="8"))  # maps end at one pixel
    before = snapshot(model)
    loss = model.loss(images(6, 4), torch.arange(6), generator())
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    changed = {name for name, value in snapshot(model).items() if not torch.equal(value, before[name])}
    for j, name in enumerate(model.graph.names):
        learns = any(f".norms.{name}." in key for key in changed)
        assert learns == (choices.count(j) > 1)  # one image has no statistics of a batch
    assert model.backbone.training
    assert all(module.training for module in model.modules())


@torch.no_grad()
def test_each_image_is_answered_at_its_own_resolution_in_its_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """In evaluation mode images do not influence each other: the logits of a batch are those of each alone."""
    model = dynres(eta="0")
    lively(model)
    x, choices = images(5, SIZE, seed=3), (1, 2, 0, 2, 1)
    sent_to(monkeypatch, *choices)
    found: list[Tensor] = []
    monkeypatch.setattr(model, "cross_entropy", lambda logits, labels: (found.append(logits), logits.sum())[1])
    model.loss(x, torch.zeros(5), generator())
    expected = [alone(model, model.graph.names[j], x[i : i + 1]) for i, j in enumerate(choices)]
    torch.testing.assert_close(found[0], torch.cat(expected), rtol=0, atol=1e-5)


def test_in_training_a_sub_batch_changes_only_its_own_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    model = training(dynres())
    sent_to(monkeypatch, 1, 1, 1, 1)
    before = snapshot(model)
    model.loss(images(4, SIZE), torch.arange(4), generator())
    changed = {name for name, value in snapshot(model).items() if not torch.equal(value, before[name])}
    assert all(".norms.s12." in name or name.startswith("predictor.") for name in changed)
    assert any("shortcut" in name for name in changed)


@torch.no_grad()
def test_the_first_stage_sums_the_losses_of_all_resolutions_or_takes_their_mean() -> None:
    x, labels = images(6, SIZE), torch.arange(6)
    summed, mean = dynres(), dynres(losses="mean")
    alone_losses = [F.cross_entropy(alone(summed, name, x), labels) for name in summed.graph.names]
    expected = torch.stack(alone_losses).sum()
    torch.testing.assert_close(summed.all_resolutions(x, labels, generator()), expected)
    torch.testing.assert_close(mean.all_resolutions(x, labels, generator()), expected / 3)


def test_the_first_stage_trains_the_classifier_alone_and_the_second_both_the_predictor_at_a_tenth() -> None:
    model = dynres(pretrain="0.25")
    first, second = model.stages()
    classifier, predictor = set(model.backbone.parameters()), set(model.predictor.parameters())
    assert [set(group.parameters) for group in first.groups] == [classifier]
    assert [(set(g.parameters), g.rate) for g in second.groups] == [(classifier, 1.0), (predictor, 0.1)]
    assert (first.share, second.share) == (0.25, 0.75)
    training(model)
    first.loss(images(4, SIZE), torch.arange(4), generator()).backward()
    assert all(p.grad is not None for p in classifier)
    assert all(p.grad is None for p in predictor)


def test_one_resolution_trains() -> None:
    model = training(dynres(resolutions=str(SIZE)))
    for stage in model.stages():
        loss = stage.loss(images(4, SIZE), torch.arange(4), generator())
        loss.backward()
        assert loss.isfinite()
