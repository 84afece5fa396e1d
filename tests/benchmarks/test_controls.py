"""Controls on tables small enough to count by hand."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from benchmarks.evaluation import controls, points
from methods.cost import Costs
from methods.routers import Constant, OperatingPoint, Threshold
from methods.routing import simulate
from methods.table import PathTable

# A trunk of 100 MACs and a head of 10 make answer 0; the trunk goes on for 300 and ends in a head of 20.
COSTS = Costs(
    ("trunk", "head 1", "more trunk", "head 2"),
    np.array([100, 10, 300, 20]),
    np.array([[True, True, False, False], [True, False, True, True]]),
)
EARLY, LATE, BOTH = 110, 420, 430
CASCADE = OperatingPoint(name="sure", router=Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.5,)))
STATIC = [
    OperatingPoint(name="first", router=Constant(answer=0)),
    OperatingPoint(name="last", router=Constant(answer=1)),
]


def table(right: list[list[int]], sure: list[float]) -> PathTable:
    """What two answers get right (1) or not (0), and how sure the first is of each image."""
    correct = np.array(right)
    zeros = np.zeros(correct.shape, dtype=np.float32)
    return PathTable(
        ("first", "last"),
        COSTS,
        prediction=1 - correct,  # every label is 0
        label_rank=6 * (1 - correct),
        max_prob=np.array([sure, sure], dtype=np.float32),
        margin=zeros,
        entropy=zeros,
        loss=zeros,
        labels=np.zeros(correct.shape[1], dtype=np.int64),
        sample_id=np.arange(correct.shape[1]),
    )


#                  image  0  1  2  3        the first is sure of images 0 and 1
TEST = table([[1, 0, 0, 0], [1, 1, 1, 0]], [0.9, 0.8, 0.2, 0.1])


def test_random_is_the_shares_times_the_accuracies_at_the_routed_cost() -> None:
    found = controls.random(TEST, simulate(TEST, CASCADE.router))
    # half leaves at the first (right on 1/4), half at the last (3/4)
    assert found == (pytest.approx((2 * EARLY + 2 * BOTH) / 4), pytest.approx(0.5 * 0.25 + 0.5 * 0.75))


def test_random_of_a_constant_router_is_that_answer() -> None:
    assert controls.random(TEST, simulate(TEST, STATIC[1].router)) == (LATE, 0.75)


def test_a_mixture_lies_on_the_line_between_two_answers() -> None:
    found = controls.mixture((TEST,), TEST, 265.0)  # halfway between 110 and 420
    assert found == (265.0, pytest.approx(0.5))


@pytest.mark.parametrize(("macs", "expected"), [(50.0, (EARLY, 0.25)), (1000.0, (LATE, 0.75))])
def test_a_mixture_beyond_the_ends_is_the_answer_there(macs: float, expected: tuple[float, float]) -> None:
    assert controls.mixture((TEST,), TEST, macs) == expected


def test_what_is_worth_mixing_is_decided_on_calibration_images_and_reported_on_test() -> None:
    select = table([[1, 1, 1, 1], [1, 0, 0, 0]], [0.0] * 4)  # there the last answer is worth nothing
    assert controls.mixture((select,), TEST, 265.0) == (EARLY, 0.25)


def test_both_calibration_halves_decide_what_is_worth_mixing() -> None:
    against = table([[1, 1, 1, 1], [1, 0, 0, 0]], [0.0] * 4)  # 4 of 4 and 1 of 4 right
    for_it = table([[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], [0.0] * 6)  # 0 of 6 and 6 of 6 right
    assert controls.static_hull((against, against)) == [0]
    assert controls.static_hull((against, for_it)) == [0, 1]


def test_the_oracle_stops_at_the_first_right_answer_and_pays_its_routing() -> None:
    # image 0 stops at once; 1 and 2 pay both heads; 3 is never right and stops at once
    found = controls.oracle(TEST, CASCADE.router)
    assert found == (pytest.approx((EARLY + BOTH + BOTH + EARLY) / 4), 0.75)


VALUES = st.integers(0, 20).map(float)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12))
def test_no_point_lies_above_the_upper_hull(found: list[tuple[float, float]]) -> None:
    costs, values = (np.array(column) for column in zip(*found, strict=True))
    hull = controls.upper_hull(costs, values)
    assert costs[hull[0]] == costs.min()
    assert values[hull[-1]] == values.max()
    assert (np.diff(costs[hull]) > 0).all()
    assert (np.diff(values[hull]) > 0).all()
    slopes = np.diff(values[hull]) / np.diff(costs[hull])
    assert (np.diff(slopes) < 1e-12).all()
    assert (values <= np.interp(costs, costs[hull], values[hull]) + 1e-9).all()


RIGHT = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.floats(0, 1, width=32)), min_size=1)


@given(RIGHT)
def test_no_cascade_is_more_accurate_than_its_oracle(images: list[tuple[int, int, float]]) -> None:
    first, last, sure = zip(*images, strict=True)
    made = table([list(first), list(last)], list(sure))
    routing = simulate(made, CASCADE.router)
    accuracy = made.correct[routing.answer, np.arange(len(sure))].mean()
    assert accuracy <= controls.oracle(made, CASCADE.router).accuracy


SELECT = table([[0, 1], [1, 1]], [0.9, 0.1])
IDENTITY = points.Identity("m", "default", "b", "d", 0, parameters=5, storage_bytes=20, train_macs=1e6)


def rows(executed: frozenset[str] = frozenset()) -> dict[tuple[str, str], dict[str, object]]:
    found = points.rows(IDENTITY, points.Tables(SELECT, SELECT, TEST), [*STATIC, CASCADE], executed, 10)
    return {(row["point"], row["kind"]): row for row in found}


def test_a_row_is_what_the_hand_counted_tables_say() -> None:
    row = rows()["sure", "point"]
    # test: images 0 and 1 stop at once (one right), 2 and 3 go on (one right)
    assert (row["macs"], row["macs_max"], row["flops"]) == (270.0, BOTH, 540.0)
    assert (row["accuracy"], row["accuracy_top5"], row["samples"]) == (0.5, 0.5, 4)
    # the mean's 95% interval over images: deviation sqrt(4 * 160^2 / 3) = 184.75, over sqrt(4)
    assert row["macs_high"] == pytest.approx(270 + 1.96 * 184.75 / 2, abs=0.01)
    # select: image 0 stops and is wrong, image 1 goes on and is right
    assert (row["calibration_macs"], row["calibration_accuracy"]) == (270.0, 0.5)


def test_selected_looks_at_select_alone_and_on_frontier_at_test_alone() -> None:
    found = rows()
    chosen = {name: (row["selected"], row["on_frontier"]) for (name, kind), row in found.items() if kind == "point"}
    # select: 110 -> 1/2, 270 -> 1/2, 420 -> 1; test: 110 -> 1/4, 270 -> 1/2, 420 -> 3/4
    assert chosen == {"first": (True, True), "sure": (False, True), "last": (True, True)}


def test_only_points_whose_execution_agreed_count_as_executed() -> None:
    assert rows()["sure", "point"]["execution"] == "simulated"
    assert rows(frozenset({"sure"}))["sure", "point"]["execution"] == "executed"
    assert rows()["first", "point"]["execution"] == "simulated"


def test_controls_stand_beside_the_point_they_belong_to() -> None:
    assert {kind for name, kind in rows() if name == "sure"} == {"point", "random", "mixture"}
    assert ("oracle of 2 answers", "oracle") in rows()


@given(RIGHT)
def test_every_accuracy_lies_within_its_interval(images: list[tuple[int, int, float]]) -> None:
    first, last, sure = zip(*images, strict=True)
    made = table([list(first), list(last)], list(sure))
    assume(len(images) < 50)
    for row in points.rows(IDENTITY, points.Tables(made, made, made), [*STATIC, CASCADE], frozenset(), 10):
        assert row["accuracy_low"] - 1e-9 <= row["accuracy"] <= row["accuracy_high"] + 1e-9
        assert 0 <= row["accuracy"] <= 1
        assert row["flops"] == 2 * row["macs"]


# Classes of unequal size -----------------------------------------------------------------------------


def test_a_constant_guess_is_balanced_to_one_in_the_number_of_classes() -> None:
    labels = np.repeat([0, 1], [199, 1])
    assert points.balanced(labels, labels == 0) == 0.5


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60))
def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur(images: list[tuple[int, bool]]) -> None:
    labels, right = (np.array(column) for column in zip(*images, strict=True))
    assert points.balanced(labels, right) == pytest.approx(
        recall_score(labels, np.where(right, labels, -1), labels=np.unique(labels), average="macro", zero_division=0)
    )


@pytest.mark.parametrize(("classes", "empty"), [(5, True), (6, False)])
def test_best_five_of_five_classes_or_fewer_say_nothing(classes: int, empty: bool) -> None:
    found = points.rows(IDENTITY, points.Tables(SELECT, SELECT, TEST), STATIC, frozenset(), classes)
    assert all(np.isnan(row["accuracy_top5"]) == empty for row in found)
