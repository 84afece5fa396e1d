"""Cross-fitting: figures of every fold of the test images come from routers that were learned on the other folds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hand import table
from harness import Finished, do, points, silent, small, tables
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import benchmarks.data
from benchmarks import stored
from benchmarks.cli import app
from benchmarks.core.errors import UsageError
from benchmarks.data import DataError
from benchmarks.data.calibrating import folds
from benchmarks.evaluation.cross_fit import CrossFit
from benchmarks.plan import Plan, prepare
from benchmarks.runner import Runner
from benchmarks.selection.budget import Budget
from benchmarks.selection.pick import pick
from benchmarks.stats.inference import wilson
from methods.errors import MethodError
from methods.learning import fit_policies
from methods.policies import PolicySettings, refitted
from methods.routers import Argmax, Constant, OperatingPoint, Threshold
from methods.routing import simulate, trail_macs

K = 3
MIXED = table([[1, 0, 1, 0, 1, 0], [1, 1, 0, 1, 1, 1]], [0.9, 0.2, 0.8, 0.3, 0.7, 0.4])


@given(st.lists(st.integers(0, 5), min_size=12, max_size=80), st.integers(2, 6))
def test_folds_are_of_one_size_and_hold_equal_shares_of_every_class(labels: list[int], count: int) -> None:
    fold = folds(np.array(labels), count)
    for among in (np.ones(len(labels), dtype=bool), *(np.array(labels) == label for label in set(labels))):
        sizes = np.bincount(fold[among], minlength=count)
        assert sizes.max() - sizes.min() <= 1
    assert len(np.unique(fold)) == count


def test_too_few_images_for_the_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"7 test images are too few for 4 folds: give at least 8"):
        folds(np.zeros(7, dtype=np.int64), 4)


# Learning again -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "router",
    [
        Constant(answer=1), Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.5,)),
        Argmax(probe=2, options=(0, 1), bias=(0.0, -1.0)),
    ],
)  # fmt: skip
def test_what_is_all_trade_off_is_the_same_in_every_fold(router: Any) -> None:
    point = OperatingPoint(name="it", router=router)
    assert refitted(point, MIXED, PolicySettings()) is point


def test_a_policy_is_learned_again_at_the_trade_off_of_its_name() -> None:
    half = MIXED.part(np.array([0, 1, 2]))
    first = fit_policies(half, (0, 1), 2.5, features=("margin",), loss="cross_entropy")
    settings = PolicySettings(features=("margin",), target="cross_entropy")
    again = refitted(OperatingPoint(name="lambda=2.5", router=first), MIXED, settings)
    assert again.router == fit_policies(MIXED, (0, 1), 2.5, features=("margin",), loss="cross_entropy")
    assert again.name == "lambda=2.5"


def test_a_policy_without_a_trade_off_is_refused() -> None:
    point = OperatingPoint(name="mine", router=fit_policies(MIXED, (0, 1), 2.5))
    with pytest.raises(MethodError, match="does not say at which trade-off"):
        refitted(point, MIXED, PolicySettings())


def test_every_image_goes_through_the_router_of_its_fold_and_pays_for_it() -> None:
    fold = np.array([0, 1, 0, 1, 0, 1])
    routers = Constant(answer=0), Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.35,))
    pooled = CrossFit(fold, {"it": routers}).routing(MIXED, "it")
    assert pooled.answer.tolist() == [0, 1, 0, 1, 0, 0]
    assert trail_macs(MIXED, pooled).tolist() == [110, 430, 110, 430, 110, 110]
    with pytest.raises(UsageError, match="6 test images are in folds, the path table has 2"):
        CrossFit(fold, {"it": routers}).routing(MIXED.part(np.arange(2)), "it")


def test_a_router_for_every_fold_is_needed() -> None:
    with pytest.raises(ValueError, match="not one router for each of 3 folds"):
        CrossFit(np.array([0, 1, 2]), {"it": (Constant(answer=0), Constant(answer=1))})


# Runs -----------------------------------------------------------------------------------------------

NETWORKS = '''
"""A network of the user's, with its own weights."""
import torch
from torch import nn

def mine():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 10))
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "nets.py"
    path.write_text(NETWORKS)
    return path


def config(folder: Path, file: Path, **changes: Any) -> Any:
    networks = {"netselect.networks": f"{file}:mine"}
    asked = {"backbone": "resnet8:width=4", "methods": "netselect,earlyexit", "set": networks, "cross_fit": K}
    return small(folder, **asked | changes)


@pytest.fixture(scope="module")
def crossed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("crossed") / "run"
    return Finished(folder, *do(config(folder, file)))


@pytest.fixture(scope="module")
def record(crossed: Finished) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((crossed.folder / "run.json").read_text())
    return found


def own(folder: Path, method: str) -> pd.DataFrame:
    """The points of a method, by name."""
    rows = points(folder)
    return rows[(rows["kind"] == "point") & (rows["method"] == method)].set_index("point")


def test_one_part_of_the_test_images_calibrates_and_all_folds_are_tested_on(
    crossed: Finished, record: dict[str, Any]
) -> None:
    assert not crossed.outcome.failures
    assert [record["data"][f"{part}_images"] for part in ("train", "calibration", "test")] == [1438, 90, 269]
    assert set(points(crossed.folder)["samples"]) == {269}
    assert np.bincount(record["data"]["fold"]).tolist() == [90, 90, 89]
    for split in tables(crossed.folder, "calibration").values():
        assert not set(split.sample_id) & set(tables(crossed.folder, "test").popitem()[1].sample_id)


def test_figures_are_those_of_held_out_answers_pooled(crossed: Finished, record: dict[str, Any]) -> None:
    """Counted again from run.json and the path tables alone."""
    fold = np.array(record["data"]["fold"])
    for model in record["models"]:
        whole = tables(crossed.folder, "test")[f"{model['job']}.test.npz"]
        rows = own(crossed.folder, model["method"])
        assert set(rows.index) == model["cross_fit"].keys()
        for name, routers in model["cross_fit"].items():
            right, macs = [], []
            for number, router in enumerate(routers):
                part = whole.part(np.flatnonzero(fold == number))
                went = simulate(part, OperatingPoint.model_validate({"name": name, "router": router}).router)
                right += part.correct[went.answer, np.arange(len(part.labels))].tolist()
                macs += trail_macs(part, went).tolist()
            assert rows.loc[name, "accuracy"] == np.mean(right)
            assert rows.loc[name, "macs"] == pytest.approx(np.mean(macs), rel=1e-12)
            assert rows.loc[name, "accuracy_low"] == pytest.approx(wilson(sum(right), 269)[0])
            assert rows.loc[name, "execution"] == "executed"


def test_policies_of_the_folds_differ_and_are_executed_each(record: dict[str, Any]) -> None:
    (model,) = (one for one in record["models"] if one["method"] == "netselect")
    learned = {name: routers for name, routers in model["cross_fit"].items() if name.startswith("lambda=")}
    assert learned
    assert any(len({json.dumps(router) for router in routers}) == K for routers in learned.values())
    executed = {one["point"] for one in model["executed_against_simulated"]}
    for name, routers in learned.items():
        apart = len({json.dumps(router) for router in routers}) > 1
        assert {f"{name}, fold {number + 1}" for number in range(K)} <= executed or not apart


def noise(plan: Plan, rows: Any) -> Plan:
    """The plan with permuted labels of the test images at `rows`; folds stay as they are."""
    test, draws = plan.data.test, np.random.default_rng(0)
    labels = test.labels.copy()
    labels[rows] = draws.permutation(labels[rows])
    return replace(plan, data=replace(plan.data, test=replace(test, labels=labels)))


def test_no_router_and_no_choice_has_seen_the_labels_that_its_figures_come_from(
    crossed: Finished, record: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    fold = np.array(record["data"]["fold"])
    plan = noise(prepare(config(tmp_path / "run", file, methods="netselect")), np.flatnonzero(fold == 1))
    Runner(plan, silent).run()
    again = json.loads((tmp_path / "run/run.json").read_text())
    before, after = (
        next(one for one in found["models"] if one["method"] == "netselect")["cross_fit"] for found in (record, again)
    )
    assert before.keys() == after.keys()  # points and trade-offs
    assert all(before[name][1] == after[name][1] for name in before)
    assert any(before[name][0] != after[name][0] for name in before)
    old, new = own(crossed.folder, "netselect"), own(tmp_path / "run", "netselect")
    assert (old["accuracy"] != new["accuracy"]).any()


def test_which_points_are_shown_is_chosen_on_images_of_no_fold(crossed: Finished, record: dict[str, Any]) -> None:
    for model in record["models"]:
        both = tables(crossed.folder, "calibration")[f"{model['job']}.calibration.npz"]
        select = both.part(np.arange(45, 90))
        rows = own(crossed.folder, model["method"])
        for name, routers in model["cross_fit"].items():
            said = []
            for router in routers:
                went = simulate(select, OperatingPoint.model_validate({"name": name, "router": router}).router)
                said.append(select.correct[went.answer, np.arange(45)].mean())
            assert rows.loc[name, "calibration_accuracy"] == pytest.approx(np.mean(said))


def test_a_model_is_stored_with_routers_of_all_folds(crossed: Finished) -> None:
    (result,) = (one for one in crossed.outcome.results if one.candidate.name == "netselect")
    chosen = result.tables.test
    for point in result.points:
        if point.name.startswith("lambda="):
            tradeoff = float(point.name.removeprefix("lambda="))
            assert point.router == fit_policies(chosen, point.router.cascade, tradeoff, jumps=point.router.jumps)


def test_the_run_says_so(crossed: Finished, record: dict[str, Any]) -> None:
    (said,) = (line for line in record["warnings"] if "cross-fitted" in line)
    assert said.startswith("points are cross-fitted: of each of 3 folds of the 269 test images")
    assert said in crossed.runner.plan.data.warnings
    assert any("one in 4 of the 359 test images calibrates" in line for line in record["warnings"])


def test_a_stored_run_is_picked_from_with_the_figures_of_the_folds(crossed: Finished) -> None:
    run = stored.read(crossed.folder)
    assert np.array_equal(run.data(None).test.ids, crossed.runner.plan.data.test.ids)
    found = pick(run, Budget(macs=10**9))
    row = own(crossed.folder, found.use.offer.series.partition(":")[0]).loc[found.use.offer.point]
    assert found.use.accuracy == row["accuracy"]
    assert found.use.macs == pytest.approx(row["macs"])


@pytest.mark.parametrize("verb", [["claims"], ["gate"], ["leaderboard", "submit"]])
def test_what_compares_one_router_a_point_says_that_it_cannot(
    crossed: Finished, verb: list[str], tmp_path: Path
) -> None:
    asked = [*verb, str(crossed.folder)] + ([str(crossed.folder)] if verb == ["gate"] else [])
    asked += ["--division", "open", "--output", str(tmp_path)] if "submit" in verb else []
    done = CliRunner().invoke(app, asked, standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert "is cross-fitted" in str(done.exception)


def test_networks_of_the_suite_are_cross_fitted_on_all_test_images(tmp_path: Path) -> None:
    plan = prepare(small(tmp_path, methods="earlyexit:routing=learned", cross_fit=5))
    assert plan.fold is not None
    assert np.bincount(plan.fold).tolist() == [72, 72, 72, 72, 71]
    assert len(plan.data.test) == len(benchmarks.data.load("digits").test)
    assert plan.parts.version == 2  # points and trade-offs come from training images that are set aside
