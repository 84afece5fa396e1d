"""Where the time of a point goes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import model

from benchmarks.timing import causes
from benchmarks.timing.causes import NodeTimes, node_shares, node_times
from methods import plugins
from methods.cost import Costs
from methods.registry import create, parse_settings
from methods.routers import Constant, Threshold
from methods.table import PathTable


def cascade() -> PathTable:
    """Two exits over a shared trunk: nodes trunk, head 1, more trunk, head 2; entropies of exit 1 are 0.1 .. 0.4."""
    uses = np.array([[1, 1, 0, 0], [1, 0, 1, 1]], dtype=bool)
    entropy = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    none = np.zeros((2, 4), dtype=np.int64)
    return PathTable(
        ("exit1", "exit2"), Costs(tuple("thmh"), np.array([10, 1, 10, 1]), uses), prediction=none, label_rank=none,
        max_prob=entropy, margin=entropy, entropy=entropy, loss=entropy, labels=none[0], sample_id=np.arange(4),
    )  # fmt: skip


def test_a_static_point_executes_its_own_nodes_for_everybody() -> None:
    assert node_shares(cascade(), Constant(answer=1)).tolist() == [1, 0, 1, 1]


def test_a_cascade_executes_later_nodes_for_those_who_go_on_and_shared_ones_once() -> None:
    router = Threshold(cascade=(0, 1), signal="entropy", thresholds=(0.15,))
    assert node_shares(cascade(), router).tolist() == [1, 1, 0.75, 0.75]


def test_a_points_time_is_the_sum_of_its_nodes_by_their_shares() -> None:
    times = NodeTimes(np.array([4.0, 1.0, 8.0]), np.array([1.0, 1.0, 2.0]))
    assert times.of(np.array([1.0, 0.0, 0.5])) == (8.0, 2.0)
    assert NodeTimes(times.whole, None).of(np.ones(3)) == (13.0, None)


class Clock:
    """Seconds pass by the pixels a step sees, and one for being called."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize("name", ["plain", "sdpoint", "multiscale", "dynres"])
def test_every_node_is_timed_once_a_pass_and_on_1x1_maps_only_the_fixed_part_is_left(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, subject = Clock(), model(name)
    images = torch.rand(2, 3, 8, 8)
    subject.collect_statistics([images])
    original = subject.run_node

    def run_node(node: Any, x: torch.Tensor) -> torch.Tensor:
        clock.now += 1 + (x.shape[-1] * x.shape[-2] - 1 if x.ndim == 4 else 0)
        return original(node, x)

    monkeypatch.setattr(causes, "time", clock)
    monkeypatch.setattr(subject, "run_node", run_node)
    (times,) = node_times([subject], lambda: images)
    assert times.fixed is not None
    resizes = np.array([node.step[0] in ("pool", "resize") for node in subject.graph.nodes])
    assert (times.fixed == np.where(resizes, 0, 1)).all()
    assert (times.whole >= 1).all()
    assert times.whole[subject.graph.paths[-1][0]] == 64


def test_a_network_that_does_not_take_1x1_maps_has_no_fixed_part(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = model()
    images = torch.rand(2, 3, 8, 8)
    subject.collect_statistics([images])
    original = subject.run_node

    def refusing(node: Any, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] == 1:
            raise RuntimeError("kernel size can't be greater than actual input size")
        return original(node, x)

    monkeypatch.setattr(subject, "run_node", refusing)
    (times,) = node_times([subject], lambda: images)
    assert times.fixed is None
    assert (times.whole > 0).all()


@pytest.mark.parametrize("says", [True, False])
def test_a_methods_own_downsampling_is_left_out_where_it_says_that_it_changes_the_size_alone(says: bool) -> None:
    """On a map of one pixel it has nothing to do, and cannot be run."""
    plugins.add(Path(__file__).parents[1] / "methods" / "inventions.py")
    fractal: Any = create("fractal", parse_settings("fractal", {}), "resnet8:width=2", 10, (3, 8, 8), 0).eval()
    if not says:
        fractal.kind = lambda step: "compute"
    (times,) = node_times([fractal], lambda: torch.rand(2, 3, 8, 8))
    assert (times.fixed is not None) == says
