"""A run goes on where it was: nothing twice, nothing different."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import RECIPE, Finished, do, model, points, silent, small, tables, training_set

import benchmarks.data
from benchmarks import trainings
from benchmarks.core.progress import Progress, drive
from benchmarks.data.base import DataSet, Split
from benchmarks.training.loop import train
from methods.base import AdjustableModel
from methods.storage import load_tensors

STEPS = 40 // RECIPE.batch  # an epoch of `training_set`, the rest of it left out
RECIPES = {
    "sgd": RECIPE,
    "without momentum": RECIPE.model_copy(update={"momentum": 0.0, "nesterov": False}),
    "adam": RECIPE.model_copy(update={"optimizer": "adam", "lr": 0.001}),
}


def weights(network: AdjustableModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("steps", [1, STEPS, STEPS + 1, 2 * STEPS + 1, 3 * STEPS])
def test_an_interrupted_training_ends_as_one_that_never_was(recipe: Any, steps: int, tmp_path: Path) -> None:
    whole = model("sdpoint")
    expected = drive(train(whole, training_set(), recipe, 7, tmp_path / "whole.safetensors"))
    checkpoint = tmp_path / "state.safetensors"
    first = train(model("sdpoint"), training_set(), recipe, 7, checkpoint)
    for _ in range(steps):
        next(first)
    first.close()
    assert checkpoint.exists() == (steps > STEPS)
    resumed = model("sdpoint", seed=99)  # what it held before does not matter
    if not checkpoint.exists():
        resumed = model("sdpoint")
    found = drive(train(resumed, training_set(), recipe, 7, checkpoint))
    assert equal(weights(resumed), weights(whole))
    assert (found.images, found.losses) == (expected.images, expected.losses)


def test_a_resumed_training_does_only_what_is_left(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state.safetensors"
    first = train(model(), training_set(), RECIPE, 7, checkpoint)
    for _ in range(STEPS + 1):
        next(first)
    first.close()
    shown: list[Progress] = []
    drive(train(model(), training_set(), RECIPE, 7, checkpoint), shown.append)
    total = 3 * STEPS * RECIPE.batch
    assert shown[0] == Progress((STEPS + 1) * RECIPE.batch, total)
    assert shown[-1] == Progress(total, total)
    assert len(shown) == 2 * STEPS


@pytest.mark.parametrize("left", [b"", b"garbage", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_corrupt_epoch_checkpoint_starts_the_training_over(left: bytes, tmp_path: Path) -> None:
    whole, again = model(), model()
    drive(train(whole, training_set(), RECIPE, 7, tmp_path / "whole.safetensors"))
    (tmp_path / "state.safetensors").write_bytes(left)
    drive(train(again, training_set(), RECIPE, 7, tmp_path / "state.safetensors"))
    assert equal(weights(again), weights(whole))


def test_a_truncated_epoch_checkpoint_starts_the_training_over(tmp_path: Path) -> None:
    whole, again, path = model(), model(), tmp_path / "state.safetensors"
    drive(train(whole, training_set(), RECIPE, 7, path))
    path.write_bytes(path.read_bytes()[:-100])
    drive(train(again, training_set(), RECIPE, 7, path))
    assert equal(weights(again), weights(whole))


def stop_after(images: int) -> Any:
    """A display that the user stops with Control-C, during a training of sdpoint."""

    @contextmanager
    def show(description: str) -> Iterator[Any]:
        def update(progress: Progress) -> None:
            if description == "sdpoint: training" and progress.done > images:
                raise KeyboardInterrupt

        yield update

    return show


def test_a_stopped_run_goes_on_from_its_last_epoch_to_the_same_results(finished: Finished, tmp_path: Path) -> None:
    config = small(tmp_path, methods="sdpoint", epochs=2)
    with pytest.raises(KeyboardInterrupt):
        do(config, stop_after(1200))  # in its second epoch of 1151 images
    assert [path.name[:7] for path in tmp_path.glob("checkpoints/*.epoch.safetensors")] == ["sdpoint"]
    assert not (tmp_path / "points.csv").exists()
    runner, outcome = do(config)
    kinds = {record.name[:5] + record.kind for record in outcome.records if record.key in runner.store.reused}
    assert kinds == {"plain" + kind for kind in ("train", "statistics", "table-calibration", "table-test", "execution")}
    assert not list(tmp_path.glob("checkpoints/*.epoch.safetensors"))
    whole = tables(finished.folder, "test")
    for name, table in tables(tmp_path, "test").items():
        assert (table.loss == whole[name].loss).all()


def state_of(folder: Path, pattern: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob(pattern)}


@pytest.fixture(scope="module")
def exits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of early exits."""
    folder = tmp_path_factory.mktemp("exits") / "run"
    do(small(folder, methods="earlyexit"))
    return folder


@pytest.fixture
def again(exits: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test to run in again."""
    return Path(shutil.copytree(exits, tmp_path / "again"))


def test_a_second_identical_run_does_nothing_again(again: Path) -> None:
    config = small(again, methods="earlyexit")
    before = [state_of(again, pattern) for pattern in ("*.safetensors", "*.npz", "jobs/*.json")]
    text = (again / "points.csv").read_text()
    described: list[str] = []

    @contextmanager
    def show(description: str) -> Iterator[Any]:
        described.append(description)
        yield lambda progress: None

    runner, outcome = do(config, show)
    assert described == []
    assert len(runner.store.reused) == len(outcome.records) > 8
    assert before == [state_of(again, pattern) for pattern in ("*.safetensors", "*.npz", "jobs/*.json")]
    assert text == (again / "points.csv").read_text()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"points": 5}, {"earlyexit execution"}),
        (
            {"methods": "earlyexit:rule=margin"},
            {f"earlyexit {kind}" for kind in ("statistics", "table-calibration", "table-test", "execution")},
        ),
        (
            {"set": {"earlyexit.weights": "1,1,2"}},
            {f"earlyexit {kind}" for kind in ("train", "statistics", "table-calibration", "table-test", "execution")},
        ),
    ],
)
def test_changed_settings_redo_only_what_depends_on_them(
    change: dict[str, Any], expected: set[str], again: Path
) -> None:
    runner, outcome = do(small(again, **{"methods": "earlyexit", **change}))
    done = [record for record in outcome.records if record.key not in runner.store.reused]
    assert {f"{record.name.partition('-')[0]} {record.kind}" for record in done} == expected


def test_variants_that_differ_at_inference_only_share_one_training(finished: Finished) -> None:
    results = {(r.candidate.name, r.candidate.variant): r for r in finished.outcome.results}
    instance, uniform = results["sdpoint", "default"], results["sdpoint", "bn=uniform"]
    one, other = load_tensors(instance.model)[0], load_tensors(uniform.model)[0]
    assert all(torch.equal(one[name], value) for name, value in other.items())
    assert not any(name.startswith("statistics/") for name in other)
    trained = [record.name for record in finished.outcome.records if record.kind == "train"]
    assert [name.partition("-")[0] for name in trained] == ["plain", "sdpoint", "earlyexit"]


def test_nothing_of_a_fresh_run_counts_as_done_before(finished: Finished) -> None:
    assert finished.runner.store.reused == set()


def test_early_exits_start_from_the_plain_weights_and_pay_for_their_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, torch.Tensor]] = []

    def spy(network: AdjustableModel, *given: Any) -> Any:
        begun.append(weights(network))
        return train(network, *given)

    monkeypatch.setattr(trainings, "train", spy)
    _, outcome = do(small(tmp_path, methods="earlyexit,earlyexit:init=plain"))
    plain, fresh, started = outcome.results
    trained = load_tensors(next((tmp_path / "checkpoints").glob("plain-*.safetensors")))[0]
    assert all(torch.equal(begun[2][name], value) for name, value in trained.items())
    assert len(trained) == 56
    assert not equal(begun[1], begun[2])
    macs = [result.identity.train_macs for result in (plain, fresh, started)]
    assert macs[2] == pytest.approx(macs[0] + macs[1])


def with_a_test_split_of(count: int, data: DataSet) -> DataSet:
    test = data.test
    return replace(data, test=Split(test.images[:count], test.labels[:count], test.ids[:count]))


def test_a_table_of_another_test_split_is_never_taken_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, samples = benchmarks.data.load, []
    for count in (100, 200, 100):
        monkeypatch.setattr(benchmarks.data, "load", lambda *given, c=count: with_a_test_split_of(c, clean(*given)))
        do(small(tmp_path, methods="plain"))
        (tmp_path / "run.json").unlink()  # which says that the folder is of another data set
        samples.append(int(points(tmp_path)["samples"].iloc[0]))
    assert samples == [100, 200, 100]


def test_a_result_whose_file_is_gone_is_made_again(tmp_path: Path) -> None:
    config = small(tmp_path, methods="plain")
    do(config)
    (gone,) = (tmp_path / "paths").glob("*.test.npz")
    gone.unlink()
    runner, outcome = do(config)
    assert gone.exists()
    assert len(outcome.records) - len(runner.store.reused) == 1


def test_two_spellings_of_the_same_settings_are_run_once(tmp_path: Path) -> None:
    _, outcome = do(small(tmp_path, methods="sdpoint,sdpoint:bn=instance,plain"), silent)
    assert [result.candidate.name for result in outcome.results] == ["plain", "sdpoint"]
    assert not points(tmp_path).duplicated(["method", "variant", "seed", "point"]).any()
