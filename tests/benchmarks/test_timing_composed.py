"""Composed latencies: trails forced one by one, mixed in the shares of the test images."""

from typing import Any

import numpy as np
import pytest
import torch
from harness import model

from benchmarks.timing.composed import Sampled, composed, deviation, forced, parts
from benchmarks.timing.composing import composition, further_points, outcome
from benchmarks.timing.conditions import Condition
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Subject, timed_points
from benchmarks.timing.summary import executed
from methods.base import AdjustableModel
from methods.routers import Argmax, Learned, OperatingPoint, Policy, Router, Threshold
from methods.routing import simulate
from methods.table import PathTable, columns

IMAGES = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(64) % 10
LEARNED = Learned(
    cascade=(0, 1, 2), features=("margin",),
    policies=(Policy(weights=((1.0,), (2.0,)), bias=(-0.01, -0.01)), Policy(weights=((1.0,),), bias=(-0.01,))),
)  # fmt: skip


def table(subject: AdjustableModel) -> PathTable:
    subject.collect_statistics([IMAGES])
    with torch.inference_mode():
        said = subject.trace(IMAGES)
    each = [columns(said[name], LABELS) for name in subject.graph.names]
    arrays: Any = {name: np.stack([one[name] for one in each]) for name in each[0]}
    probes = {name: said[name].numpy() for name in subject.graph.probes}
    labels = LABELS.numpy()
    return PathTable(subject.graph.names, subject.costs(), labels=labels, sample_id=labels, probes=probes, **arrays)


@pytest.fixture(scope="module")
def exits() -> tuple[AdjustableModel, PathTable]:
    subject = model("earlyexit").eval()
    return subject, table(subject)


def middle(found: PathTable, signal: str = "entropy") -> float:
    return float(np.median(getattr(found, signal)[0]))


def every_trail_is_forced(found: PathTable, router: Router) -> None:
    """All images of the table go the way that the router is forced to, and the ways together are the router's."""
    point = OperatingPoint.model_construct(name="p", router=router)
    made = parts(found, point)
    original = simulate(found, router)
    assert len(made.routers) > 1
    assert made.shares.sum() == pytest.approx(1)
    for place, one in enumerate(made.routers):
        sent = simulate(found, type(router).model_validate(one.model_dump()))
        mine = made.trail == place
        assert len(np.unique(sent.visited, axis=0)) == 1
        assert np.array_equal(sent.visited[mine], original.visited[mine])
        assert np.array_equal(sent.answer[mine], original.answer[mine])
        assert np.array_equal(sent.router_macs[mine], original.router_macs[mine])  # decides as often and as dearly


@pytest.mark.parametrize("signal", ["entropy", "max_prob", "margin"])
def test_every_trail_through_thresholds_is_forced(exits: tuple[AdjustableModel, PathTable], signal: Any) -> None:
    found = exits[1]
    threshold = middle(found, signal)
    every_trail_is_forced(found, Threshold(signal=signal, cascade=(0, 1, 2), thresholds=(threshold, threshold)))


def test_a_disabled_exit_stays_disabled_so_that_no_signal_is_computed_there() -> None:
    router = Threshold(signal="entropy", cascade=(0, 1, 2), thresholds=(None, 0.5))
    assert [forced(router, trail, trail[-1]).thresholds for trail in ((0, 1), (0, 1, 2))] == [(None, 1e9), (None, -2.0)]


def test_every_trail_of_a_policy_that_jumps_is_forced(exits: tuple[AdjustableModel, PathTable]) -> None:
    every_trail_is_forced(exits[1], LEARNED)


def test_every_choice_of_a_probe_is_forced() -> None:
    subject = model("dynres").eval()
    found = table(subject)
    scores = found.probes[next(iter(found.probes))]
    bias = tuple(float(-value) for value in np.median(scores, axis=0))
    every_trail_is_forced(found, Argmax(probe=scores.shape[1], options=tuple(range(scores.shape[1])), bias=bias))


def test_thresholds_of_one_cascade_share_their_trails(exits: tuple[AdjustableModel, PathTable]) -> None:
    found = exits[1]
    values = np.quantile(found.entropy[0], [0.3, 0.6])
    made = [
        parts(found, OperatingPoint(name="p", router=Threshold(signal="entropy", cascade=(0, 1, 2), thresholds=(v, v))))
        for v in values.tolist()
    ]
    assert {router for one in made for router in one.routers} <= set(made[0].routers) | set(made[1].routers)
    assert len({router for one in made for router in one.routers}) <= 3
    assert made[0].shares[0] < made[1].shares[0]


def test_a_composed_point_is_its_trails_in_their_shares() -> None:
    fast, slow = (Sampled(np.full(20, ms), np.full(20, 1 / 20), np.full(5, ms), np.full(5, ms)) for ms in (1.0, 5.0))
    found = composed([fast, slow], np.array([0.75, 0.25]))
    assert found.mean == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert found.means == pytest.approx([2.0] * 5)
    assert found.medians == pytest.approx([1.0] * 5)
    assert found.weights.sum() == pytest.approx(1)
    assert composed([fast, slow], np.array([0.25, 0.75])).medians == pytest.approx([5.0] * 5)


def test_a_composition_without_deviation_is_zero_and_one_of_a_tenth_a_tenth() -> None:
    taken = np.array([[0, 1], [0, 0], [1, 1], [0, 1]])
    trails = np.broadcast_to(np.array([[[1.0, 1.0], [3.0, 3.0]]]), (4, 2, 2))
    real = np.array([1.0, 3.0])[taken]
    for factor in (1.0, 1.1):
        session = Session(np.concatenate([real[:, None], factor * trails], axis=1), np.zeros((4, 2), dtype=np.int64))
        assert deviation(session, 0, [1, 2], taken) == pytest.approx(factor - 1)


def subject(exits: tuple[AdjustableModel, PathTable], tmp_path: Any) -> tuple[Subject, tuple[OperatingPoint, ...]]:
    network, found = exits
    network.points = tuple(network.operating_points(found, 8))
    further = further_points(network, found, 3)
    identity = {"method": "earlyexit", "variant": "default", "backbone": "b", "dataset": "d", "seed": 0}
    return Subject("job", identity, tmp_path / "none", network.points, found), further


def test_further_points_are_per_sample_and_not_among_the_models_own(
    exits: tuple[AdjustableModel, PathTable], tmp_path: Any
) -> None:
    own, further = subject(exits, tmp_path)
    assert len(further) == 3
    assert not {p.router for p in further} & {p.router for p in own.points}
    assert len({p.name for p in (*further, *own.points)}) == 3 + len(own.points)
    assert all(exits[1].decision(p) == "per-sample" for p in further)
    assert further_points(model("plain"), exits[1], 3) == ()


def invented(own: Subject, further: Any, slower: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A condition in which a trail takes 1 ms an answer on it, and executed points are `slower` by a factor."""
    made = composition(own, further)
    timed = [*timed_points([own]), *made.timed(0)]
    batches = np.arange(64)[:, None]
    seconds = np.zeros((4, len(timed), 16))
    for which, point in enumerate(timed):
        visited = simulate(own.test, point.point.router).visited.sum(axis=1)
        seconds[:, which] = 1e-3 * visited.reshape(4, 16) * (1 if point.extra else slower)
    sessions = [Session(seconds, np.arange(64).reshape(4, 16))]
    return outcome(made, timed, Condition(1, 1, "cpu"), sessions, batches)


def test_composed_rows_have_the_mean_of_their_shares_and_say_that_they_are_composed(
    exits: tuple[AdjustableModel, PathTable], tmp_path: Any
) -> None:
    own, further = subject(exits, tmp_path)
    found, validation = invented(own, further, slower=1.0)
    assert validation["holds"]
    assert len(validation["executed"]) == 3
    assert [row["point"] for row in found] == [point.name for point in further]
    for row, point in zip(found, further, strict=True):
        answers = simulate(own.test, point.router).visited.sum(axis=1)
        assert row["images_per_s"] == pytest.approx(1000 / answers.mean())
        assert row["p50_ms"] == np.sort(answers)[31]
        assert row["execution"] == "composed"
        assert "composition" not in row["flags"]


def test_what_executes_otherwise_than_composed_flags_all_composed_rows(
    exits: tuple[AdjustableModel, PathTable], tmp_path: Any
) -> None:
    found, validation = invented(*subject(exits, tmp_path), slower=1.1)
    assert not validation["holds"]
    assert all(one["deviation"] == pytest.approx(1 / 1.1 - 1) for one in validation["executed"])
    assert all("composition" in row["flags"] for row in found)


def test_an_executed_point_has_equal_weights() -> None:
    session = Session(np.array([[[1.0, 2.0]], [[3.0, 6.0]]]), np.zeros((2, 2), dtype=np.int64))
    found = executed(session, 0)
    assert found.mean == pytest.approx(3000)
    assert found.medians.tolist() == found.means.tolist() == [1500, 4500]
