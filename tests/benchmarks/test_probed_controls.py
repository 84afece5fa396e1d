"""Controls of probes and of cascades with jumps, on tables small enough to count by hand."""

import numpy as np
import pytest

from benchmarks.evaluation import controls, points
from methods.cost import Costs
from methods.routers import Argmax, Constant, Learned, OperatingPoint, Policy
from methods.routing import simulate
from methods.table import PathTable

# Two separate networks of 100 and 1000 MACs and a predictor of 7.
COSTS = Costs(("small", "large", "predictor"), np.array([100, 1000, 7]), np.eye(3, dtype=bool))


def table(right: list[list[int]], scores: list[list[float]], sure: list[float]) -> PathTable:
    correct = np.array(right)
    zeros = np.zeros(correct.shape, dtype=np.float32)
    return PathTable(
        ("small", "large"),
        COSTS,
        prediction=1 - correct,
        label_rank=6 * (1 - correct),
        max_prob=np.array([sure, sure], dtype=np.float32),
        margin=zeros,
        entropy=zeros,
        loss=zeros,
        labels=np.zeros(correct.shape[1], dtype=np.int64),
        sample_id=np.arange(correct.shape[1]),
        probes={"predictor": np.array(scores, dtype=np.float32)},
    )


#             image  0  1  2  3      images 0 and 3 are sent to the small one
TEST = table([[1, 0, 0, 0], [1, 1, 0, 1]], [[1, 0], [0, 1], [0, 1], [1, 0]], [0.9, 0.1, 0.1, 0.9])
PREDICTED = Argmax(probe=2, options=(0, 1), bias=(0.0, 0.0))


def test_random_draws_the_shares_of_a_probe_and_pays_it() -> None:
    found = controls.random(TEST, simulate(TEST, PREDICTED))
    assert found == (pytest.approx(7 + 550), pytest.approx(0.5 * 0.25 + 0.5 * 0.75))


def test_the_oracle_of_a_probe_pays_it_and_exactly_one_answer() -> None:
    # 0: small; 1 and 3: large only, not both; 2: none is right, so the cheapest
    found = controls.oracle(TEST, PREDICTED)
    assert found == (pytest.approx(7 + (100 + 1000 + 100 + 1000) / 4), 0.75)


def one_row(bias: float) -> Policy:
    return Policy(weights=((-1.0,),), bias=(bias,))


def test_the_oracle_of_a_cascade_pays_all_on_the_way_and_the_decisions() -> None:
    router = Learned(cascade=(0, 1), features=("max_prob",), policies=(one_row(0.5),))
    found = controls.oracle(TEST, router)
    assert found == (pytest.approx((101 + 1101 + 101 + 1101) / 4), 0.75)


# Three separate networks, none shares work.
THREE = Costs(("a", "b", "c"), np.array([10, 200, 3000]), np.eye(3, dtype=bool))


def three(right: list[list[int]]) -> PathTable:
    correct = np.array(right)
    zeros = np.zeros(correct.shape, dtype=np.float32)
    n = correct.shape[1]
    return PathTable(
        ("a", "b", "c"), THREE, 1 - correct, 1 - correct, zeros, zeros, zeros, zeros, np.zeros(n, dtype=np.int64),
        np.arange(n),
    )  # fmt: skip


def test_with_jumps_the_oracle_pays_the_first_and_the_right_one_only() -> None:
    jumps = Policy(weights=((-1.0,), (-1.0,)), bias=(0.5, 0.4))
    router = Learned(cascade=(0, 1, 2), features=("max_prob",), policies=(jumps, one_row(0.5)))
    found = controls.oracle(three([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]), router)
    # the decision after a has two rows of one feature, the one after b a row
    assert found == (pytest.approx((12 + (12 + 201) + (12 + 3000) + 12) / 4), 0.75)


def test_without_jumps_it_pays_for_every_one_on_the_way() -> None:
    router = Learned(cascade=(0, 1, 2), features=("max_prob",), policies=(one_row(0.5), one_row(0.5)))
    found = controls.oracle(three([[0], [0], [1]]), router)
    assert found == (10 + 1 + 200 + 1 + 3000, 1.0)


def test_the_mixture_of_a_probed_method_is_of_its_answers_without_the_probe() -> None:
    # at the predictor's cost 557: 457 / 900 of the way from the small to the large one
    found = controls.mixture((TEST,), TEST, 557.0)
    assert found == (557.0, pytest.approx(0.25 + 0.5 * 457 / 900))


def test_rows_of_a_probed_method_have_all_three_controls_and_pay_the_probe() -> None:
    named = [
        OperatingPoint(name="predictor", router=PREDICTED),
        OperatingPoint(name="small", router=Constant(answer=0)),
    ]
    identity = points.Identity("m", "default", "b", "d", 0, parameters=5, storage_bytes=20, train_macs=1e6)
    rows = {
        (r["point"], r["kind"]): r
        for r in points.rows(identity, points.Tables(TEST, TEST, TEST), named, frozenset(), 10)
    }
    assert set(rows) == {
        ("predictor", "point"), ("small", "point"), ("predictor", "random"), ("predictor", "mixture"),
        ("oracle of 2 answers", "oracle"),
    }  # fmt: skip
    assert (rows["predictor", "point"]["macs"], rows["predictor", "point"]["macs_max"]) == (557.0, 1007.0)
    assert rows["predictor", "point"]["accuracy"] == 0.5  # image 0 at the small one, image 1 at the large one
    assert rows["small", "point"]["macs"] == 100.0
    assert rows["predictor", "random"]["macs"] == 557.0
