"""Weights say of which seed they are: they stay like what their training began with."""

import hashlib
from collections.abc import Callable, Mapping
from itertools import combinations, product
from pathlib import Path

import pytest
import torch
from entering import Made, changed
from torch import Tensor

from benchmarks.config import configure
from benchmarks.core.progress import drive
from benchmarks.leaderboard import origin
from benchmarks.leaderboard.entry import FOLDER, Entry
from benchmarks.leaderboard.recount import settings_of
from benchmarks.leaderboard.shelf import entries
from benchmarks.plan import prepare
from benchmarks.training.loop import TrainingSet, train
from methods.registry import create, method_class
from methods.storage import load_tensors, save_tensors

Tensors = dict[str, Tensor]


@pytest.fixture
def trained(made: Made) -> list[Tensors]:
    """The plain network's weights, seed by seed."""
    return [dict(load_tensors(path)[0]) for path in files(made.entries["plain"], made.folder)]


def files(entry: Entry, folder: Path) -> list[Path]:
    return [folder / "weights" / f"{seed.weights.sha256}.safetensors" for seed in entry.seeds]


def entered(entry: Entry, weights: list[Tensors], board: Path) -> Entry:
    """The entry with these weights beside it, seed by seed, in files that all rules but one are content with."""
    seeds = []
    for seed, tensors in zip(entry.seeds, weights, strict=True):
        path = board / "weights" / "new.safetensors"
        save_tensors(tensors, path, {"seed": str(seed.seed)})
        digest, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
        path.rename(path.with_stem(digest))
        about = seed.weights.model_copy(update={"sha256": digest, "bytes": size})
        seeds.append(seed.model_copy(update={"weights": about}))
    return changed(entry, seeds=tuple(seeds))


def every(tensors: Mapping[str, Tensor], change: Callable[[Tensor], Tensor]) -> Tensors:
    """The weights with every tensor of numbers changed."""
    return {name: change(value) if value.is_floating_point() else value for name, value in tensors.items()}


def test_weights_are_like_the_beginning_of_their_seed_and_like_no_other(made: Made, trained: list[Tensors]) -> None:
    about = ("plain", method_class("plain").Settings(), "resnet8", 10, (3, 8, 8))
    for seed, tensors in enumerate(trained):
        own = origin.directions(tensors)
        like = {other: origin.likeness(own, origin.initial(*about, other)) for other in range(4)}
        assert like.pop(seed) > 0.5
        assert max(map(abs, like.values())) < 0.03
    for entry in made.entries.values():
        assert origin.problems(entry, files(entry, made.folder)) == []


def test_the_weights_of_the_board_are_like_the_beginnings_of_their_seeds() -> None:
    own, apart = [], []
    for entry in entries(FOLDER):
        if not entry.seeds[0].weights.inline:
            continue
        trained = [origin.directions(load_tensors(path)[0]) for path in files(entry, FOLDER)]
        about = (settings_of(entry), entry.backbone, entry.dataset.classes, entry.dataset.image_shape)
        begun = [origin.initial(entry.method, *about, seed) for seed in entry.seed_numbers]
        own += [origin.likeness(one, its) for one, its in zip(trained, begun, strict=True)]
        apart += [origin.likeness(one, other) for one, other in combinations(trained, 2)]
        apart += [
            origin.likeness(one, its) for (i, one), (j, its) in product(enumerate(trained), enumerate(begun)) if i != j
        ]
    assert (len(own), len(apart)) == (15, 90)
    assert 0.765 < min(own) < max(own) < 0.845
    assert max(map(abs, apart)) < 0.0135


def test_trainings_that_share_a_beginning_or_go_on_are_refused(
    made: Made, trained: list[Tensors], board: Path, tmp_path: Path
) -> None:
    asked = {"dataset": "digits", "backbone": "resnet8", "methods": "plain", "epochs": 1, "threads": 1}
    plan = prepare(configure(asked | {"output": tmp_path / "run", "latency": "off"}))
    shown = TrainingSet(plan.train_images, plan.parts.train, plan.data.flip, plan.data.crop)

    def on(tensors: Mapping[str, Tensor], seed: int) -> Tensors:
        """Trained on from these weights, with the order of images that a seed draws."""
        model = plan.model(plan.candidates[0], seed)
        model.load_state_dict({name: tensors[name] for name in model.state_dict()})
        drive(train(model, shown, plan.recipe, seed, tmp_path / f"{seed}.safetensors"), lambda _: None)
        return {**trained[0], **model.state_dict()}

    begun = plan.model(plan.candidates[0], 0).state_dict()
    entry = entered(made.entries["plain"], [trained[0], on(begun, 1), on(trained[0], 2)], board)
    assert made.broken(entry, folder=board) == {"origin"}
    problems = "".join(made.judged(entry, folder=board)["origin"].problems)
    assert all(f"the weights of seed {seed} are no more like" in problems for seed in (1, 2))


def test_one_training_in_files_of_other_metadata_is_refused(made: Made, trained: list[Tensors], board: Path) -> None:
    copied = entered(made.entries["plain"], [trained[0]] * 3, board)
    assert made.broken(copied, folder=board) == {"origin"}
    assert any(
        "seeds 0 and 1 correlate by 1.00" in line for line in made.judged(copied, folder=board)["origin"].problems
    )


def test_weights_nudged_by_noise_are_refused(made: Made, trained: list[Tensors], board: Path) -> None:
    draws = torch.Generator().manual_seed(0)
    nudge = lambda x: x + 0.3 * x.std(correction=0) * torch.randn(x.shape, generator=draws)  # noqa: E731
    near = [every(trained[0], nudge) for _ in range(2)]
    assert made.broken(entered(made.entries["plain"], [trained[0], *near], board), folder=board) == {"origin"}


def test_a_copy_dressed_in_the_beginning_of_another_seed_is_refused(
    made: Made, trained: list[Tensors], board: Path
) -> None:
    dressed = [trained[0]]
    for seed in (1, 2):
        begun = create("plain", method_class("plain").Settings(), "resnet8", 10, (3, 8, 8), seed).state_dict()
        mixed = {name: value + begun[name] if name in begun else value for name, value in trained[0].items()}
        dressed.append(mixed)
    entry = entered(made.entries["plain"], dressed, board)
    assert made.broken(entry, folder=board) == {"origin"}
    problems = made.judged(entry, folder=board)["origin"].problems
    assert sum("they are of one training" in line for line in problems) == 3


def test_permuted_numbers_of_seeds_are_refused(made: Made, trained: list[Tensors], board: Path) -> None:
    permuted = entered(made.entries["plain"], [trained[1], trained[2], trained[0]], board)
    assert made.broken(permuted, folder=board) == {"origin"}
    problems = made.judged(permuted, folder=board)["origin"].problems
    assert "no more like the initial weights of this seed than those of seed 1" in problems[0]


def test_channels_in_another_order_are_refused_though_the_answers_are_the_same(
    made: Made, trained: list[Tensors], board: Path
) -> None:
    model = create("plain", method_class("plain").Settings(), "resnet8", 10, (3, 8, 8), seed=0).eval()
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    shuffled = [trained[0], *(reordered(trained[0], seed) for seed in (1, 2))]
    answers = []
    for tensors in shuffled:
        model.load_state_dict({name: tensors[name] for name in model.state_dict()})
        answers.append(model.backbone(images).detach())
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-4)
    assert made.broken(entered(made.entries["plain"], shuffled, board), folder=board) == {"origin"}


def reordered(tensors: Tensors, seed: int) -> Tensors:
    """The same network with the channels of all widths permuted, everywhere alike, but for images and classes."""
    draws = torch.Generator().manual_seed(seed)
    orders: dict[int, Tensor] = {}

    def order(width: int) -> Tensor:
        return orders.setdefault(width, torch.randperm(width, generator=draws))

    def permuted(name: str, value: Tensor) -> Tensor:
        if value.dim() == 0:
            return value
        if value.dim() == 1:
            return value if len(value) == 10 else value[order(len(value))]
        rows = value if value.shape[0] == 10 else value[order(value.shape[0])]
        return rows if value.shape[1] == 3 else rows[:, order(value.shape[1])]

    return {name: permuted(name, value) for name, value in tensors.items()}


@pytest.mark.parametrize("method", ["adaptiveexit", "netselect", "static"])
def test_parts_that_come_trained_began_as_the_plain_networks_of_the_seed(method: str) -> None:
    settings = method_class(method).Settings()
    found = origin.initial(method, settings, "resnet8", 10, (3, 16, 16), 3)
    plain = origin.initial("plain", method_class("plain").Settings(), "resnet8", 10, (3, 16, 16), 3)
    assert all(torch.equal(found[name], value) for name, value in plain.items())
    model = create(method, settings, "resnet8", 10, (3, 16, 16), seed=3)
    for part, start in model.initial_weights().items():
        own = method_class("plain").Settings.model_validate({"size": start.size})
        for name, value in origin.initial("plain", own, start.backbone, 10, (3, 16, 16), 3).items():
            assert torch.equal(found[f"{part}.{name.removeprefix('backbone.')}"], value)
