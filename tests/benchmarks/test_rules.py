"""The rules of honest measurement: what test images may touch, and that a run repeats itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
import torch
from harness import METHODS, RECIPE, Finished, do, job_keys, model, points, poisoned, same, small, tables, training_set

import benchmarks.data
from benchmarks.core.progress import Progress, drive
from benchmarks.training.loop import stream, train
from methods.storage import load, load_tensors

CHOSEN = ["method", "variant", "point", "selected", "calibration_macs", "calibration_accuracy", "decision"]


@pytest.fixture(scope="module")
def after_poisoning(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The run of `finished` again, elsewhere, with another test split."""
    folder = tmp_path_factory.mktemp("poisoned") / "run"
    clean = benchmarks.data.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmarks.data, "load", lambda *given: poisoned(clean(*given)))
        return Finished(folder, *do(small(folder, methods=METHODS, epochs=2)))


def stored(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {path.name: load_tensors(path)[0] for path in (folder / "models").glob("*.safetensors")}


def test_test_images_change_no_weight_and_no_batch_norm_statistic(
    finished: Finished, after_poisoning: Finished
) -> None:
    before, after = stored(finished.folder), stored(after_poisoning.folder)
    assert before.keys() == after.keys()
    with_statistics = [tensors for tensors in before.values() if any(n.startswith("statistics/") for n in tensors)]
    assert len(with_statistics) == len(before) - 1  # all but sdpoint:bn=uniform
    for name, tensors in before.items():
        assert tensors.keys() == after[name].keys()
        assert all(torch.equal(value, after[name][key]) for key, value in tensors.items())


def test_test_images_change_no_threshold_and_no_operating_point(finished: Finished, after_poisoning: Finished) -> None:
    before = [result.points for result in finished.outcome.results]
    assert before == [result.points for result in after_poisoning.outcome.results]
    assert sum(len(chosen) for chosen in before) > 20
    for result in after_poisoning.outcome.results:
        assert load(result.model).points == result.points


def test_test_images_change_nothing_that_is_selected(finished: Finished, after_poisoning: Finished) -> None:
    before, after = points(finished.folder), points(after_poisoning.folder)
    own = before["kind"] == "point"
    assert before.loc[own, CHOSEN].equals(after.loc[own, CHOSEN])
    assert before["selected"].any()


def test_test_images_change_no_key_of_training_statistics_or_calibration(
    finished: Finished, after_poisoning: Finished
) -> None:
    before, after = job_keys(finished.outcome), job_keys(after_poisoning.outcome)
    assert before.keys() == after.keys()
    changed = {kind for name, kind in before if before[name, kind] != after[name, kind]}
    assert changed == {"table-test", "execution"}


def test_test_images_do_change_the_test_tables(finished: Finished, after_poisoning: Finished) -> None:
    before, after = tables(finished.folder, "test"), tables(after_poisoning.folder, "test")
    assert before.keys() == after.keys()
    assert not any(same(table, after[name]) for name, table in before.items())
    calibration = tables(after_poisoning.folder, "calibration")
    assert all(same(table, calibration[name]) for name, table in tables(finished.folder, "calibration").items())


def test_the_same_configuration_and_seed_give_the_same_predictions_bit_for_bit(
    finished: Finished, tmp_path: Path
) -> None:
    do(small(tmp_path / "again", methods=METHODS, epochs=2))
    before, after = tables(finished.folder, "test"), tables(tmp_path / "again", "test")
    assert before.keys() == after.keys()
    assert all(same(table, after[name]) for name, table in before.items())
    assert (finished.folder / "points.csv").read_text() == (tmp_path / "again/points.csv").read_text()


def test_another_seed_gives_other_weights(finished: Finished, tmp_path: Path) -> None:
    _, outcome = do(small(tmp_path, methods="plain", epochs=2, seeds="1"))
    one, other = (load_tensors(r.model)[0] for r in (finished.outcome.results[0], outcome.results[0]))
    convolutions = [name for name, value in one.items() if value.ndim == 4]
    assert len(convolutions) == 9  # resnet8: a stem, three blocks of two, two shortcuts
    assert not any(torch.equal(one[name], other[name]) for name in convolutions)


def seen_by_a_loss_that_draws(count: int, checkpoint: Path) -> list[torch.Tensor]:
    """The inputs of every step of a training whose loss draws `count` numbers a step."""
    network, seen = model(), []
    own = network.loss

    def loss(images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        torch.rand(count, generator=generator)
        seen.append(images.clone())
        return own(images, labels, generator)

    network.loss = loss  # type: ignore[method-assign]
    drive(train(network, training_set(), RECIPE, 3, checkpoint))
    return seen


def test_what_a_method_draws_disturbs_neither_order_nor_augmentation(tmp_path: Path) -> None:
    few = seen_by_a_loss_that_draws(0, tmp_path / "few.safetensors")
    many = seen_by_a_loss_that_draws(1000, tmp_path / "many.safetensors")
    assert len(few) == len(many) == 6
    assert all(torch.equal(a, b) for a, b in zip(few, many, strict=True))


def test_every_use_of_randomness_has_a_stream_of_its_own() -> None:
    positions = list(product((0, 1), (0, 1), (0, 1), range(3)))  # seed, stage, epoch, use
    draws = {int(torch.randint(2**62, (), generator=stream(*position))) for position in positions}
    assert len(draws) == len(positions)


def test_a_run_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    do(small(tmp_path, methods="sdpoint"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_job_of_a_run_is_shown_to_its_end_and_never_goes_back(tmp_path: Path) -> None:
    shown: dict[str, list[Progress]] = {}

    @contextmanager
    def show(description: str) -> Iterator[Callable[[Progress], None]]:
        assert description not in shown
        yield shown.setdefault(description, []).append

    do(small(tmp_path, methods="earlyexit"), show)
    assert "earlyexit: executed against simulated" in shown
    for description, steps in shown.items():
        assert [p.done for p in steps] == sorted(p.done for p in steps), description
        assert len({p.total for p in steps}) == 1, description
        assert steps[-1].done == steps[-1].total, description
