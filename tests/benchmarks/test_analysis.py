"""Cost needed, agreement, calibration and difficulty, on tables small enough to count by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hand import BOTH, EARLY, separate, table
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import analysis
from benchmarks.analysis import NONE
from methods.routers import Constant, OperatingPoint, Threshold

#             image  0  1  2  3  4      answers of 30, 10, 20 and 10 MACs
CHAIN = separate([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0]], (30, 10, 20, 10))
SIDES = st.lists(st.lists(st.integers(0, 1), min_size=12, max_size=12), min_size=4, max_size=4)
STATIC = OperatingPoint(name="first", router=Constant(answer=0))
CASCADE = OperatingPoint(name="sure", router=Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.5,)))


def test_the_cost_needed_is_that_of_the_cheapest_right_answer_or_none() -> None:
    assert analysis.cost_needed(CHAIN).tolist() == [10, 20, 30, 10, NONE]


def test_cost_rows_count_every_image_once_and_name_the_answers_of_a_cost() -> None:
    rows = analysis.cost_rows(CHAIN, plain_macs=40)
    assert [(row["needed"], row["of_plain"], row["images"], row["within"]) for row in rows] == [
        ("a1 a3", 0.25, 2, 0.4),
        ("a2", 0.5, 1, 0.6),
        ("a0", 0.75, 1, 0.8),
        ("none", None, 1, 1.0),
    ]


@given(SIDES)
def test_what_is_needed_at_most_is_right_and_nothing_cheaper_is(right: list[list[int]]) -> None:
    chain = separate(right, (30, 10, 20, 10))
    for image, macs in enumerate(analysis.cost_needed(chain).tolist()):
        paid = chain.macs[chain.correct[:, image]]
        assert macs == (paid.min() if len(paid) else NONE)


@given(SIDES, st.integers(3, 6))
def test_groups_hold_every_image_once_in_order_of_cost(right: list[list[int]], at_most: int) -> None:
    needed = analysis.cost_needed(separate(right, (30, 10, 20, 5)))
    groups = analysis.cost_groups(needed, at_most)
    assert len(groups) <= at_most
    assert sorted(np.concatenate([group.images for group in groups]).tolist()) == list(range(len(needed)))
    known = [group for group in groups if group.low != NONE]
    assert [group.low for group in known] == sorted(group.low for group in known)
    assert all(group.low <= needed[i] <= group.high for group in known for i in group.images)


def test_many_costs_are_put_together_behind_the_cheapest() -> None:
    needed = np.array([1] * 90 + [2] * 3 + [3] * 3 + [4] * 2 + [5] * 2 + [NONE] * 5)
    groups = analysis.cost_groups(needed, 4)
    assert [(g.low, g.high, len(g.images)) for g in groups] == [(1, 1, 90), (2, 3, 6), (4, 5, 4), (NONE, NONE, 5)]


def test_agreement_counts_same_predictions_apart_from_right_ones() -> None:
    rows = list(analysis.agreement_rows(separate([[1, 1, 0, 0], [1, 0, 1, 0]], (1, 2))))
    # on the last image both are wrong in the same way
    assert rows == [
        {"first": "a0", "second": "a1", "same": 0.5, "both_right": 0.25, "both_wrong": 0.25, "first_only": 0.25,
         "second_only": 0.25}
    ]  # fmt: skip


def test_agreement_has_a_row_for_every_pair() -> None:
    assert len(list(analysis.agreement_rows(CHAIN))) == 4 * 3 / 2


def test_calibration_error_is_the_hand_computed_one() -> None:
    # two groups of two: |1/2 - 0.7| and |1 - 0.9|, half each
    found = analysis.calibration_error([0.6, 0.8, 0.9, 0.9], [True, False, True, True], np.array([0, 0, 1, 1]))
    assert found == pytest.approx(0.15)


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=50), st.randoms())
def test_calibration_does_not_depend_on_the_order_of_images(images: list[tuple[int, bool]], random: object) -> None:
    def error(samples: list[tuple[int, bool]]) -> float:
        sure = [level / 10 for level, _ in samples]
        return analysis.calibration_error(sure, [right for _, right in samples], analysis.equal_groups(sure, 5))

    mixed = list(images)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert error(mixed) == pytest.approx(error(images))


@given(st.lists(st.integers(0, 8), min_size=1, max_size=60), st.integers(1, 12))
def test_groups_never_part_equal_values_and_rise_with_them(values: list[int], count: int) -> None:
    groups = analysis.equal_groups(values, count)
    assert groups.min() >= 0
    assert groups.max() < count
    pairs = sorted(zip(values, groups.tolist(), strict=True))
    assert all(a[1] == b[1] if a[0] == b[0] else a[1] <= b[1] for a, b in pairwise(pairs))


def test_groups_of_distinct_values_are_of_equal_size() -> None:
    assert np.bincount(analysis.equal_groups(np.arange(30)[::-1], 10)).tolist() == [3] * 10


def test_calibration_rows_tell_surer_right_answers_by_auroc_whatever_the_error() -> None:
    first, last = analysis.calibration_rows(table([[1, 1, 0, 0], [0, 0, 1, 1]], [0.9, 0.8, 0.3, 0.2]))
    assert (first["accuracy"], first["auroc"], last["auroc"]) == (0.5, 1.0, 0.0)
    assert first["ece"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.2) / 4)
    assert first["confidence"] == pytest.approx(0.55)


HARD = table([[1, 1, 0, 0], [1, 1, 1, 0]], [0.9, 0.8, 0.2, 0.1])
DIFFICULTY = [0.1, 0.2, 0.8, 0.9]


def test_difficulty_rows_hold_accuracy_and_mean_cost_of_every_part() -> None:
    rows = analysis.difficulty_rows(HARD, [STATIC, CASCADE], DIFFICULTY, deciles=2)
    assert [(row["point"], row["decile"], row["accuracy"], row["macs"]) for row in rows] == [
        ("first", 1, 1.0, EARLY),
        ("first", 2, 0.0, EARLY),
        ("sure", 1, 1.0, EARLY),
        ("sure", 2, 0.5, BOTH),
    ]


def test_effort_follows_difficulty_where_the_hard_images_go_on() -> None:
    (row,) = analysis.effort_rows(HARD, [STATIC, CASCADE], DIFFICULTY)
    assert row["point"] == "sure"
    # ranks (1.5, 1.5, 3.5, 3.5) against (1, 2, 3, 4): 4 / sqrt(4 * 5)
    assert row["rho"] == pytest.approx(4 / np.sqrt(20))


def test_effort_is_missing_where_all_go_the_same_way() -> None:
    everybody = OperatingPoint(name="all", router=Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.0,)))
    assert np.isnan(analysis.effort_rows(HARD, [everybody], DIFFICULTY)[0]["rho"])
