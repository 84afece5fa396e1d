"""Path tables of real images, and executed routing against them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from harness import model, training_set
from numpy.typing import NDArray

from benchmarks.core.progress import Progress, drive
from benchmarks.data.batches import Images
from benchmarks.evaluation import collecting, execution
from benchmarks.evaluation.collecting import collect, collect_statistics
from benchmarks.evaluation.execution import Agreement, check
from methods.base import AdjustableModel
from methods.routers import Constant, OperatingPoint, Threshold
from methods.routing import simulate
from methods.table import PathTable

DATA = training_set(60)
SAMPLES = np.arange(5, 55)


@pytest.fixture(autouse=True)
def _as_users_do(users_checks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "CHECKS", users_checks)


@pytest.fixture(scope="module")
def exits() -> AdjustableModel:
    network = model("earlyexit")
    drive(collect_statistics(network, DATA.images, np.arange(60)))
    return network


@pytest.fixture(scope="module")
def table(exits: AdjustableModel) -> PathTable:
    return drive(collect(exits, exits.costs(), DATA.images, SAMPLES, SAMPLES + 100))


def images_of(samples: NDArray[np.int64]) -> Images:
    """Those images alone, so that positions in the table are positions in them."""
    return replace(DATA.images, pixels=DATA.images.pixels[samples], labels=DATA.images.labels[samples])


def sure_above(value: float) -> OperatingPoint:
    router = Threshold(signal="max_prob", cascade=(0, 1, 2), thresholds=(value, value))
    return OperatingPoint(name=f"max_prob>={value:g}", router=router)


def test_a_table_holds_what_each_answer_says_alone(exits: AdjustableModel, table: PathTable) -> None:
    inputs = DATA.images.inputs(DATA.images.pixels[SAMPLES])
    for number, name in enumerate(exits.graph.names):
        with torch.inference_mode():
            logits = exits.execute(inputs, Constant(answer=number)).logits
        assert torch.equal(torch.from_numpy(table.prediction[number]), logits.argmax(1)), name
        loss = torch.nn.functional.cross_entropy(logits, DATA.images.labels[SAMPLES], reduction="none")
        assert table.loss[number] == pytest.approx(loss.numpy(), abs=1e-5)
    assert np.array_equal(table.sample_id, SAMPLES + 100)
    assert np.array_equal(table.labels, DATA.images.labels[SAMPLES].numpy())


def test_a_table_does_not_depend_on_the_size_of_its_batches(
    exits: AdjustableModel, table: PathTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "BATCH", 7)
    shown: list[Progress] = []
    again = drive(collect(exits, exits.costs(), DATA.images, SAMPLES, SAMPLES), shown.append)
    assert np.array_equal(again.prediction, table.prediction)
    assert again.entropy == pytest.approx(table.entropy, abs=1e-4)
    assert shown[-1] == Progress(50, 50)
    assert len(shown) == 8  # 50 images, at most 7 a batch


def test_a_run_of_a_user_executes_single_images_and_small_and_large_batches() -> None:
    assert execution.CHECKS == ((1, 64), (7, 256), (256, 512))


def test_executed_routing_is_the_simulated_one(exits: AdjustableModel, table: PathTable) -> None:
    middle = float(np.median(table.max_prob[0]))
    points = [sure_above(value) for value in (0.0, middle + 1e-3, 2.0)]
    routed = simulate(table, points[1].router).answer
    assert len(set(routed.tolist())) > 1
    found = drive(check(exits, points, table, images_of(SAMPLES)))
    assert [(a.point, a.batch) for a in found] == [(p.name, size) for p in points for size in (1, 7, 256)]
    assert all(agreement.holds for agreement in found)


def test_static_points_are_executed_as_simulated_too(exits: AdjustableModel, table: PathTable) -> None:
    constant = OperatingPoint(name="first", router=Constant(answer=0))
    assert all(a.holds and a.different == 0 for a in drive(check(exits, [constant], table, images_of(SAMPLES))))


def test_routing_that_differs_far_from_a_threshold_is_found_and_named(exits: AdjustableModel, table: PathTable) -> None:
    value = float(table.max_prob[:2].max()) + 0.01  # nobody is that sure
    lying = table.max_prob.copy()
    lying[0, [3, 9]] = 1.0
    wrong = replace(table, max_prob=lying)
    for found in drive(check(exits, [sure_above(value)], wrong, images_of(SAMPLES))):
        assert (found.different, found.near, found.holds) == (2, 0, False)
        assert found.sample_ids == ["108", "114"]


def test_one_sample_within_rounding_of_its_threshold_may_differ(exits: AdjustableModel, table: PathTable) -> None:
    first = int(table.max_prob[0].argmax())
    value = float(table.max_prob[0, first]) + 5e-5
    rounded = table.max_prob.copy()
    rounded[0, first] += 9e-5
    wrong = replace(table, max_prob=rounded)
    point = OperatingPoint(
        name="sure", router=Threshold(signal="max_prob", cascade=(0, 1, 2), thresholds=(value, None))
    )
    for found in drive(check(exits, [point], wrong, images_of(SAMPLES))):
        assert (found.different, found.near, found.holds) == (1, 1, True)


@pytest.mark.parametrize(
    ("images", "different", "near", "holds"),
    [(512, 0, 0, True), (512, 1, 1, True), (512, 1, 0, False), (512, 2, 2, False), (5000, 5, 5, True),
     (5000, 6, 6, False)],
)  # fmt: skip
def test_differences_must_be_explained_and_at_most_one_in_a_thousand(
    images: int, different: int, near: int, holds: bool
) -> None:
    made = Agreement(point="p", batch=1, images=images, different=different, near=near, sample_ids=[])
    assert made.holds == holds
