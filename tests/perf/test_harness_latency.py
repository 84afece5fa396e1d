"""The harness adds nothing: its latency of a point is that of a hand-written loop around the same module."""

import os
import time

import numpy as np
import pytest
import torch

from benchmarks.timing.worker import seconds_of
from methods.registry import create, parse_settings
from methods.routers import Constant

pytestmark = pytest.mark.perf
SHAPE = (3, 32, 32)
ROUNDS, CALLS = 60, 20


@pytest.fixture
def one_core():
    """One thread on one core, until the test is over."""
    threads, cores = torch.get_num_threads(), os.sched_getaffinity(0)
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)


@torch.inference_mode()
def by_hand(model, router, images):
    seconds = []
    for batch in images:
        begun = time.perf_counter()
        model.execute(batch, router)
        seconds.append(time.perf_counter() - begun)
    return seconds


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned here")
@pytest.mark.parametrize("answer", ["p1_r0.5", "full"])
def test_a_points_latency_in_the_harness_is_within_2_percent_of_a_hand_written_loop(one_core, answer, record_property):
    model = create("sdpoint", parse_settings("sdpoint", {}), "resnet20", 10, SHAPE, seed=0)
    model.to(memory_format=torch.channels_last)
    model.collect_statistics([torch.rand(64, *SHAPE)])
    router = Constant(answer=model.graph.index(answer))
    images = [torch.rand(1, *SHAPE).to(memory_format=torch.channels_last) for _ in range(CALLS)]
    works = (
        lambda: seconds_of(lambda batch: model.execute(batch, router), images),
        lambda: by_hand(model, router, images),
    )
    ratios = []
    for turn in range(ROUNDS + 2):
        order = (0, 1) if turn % 2 else (1, 0)
        found = {which: np.median(works[which]()) for which in order}
        ratios.append(found[0] / found[1])
    ratio = float(np.median(ratios[2:]))
    record_property("harness_over_hand", ratio)
    print(f"\n{answer}: harness / hand-written loop {ratio:.4f}")
    assert abs(ratio - 1) <= 0.02
