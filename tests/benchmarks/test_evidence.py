"""What a model did, image by image: the paired controls are those of points.csv."""

import numpy as np
import pytest
from hand import BOTH, EARLY, LATE, model, point, table
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evaluation import controls, per_image
from benchmarks.stats import frontier
from methods.cost import Costs
from methods.routers import Argmax, Constant, OperatingPoint, Threshold
from methods.routing import simulate

N = 12
RIGHT = st.lists(st.lists(st.integers(0, 1), min_size=N, max_size=N), min_size=2, max_size=2)
SURE = st.lists(st.floats(0, 1, width=32), min_size=N, max_size=N)
CASCADE = OperatingPoint(name="sure", router=Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.5,)))


@given(RIGHT, SURE)
def test_chances_of_random_average_to_the_control(right: list[list[int]], sure: list[float]) -> None:
    test = table(right, sure)
    routing = simulate(test, CASCADE.router)
    expected = controls.random(test, routing).accuracy
    assert per_image.random_chances(test, routing).mean() == pytest.approx(expected)


@given(RIGHT, RIGHT, SURE, st.floats(0, 600))
def test_chances_of_the_mixture_average_to_the_control(
    chosen: list[list[int]], right: list[list[int]], sure: list[float], macs: float
) -> None:
    select, test = table(chosen, sure), table(right, sure)
    expected = controls.mixture((select,), test, macs).accuracy
    assert per_image.mixture_chances((select,), test, macs).mean() == pytest.approx(expected)


def test_a_point_is_seen_with_its_images_costs_and_select_figures() -> None:
    test = table([[1, 0, 0, 0], [1, 1, 1, 0]], [0.9, 0.8, 0.2, 0.1])
    select = table([[1, 1], [0, 1]], [0.9, 0.1])
    found = per_image.seen(CASCADE, select, select, test)
    assert found.right.tolist() == [True, False, True, False]
    assert found.macs.tolist() == [EARLY, EARLY, BOTH, BOTH]
    assert (found.goes_on, found.calibration_macs, found.calibration_accuracy) == (0.5, (EARLY + BOTH) / 2, 1.0)
    assert not found.learned
    # half leave at the first, half at the last, whatever the image
    assert found.random is not None
    assert found.random.tolist() == [1.0, 0.5, 0.5, 0.0]


def test_how_many_go_on_is_counted_on_select_not_on_test_images() -> None:
    test = table([[1, 0, 0, 0], [1, 1, 1, 0]], [0.9, 0.9, 0.9, 0.9])  # nobody goes on
    select = table([[1, 1], [0, 1]], [0.9, 0.1])
    found = per_image.seen(CASCADE, select, select, test)
    assert (found.goes_on, found.commonest) == (0.5, 0.5)


def test_a_policy_that_gives_nearly_all_images_one_answer_is_not_selective() -> None:
    one = table([[1] * 10, [1] * 10], [0.9] * 9 + [0.1])
    assert per_image.seen(CASCADE, one, one, one).commonest == 0.9
    points = [point(str(share), [1], commonest=share) for share in (0.4, 0.9, 0.91, 1.0)]
    assert [one.name for one in per_image.selective(points)] == ["0.4", "0.9"]


def test_a_static_point_has_no_controls() -> None:
    one = table([[1, 0], [1, 1]], [0.9, 0.1])
    found = per_image.seen(OperatingPoint(name="last", router=Constant(answer=1)), one, one, one)
    assert found.random is None
    assert found.mixture is None
    assert found.macs.tolist() == [LATE, LATE]


def test_behind_a_probe_those_go_on_who_do_not_end_at_the_cheapest_answer() -> None:
    plain = table([[1, 1, 1, 1], [1, 1, 1, 1]], [0.5] * 4)
    uses = np.vstack([plain.costs.uses, [True, False, False, False]])
    costs = Costs(plain.costs.work, plain.costs.macs, uses)
    scores = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], dtype=np.float32)
    routed = type(plain)(**{**vars(plain), "costs": costs, "probes": {"probe": scores}})
    router = Argmax(probe=2, options=(1, 0), bias=(0.0, 0.0))  # the first score speaks for the dear answer
    assert per_image.goes_on(routed, router, simulate(routed, router)) == 0.25


def test_only_points_where_some_go_on_and_some_do_not_are_looked_at() -> None:
    points = [point(str(share), [1], goes_on=share) for share in (0.0, 0.1, 0.5, 0.9, 0.95)]
    assert [kept.name for kept in per_image.between(points)] == ["0.1", "0.5", "0.9"]


def test_the_best_point_and_that_of_a_budget_are_chosen_on_select() -> None:
    cheap, good, dear = (
        point("cheap", [1], 50, calibrated=0.5),
        point("good", [0], 80, calibrated=0.9),
        point("dear", [1], 100, calibrated=0.9),
    )
    of = model([cheap, good, dear])
    assert of.best() is good
    assert (of.at(79), of.at(100), of.at(49)) == (cheap, good, None)


def test_a_model_of_its_static_points_has_those_that_are_wanted() -> None:
    of = model([point("16px", [1]), point("resnet8", [1]), point("sure", [1], chance=0.5)])
    assert [kept.name for kept in of.fixed().points] == ["16px", "resnet8"]
    assert [kept.name for kept in of.fixed(lambda name: name.endswith("px")).points] == ["16px"]


DRAWN = st.tuples(st.floats(1, 100), st.booleans(), st.floats(0, 1))
"""Cost, whether it is right, and the accuracy it is chosen by, which differs: ties go to the cheaper."""


@given(st.lists(DRAWN, min_size=1, max_size=6, unique_by=lambda drawn: drawn[2]))
def test_a_frontier_averaged_in_octaves_is_its_summary(points: list[tuple[float, bool, float]]) -> None:
    of = model([point("p", [int(right)], cost, calibrated=accuracy) for cost, right, accuracy in points])
    costs, rights, accuracies = (list(column) for column in zip(*points, strict=True))
    whole = frontier.summary([12.5 if cost <= 12.5 else cost for cost in costs], accuracies, rights, 100, 0)
    low = max(12.5, min(costs))
    octaves = float(np.log2(100 / low))
    if octaves > 1e-6:
        assert of.over(low, 100).mean() * octaves / 3 == pytest.approx(whole, abs=1e-6)
