"""Costs and answers of two versions, compared without a clock."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.core.errors import UsageError
from benchmarks.gate.exact import ModelKey, ModelSeen, PointSeen, compare
from benchmarks.gate.verdicts import STATUS, Check, overall, record

KEY = ModelKey("sdpoint", "default", "resnet8", "digits", 0)
N = 1000


def right(count: int) -> np.ndarray:
    return np.arange(N) < count


def point(correct: int = 900, macs: int = 50, per_sample: bool = False) -> PointSeen:
    return PointSeen(per_sample, np.full(N, macs), right(correct))


def model(**changes: Any) -> ModelSeen:
    seen = ModelSeen(1234, {"a": 50, "full": 100}, {"a": point(), "full": point(950, 100)}, "these", "w")
    return replace(seen, **changes)


def verdicts(base: ModelSeen, head: ModelSeen) -> dict[tuple[str, str], str]:
    found = compare({KEY: base}, {KEY: head})
    return {(check.point, check.metric): check.verdict for check in found if check.verdict != "pass"}


def test_the_same_costs_and_answers_pass() -> None:
    found = compare({KEY: model()}, {KEY: model()})
    assert [(check.point, check.metric) for check in found] == [
        ("all", "parameters"), ("a", "MACs"), ("full", "MACs"), ("a", "mean MACs"), ("full", "mean MACs"),
        ("a", "execution"), ("full", "execution"), ("a", "accuracy"), ("full", "accuracy"),
    ]  # fmt: skip
    assert overall(found) == "pass"


def test_one_multiply_accumulate_more_is_a_regression_and_one_fewer_an_improvement() -> None:
    dearer, cheaper = model(outputs={"a": 51, "full": 100}), model(outputs={"a": 49, "full": 100})
    assert verdicts(model(), dearer) == {("a", "MACs"): "regression"}
    assert verdicts(model(), cheaper) == {("a", "MACs"): "improvement"}


def test_one_parameter_more_is_a_regression() -> None:
    assert verdicts(model(), model(parameters=1235)) == {("all", "parameters"): "regression"}


def test_a_per_sample_point_may_cost_half_a_percent_more_on_average() -> None:
    routed = model(points={"t": point(macs=1000, per_sample=True)})
    assert verdicts(routed, model(points={"t": point(macs=1005, per_sample=True)})) == {}
    assert verdicts(routed, model(points={"t": point(macs=1006, per_sample=True)})) == {
        ("t", "mean MACs"): "regression"
    }


def test_a_static_point_on_a_dearer_answer_is_a_regression_though_no_answer_changed() -> None:
    assert verdicts(model(), model(points={"a": point(macs=51), "full": point(950, 100)})) == {
        ("a", "mean MACs"): "regression"
    }


def test_a_point_that_routes_on_one_side_only_is_an_error() -> None:
    with pytest.raises(UsageError, match="static on one side only"):
        verdicts(model(), model(points={"a": point(per_sample=True), "full": point(950, 100)}))


def test_routing_other_than_the_version_that_made_the_run_is_a_regression() -> None:
    """This code recomputes both sides from tables: without the figures that were written down both would move."""
    said = {"a": (50.0, 0.9), "full": (100.0, 0.95)}
    assert verdicts(model(said=said), model()) == {}
    assert verdicts(model(said=said | {"a": (60.0, 0.9)}), model()) == {("a", "routing"): "regression"}
    assert verdicts(model(said=said | {"full": (100.0, 0.96)}), model()) == {("full", "routing"): "regression"}


def test_images_that_execution_sends_astray_are_a_regression_unless_they_always_were() -> None:
    assert verdicts(model(), model(astray={"a": 3})) == {("a", "execution"): "regression"}
    assert verdicts(model(astray={"a": 3}), model(astray={"a": 3})) == {}


def test_of_other_weights_only_static_points_are_compared_since_thresholds_are_fitted() -> None:
    one = model(points={"a": point(), "entropy<0.5": point(per_sample=True)})
    other = model(points={"a": point(), "entropy<0.4": point(per_sample=True)}, weights="others")
    found = compare({KEY: one}, {KEY: other})
    assert {check.point for check in found} == {"all", "a", "full"}
    assert overall(found) == "pass"


def test_a_real_drop_of_accuracy_is_a_regression_and_a_real_gain_an_improvement() -> None:
    worse = {"a": point(880), "full": point(950, 100)}
    assert verdicts(model(), model(points=worse)) == {("a", "accuracy"): "regression"}
    assert verdicts(model(points=worse), model()) == {("a", "accuracy"): "improvement"}


def test_a_drop_that_may_be_chance_is_inconclusive_and_a_tiny_one_passes() -> None:
    assert verdicts(model(), model(points={"a": point(897), "full": point(950, 100)})) == {
        ("a", "accuracy"): "inconclusive"  # 3 images lost of 1000, none won: p = 1/4
    }
    assert verdicts(model(), model(points={"a": point(899), "full": point(950, 100)})) == {}


def test_many_images_that_change_sides_evenly_are_no_drop() -> None:
    other = PointSeen(False, np.full(N, 50), np.roll(right(900), 50))
    assert verdicts(model(), model(points={"a": other, "full": point(950, 100)})) == {}


def test_accuracy_is_tested_on_the_same_images_with_holm_over_all_points() -> None:
    lost = PointSeen(False, np.full(N, 50), right(900) & (np.arange(N) >= 8))  # 8 lost, none won: p = 2/256
    alone = model(points={"a": point()}, outputs={"a": 50})
    head = replace(alone, points={"a": lost})
    assert verdicts(alone, head) == {("a", "accuracy"): "regression"}
    assert verdicts(model(), model(points={"a": lost, "full": point(950, 100)})) == {("a", "accuracy"): "inconclusive"}


@pytest.mark.parametrize(
    ("base", "head", "says"),
    [
        ({}, {KEY: model()}, "baseline has no models"),
        ({KEY: model()}, {}, "head lacks models: sdpoint-default-resnet8-digits-0"),
        ({KEY: model(points={"a": point()})}, {KEY: model()}, "baseline lacks points of sdpoint-default: full"),
        ({KEY: model()}, {KEY: model(points={"a": point()})}, "head lacks points of sdpoint-default: full"),
        ({KEY: model()}, {KEY: model(outputs={"a": 50})}, "head lacks answers of sdpoint-default: full"),
        ({KEY: model()}, {KEY: model(images="others")}, "not tested on the same images"),
    ],
)
def test_a_missing_or_incompatible_baseline_is_an_error_and_no_pass(base: Any, head: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compare(base, head)


def check(verdict: Any) -> Check:
    return Check(*KEY, "a", "MACs", 1, 1, verdict)


@pytest.mark.parametrize(
    ("found", "verdict", "status"),
    [
        ((), "pass", 0),
        (("pass", "improvement"), "improvement", 0),
        (("pass", "inconclusive", "improvement"), "inconclusive", 4),
        (("inconclusive", "regression", "improvement"), "regression", 1),
    ],
)
def test_one_regression_is_a_regression_and_one_open_question_leaves_it_open(
    found: tuple[str, ...], verdict: str, status: int
) -> None:
    said = record([check(one) for one in found], {"base": "b"})
    assert said["verdict"] == verdict
    assert STATUS[said["verdict"]] == status
    assert len(said["checks"]) == len(found)
