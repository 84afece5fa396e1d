"""The training loop: rates, stages, small sets, and what stops it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import RECIPE, model, training_set
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.core.errors import TrainingError, UsageError
from benchmarks.core.progress import Progress, drive
from benchmarks.training.loop import epochs_per_stage, train
from benchmarks.training.recipes import Recipe, recipe, recipes
from methods.base import Group, Stage

COSINE = RECIPE.model_copy(update={"epochs": 10, "warmup": 2.0, "lr": 0.4})
STEPS = COSINE.model_copy(update={"schedule": "steps", "milestones": (4.0, 8.0), "gamma": 0.1, "warmup": 0.0})


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 0.0), (0.5, 0.1), (1, 0.2), (2, 0.4), (6, 0.2), (8, 0.4 * 0.5 * (1 - 0.5**0.5)), (10, 0.0)]
)  # fmt: skip
def test_the_rate_rises_linearly_then_falls_as_a_cosine(epoch: float, rate: float) -> None:
    assert COSINE.rate(epoch, 10) == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.4), (3.9, 0.4), (4, 0.04), (7.9, 0.04), (8, 0.004), (9.9, 0.004)])
def test_the_rate_falls_at_the_milestones(epoch: float, rate: float) -> None:
    assert STEPS.rate(epoch, 10) == pytest.approx(rate)


def test_a_constant_rate_stays_after_its_warm_up() -> None:
    constant = COSINE.model_copy(update={"schedule": "constant"})
    assert [constant.rate(epoch, 10) for epoch in (2, 5, 9.9)] == [0.4, 0.4, 0.4]


@given(st.sampled_from(sorted(recipes())), st.integers(1, 300), st.floats(0, 1, exclude_max=True))
def test_a_stretched_recipe_is_the_same_curve(name: str, epochs: int, done: float) -> None:
    own, stretched = recipe(name), recipe(name).with_epochs(epochs)
    assert stretched.epochs == epochs
    near = [m / own.epochs for m in (*own.milestones, own.warmup)]
    if all(abs(done - place) > 1e-6 for place in near):
        assert stretched.rate(done * epochs, epochs) == pytest.approx(own.rate(done * own.epochs, own.epochs), abs=1e-6)


@given(st.sampled_from(sorted(recipes())), st.integers(1, 300), st.floats(0, 1, exclude_max=True))
def test_every_rate_is_between_zero_and_the_recipes(name: str, epochs: int, done: float) -> None:
    made = recipe(name).with_epochs(epochs)
    assert 0 <= made.rate(done * epochs, epochs) <= made.lr


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'smoke'"):
        recipe("smoek")


@pytest.mark.parametrize(
    ("epochs", "shares", "expected"),
    [(10, [1.0], [10]), (10, [0.5, 0.5], [5, 5]), (10, [0.25, 0.75], [2, 8]), (1, [0.5, 0.5], [1, 1]),
     (7, [0.3, 0.3, 0.4], [2, 2, 3])],
)  # fmt: skip
def test_stages_share_the_epochs_and_the_last_takes_the_rest(
    epochs: int, shares: list[float], expected: list[int]
) -> None:
    assert epochs_per_stage(epochs, shares) == expected


@given(st.integers(1, 200), st.lists(st.floats(0.01, 1), min_size=1, max_size=4))
def test_every_stage_has_an_epoch_and_none_are_lost(epochs: int, weights: list[float]) -> None:
    plan = epochs_per_stage(epochs, [weight / sum(weights) for weight in weights])
    assert min(plan) >= 1
    assert abs(sum(plan) - epochs) < len(plan)


def trained(checkpoint: Path, network: Any = None, made: Recipe = RECIPE, count: int = 40) -> Any:
    shown: list[Progress] = []
    found = drive(train(network or model(), training_set(count), made, 0, checkpoint), shown.append)
    return found, shown


@pytest.mark.parametrize(("count", "an_epoch"), [(40, 32), (32, 32), (16, 16), (10, 10), (3, 3)])
def test_images_are_counted_as_they_are_seen_however_few_there_are(count: int, an_epoch: int, tmp_path: Path) -> None:
    found, shown = trained(tmp_path / "state.safetensors", count=count)
    assert found.images == 3 * an_epoch
    assert shown[-1] == Progress(3 * an_epoch, 3 * an_epoch)
    assert [p.done for p in shown] == sorted({p.done for p in shown})
    assert len(found.losses) == 3


def test_a_loss_that_is_not_finite_stops_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    network = model()
    network.loss = lambda *given: next(network.parameters()).sum() * float("inf")  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"epoch 1, step 1\): lower the learning rate, now 0.05"):
        trained(tmp_path / "state.safetensors", network)


def test_every_epoch_sees_every_image_at_most_once_in_another_order(tmp_path: Path) -> None:
    network, data = model(), training_set(48, flip=False, crop=0)
    data.images.labels[:] = torch.arange(48) % 10
    data.images.pixels[:] = torch.arange(48, dtype=torch.uint8)[:, None, None, None]
    seen: list[list[int]] = []
    own = network.loss

    def loss(images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        numbers = ((images[:, 0, 0, 0] + 2) * 64).round().long()
        assert torch.equal(numbers % 10, labels)
        seen.append(numbers.tolist())
        return own(images, labels, generator)

    network.loss = loss  # type: ignore[method-assign]
    drive(train(network, data, RECIPE, 0, tmp_path / "state.safetensors"))
    epochs = [[*seen[i], *seen[i + 1], *seen[i + 2]] for i in range(0, 9, 3)]
    assert all(sorted(epoch) == list(range(48)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_stage_changes_only_the_parameters_it_names(tmp_path: Path) -> None:
    network = model("earlyexit")
    before = {name: value.clone() for name, value in network.named_parameters()}
    heads = tuple(network.heads.parameters())
    network.stages = lambda: [  # type: ignore[method-assign]
        Stage("heads", 1.0, network.loss, (Group(heads),))
    ]
    trained(tmp_path / "state.safetensors", network)
    changed = {name.partition(".")[0] for name, value in network.named_parameters()
               if not torch.equal(value, before[name])}  # fmt: skip
    assert changed == {"heads"}


def test_training_learns_what_can_be_learnt(tmp_path: Path) -> None:
    data = training_set(64, flip=False, crop=0)
    data.images.pixels[:] = (data.images.labels * 25).to(torch.uint8)[:, None, None, None]
    network = model()
    made = RECIPE.model_copy(update={"epochs": 15})
    found = drive(train(network, data, made, 0, tmp_path / "state.safetensors"))
    assert found.losses[-1] < found.losses[0] / 2
    assert not network.training


def test_label_smoothing_reaches_the_loss(tmp_path: Path) -> None:
    smooth = RECIPE.model_copy(update={"label_smoothing": 0.2})
    plain, _ = trained(tmp_path / "plain.safetensors")
    smoothed, _ = trained(tmp_path / "smooth.safetensors", made=smooth)
    assert not np.allclose(plain.losses, smoothed.losses)


def test_every_step_has_the_rate_of_its_place_in_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = torch.optim.SGD.step

    def spy(self: torch.optim.SGD, *given: Any) -> Any:
        rates.extend(group["lr"] for group in self.param_groups)
        return step(self, *given)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    trained(tmp_path / "state.safetensors")
    assert rates == [RECIPE.rate(place, 3) for place in (0, 0.5, 1, 1.5, 2, 2.5)]
