"""Trainings of several stages, with frozen parts and with draws: interrupted, repeated, and never disturbing others."""

from pathlib import Path

import pytest
import torch
from harness import RECIPE, model, training_set

from benchmarks.core.progress import drive
from benchmarks.training.loop import train
from methods.base import AdjustableModel

STEPS = 40 // RECIPE.batch
NEW = {
    "dynres": {"predictor": "resnet8:width=2", "pretrain": "0.34"},  # one epoch, then two
    "multiscale": {"bn": "private", "sizes": "3"},
    "adaptiveexit": {},  # a third of three epochs
}
EPOCHS = {"dynres": 3, "multiscale": 3, "adaptiveexit": 1}


def made(name: str, seed: int = 0) -> AdjustableModel:
    return model(name, NEW[name], seed)


def weights(network: AdjustableModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("name", NEW)
def test_a_training_repeats_itself_bit_for_bit_whatever_torch_draws_elsewhere(name: str, tmp_path: Path) -> None:
    found = []
    for attempt in (0, 1):
        network = made(name)
        torch.manual_seed(attempt)
        drive(train(network, training_set(), RECIPE, 7, tmp_path / f"{attempt}.safetensors"))
        found.append(weights(network))
    assert equal(*found)


@pytest.mark.parametrize("name", NEW)
def test_it_has_the_epochs_of_its_stages_together(name: str, tmp_path: Path) -> None:
    trained = drive(train(made(name), training_set(), RECIPE, 7, tmp_path / "state.safetensors"))
    assert len(trained.losses) == EPOCHS[name]
    assert trained.images == EPOCHS[name] * STEPS * RECIPE.batch


@pytest.mark.parametrize("steps", [STEPS + 1, 2 * STEPS, 2 * STEPS + 1])
@pytest.mark.parametrize("name", ["dynres", "multiscale"])
def test_interrupted_within_or_between_stages_it_ends_as_one_that_never_was(
    name: str, steps: int, tmp_path: Path
) -> None:
    whole = made(name)
    expected = drive(train(whole, training_set(), RECIPE, 7, tmp_path / "whole.safetensors"))
    first = train(made(name), training_set(), RECIPE, 7, tmp_path / "state.safetensors")
    for _ in range(steps):
        next(first)
    first.close()
    resumed = made(name, seed=99)
    found = drive(train(resumed, training_set(), RECIPE, 7, tmp_path / "state.safetensors"))
    assert equal(weights(resumed), weights(whole))
    assert found.losses == expected.losses


@pytest.mark.parametrize("name", ["dynres", "multiscale", "adaptiveexit"])
def test_only_what_a_stage_names_is_changed_by_it(name: str, tmp_path: Path) -> None:
    network = made(name)
    before = weights(network)
    running = train(network, training_set(), RECIPE, 7, tmp_path / "state.safetensors")
    for _ in range(STEPS):  # the first epoch, of the first stage
        next(running)
    running.close()
    changed = {key for key, value in weights(network).items() if not torch.equal(value, before[key])}
    still = {"dynres": "predictor.", "adaptiveexit": "backbone.", "multiscale": "heads."}[name]
    assert changed
    assert not any(key.startswith(still) for key in changed)


def test_a_mini_batch_of_two_trains_though_a_resolution_may_get_one_image_or_none(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"batch": 2, "lr": 0.01})
    trained = drive(train(made("dynres"), training_set(12), recipe, 3, tmp_path / "state.safetensors"))
    assert all(torch.isfinite(torch.tensor(trained.losses)))


@pytest.mark.parametrize("name", ["dynres", "multiscale"])
def test_what_a_method_draws_disturbs_neither_order_nor_augmentation(name: str, tmp_path: Path) -> None:
    seen: dict[str, list[torch.Tensor]] = {}
    for method in ("plain", name):
        network = model("plain") if method == "plain" else made(name)
        seen[method] = images = []
        own = network.trace

        def trace(x: torch.Tensor, outputs: object = None, own=own, images=images):  # type: ignore[no-untyped-def]
            if len(x) == RECIPE.batch:  # not a sub-batch
                images.append(x.clone())
            return own(x, outputs)

        network.trace = trace  # type: ignore[method-assign]
        running = train(network, training_set(), RECIPE, 3, tmp_path / f"{method}.safetensors")
        for _ in range(STEPS):
            next(running)
        running.close()
    assert len(seen["plain"]) == len(seen[name]) == STEPS
    assert all(torch.equal(a, b) for a, b in zip(seen["plain"], seen[name], strict=True))
