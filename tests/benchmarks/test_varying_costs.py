"""Controls, budgets and compilers where the work of an answer depends on the image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.backends.errors import Unsupported
from benchmarks.backends.frozen import freeze
from benchmarks.baseline.counting import figures_of
from benchmarks.evaluation import controls, points
from benchmarks.evaluation.per_image import mixture_chances, seen
from benchmarks.selection.pick import bound
from benchmarks.timing.composing import further_points
from methods import plugins
from methods.base import AdjustableModel
from methods.cost import Costs
from methods.registry import create, parse_settings
from methods.routers import Constant, OperatingPoint, Threshold
from methods.table import PathTable

PLUGIN = Path(__file__).parents[1] / "methods" / "inventions.py"
IDENTITY = points.Identity("gated", "default", "b", "d", 0, parameters=1, storage_bytes=4, train_macs=1.0)
GATE = OperatingPoint(name="gate", router=Constant(answer=0))
FULL = OperatingPoint(name="full", router=Constant(answer=1))
CASCADE = OperatingPoint(name="both", router=Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.5,)))


def table(right: list[list[int]], spent: list[int]) -> PathTable:
    """A gated answer, whose images spent so much besides 100 MACs, and the full one of 500."""
    correct = np.array(right, dtype=bool)
    n = correct.shape[1]
    signal = np.tile(np.linspace(0.1, 0.9, n, dtype=np.float32), (2, 1))
    uses = np.array([[True, True, False], [True, False, True]])
    costs = Costs(("stem", "gate", "rest"), np.array([100, 0, 400]), uses, varying=(1,))
    wrong = (~correct).astype(np.int64)
    return PathTable(
        ("gate", "full"), costs, prediction=wrong, label_rank=wrong, max_prob=signal, margin=signal, entropy=signal,
        loss=signal, labels=np.zeros(n, dtype=np.int64), sample_id=np.arange(n), spent=np.array([spent]),
        distance=np.full((1, n), np.inf, dtype=np.float32),
    )  # fmt: skip


TEST = table([[1, 0, 1, 0], [1, 1, 1, 0]], [0, 100, 200, 300])
RANDOM = table([[0, 0, 1, 0], [1, 1, 1, 0]], [300, 0, 100, 100])


def test_a_point_of_one_gated_answer_is_per_sample_and_has_controls_of_its_own_cost() -> None:
    found = points.rows(IDENTITY, points.Tables(TEST, TEST, TEST, RANDOM), [GATE, FULL], frozenset(), 10)
    rows = {(row["point"], row["kind"]): row for row in found}
    assert list(rows) == [("gate", "point"), ("full", "point"), ("gate", "random"), ("gate", "mixture")]
    assert [rows[name, "point"]["decision"] for name in ("gate", "full")] == ["per-sample", "static"]
    assert (rows["gate", "point"]["macs"], rows["gate", "point"]["macs_max"]) == (250, 400)
    assert (rows["gate", "random"]["macs"], rows["gate", "random"]["accuracy"]) == (225, 0.25)
    assert (rows["gate", "mixture"]["macs"], rows["gate", "mixture"]["accuracy"]) == (500, 0.75)


def test_mixtures_leave_answers_out_whose_work_depends_on_the_image() -> None:
    assert controls.static_hull((TEST, TEST)) == [1]
    every = replace(TEST, costs=replace(TEST.costs, macs=np.array([100, 0, 0]), varying=(1, 2)),
                    spent=np.zeros((2, 4), dtype=np.int64), distance=np.zeros((2, 4), dtype=np.float32))  # fmt: skip
    assert controls.mixture((every,), every, 300.0) is None
    assert mixture_chances((every,), every, 300.0) is None


def test_an_oracle_pays_what_the_image_itself_would_spend() -> None:
    found = controls.oracle(TEST, CASCADE.router)
    assert found.accuracy == 0.75
    assert found.macs == np.mean([100, 100 + 100 + 400, 300, 400])  # the last is never right, and stops early


def test_claims_look_at_the_decisions_of_other_images() -> None:
    found = seen(GATE, TEST, TEST, TEST, RANDOM)
    assert found.random is not None
    assert found.random.mean() == 0.25
    assert found.macs.tolist() == [100, 200, 300, 400]


def test_no_worst_case_is_known_where_an_image_may_spend_more_than_any_that_was_seen() -> None:
    assert bound(TEST, GATE.router) is None
    assert bound(TEST, CASCADE.router) is None
    assert bound(TEST, FULL.router) == 500


@pytest.fixture(scope="module")
def gated() -> AdjustableModel:
    if "gated" not in {entry.name for entry in plugins.add(PLUGIN)}:
        raise AssertionError
    return create("gated", parse_settings("gated", {}), "resnet14:width=2", 10, (3, 8, 8), 0).eval()


def test_compilers_take_what_every_image_runs_and_refuse_gates(gated: AdjustableModel) -> None:
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    gated.collect_statistics([images])
    with pytest.raises(Unsupported, match="what depends on the image runs in eager only"):
        freeze(gated, GATE, torch.float32, images)
    full = OperatingPoint(name="full", router=Constant(answer=2))
    with torch.no_grad():
        frozen, eager = freeze(gated, full, torch.float32, images)(images), gated.execute(images, full.router).logits
    assert torch.allclose(frozen, eager, atol=1e-5)


def test_latencies_of_trails_do_not_compose_where_images_differ_within_one(gated: AdjustableModel) -> None:
    gated.points = (CASCADE,)
    assert further_points(gated, TEST, 3) == ()


def test_baselines_hold_no_figure_that_depends_on_the_image(gated: AdjustableModel) -> None:
    names = {figure.output for figure in figures_of(gated, "gated") if figure.quantity == "answer_macs"}
    assert names == {"full"}


def test_joined_work_is_frozen_as_it_runs() -> None:
    plugins.add(PLUGIN)
    model = create("fractal", parse_settings("fractal", {}), "resnet8:width=2", 10, (3, 8, 8), 0).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for answer in range(3):
        point = OperatingPoint(name="p", router=Constant(answer=answer))
        with torch.no_grad():
            frozen = freeze(model, point, torch.float32, images)(images)
            assert torch.allclose(frozen, model.execute(images, point.router).logits, atol=1e-6)
