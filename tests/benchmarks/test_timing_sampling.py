"""One process' part of a timing: calls whose seconds are known beforehand."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.core.progress import Progress, drive
from benchmarks.timing.sampling import Session, session


class Clock:
    """Time that passes only where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def call(self, *seconds: float) -> tuple[Callable[[torch.Tensor], None], list[int]]:
        """A call that takes `seconds`, in turn, and the images it was given."""
        seen: list[int] = []

        def work(images: torch.Tensor) -> None:
            self.now += seconds[len(seen) % len(seconds)]
            seen.append(int(images[0]))

        return work, seen


class Quiet:
    """Nobody else is there, as often as one looks."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> None:
        self.looks += 1

    def others(self) -> float:
        return 0.5

    def flags(self, others: float) -> list[str]:
        return ["loaded"] * (others > 0.1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def measured(
    *calls: Any, budget: float = 10.0, rounds: tuple[int, int] = (9, 31), seed: int = 0, show: Any = None
) -> Session:
    images = [torch.tensor([number]) for number in range(7)]
    return drive(session(calls, images, None, budget, rounds, seed, Quiet()), show or (lambda progress: None))


def test_a_call_shorter_than_a_sample_is_repeated(clock: Clock) -> None:
    call, seen = clock.call(0.001)  # ten calls make a sample of 10 ms
    found = measured(call)
    assert found.seconds.shape == (31, 1, 10)
    assert found.seconds == pytest.approx(0.001)
    assert len(seen) == 10 + 31 * 10  # a warm-up of ten, then as many rounds as there may be


def test_every_point_is_timed_on_the_same_images_in_the_same_rounds(clock: Clock) -> None:
    pairs = [clock.call(0.02), clock.call(0.003), clock.call(0.1)]
    found = measured(*(call for call, _ in pairs))
    assert found.seconds.shape[1:] == (3, 4)  # the fastest fills a sample with four calls
    timed = [seen[10:] for _, seen in pairs]
    assert timed[0] == timed[1] == timed[2] == found.batches.ravel().tolist()
    assert found.seconds.mean(axis=(0, 2)) == pytest.approx([0.02, 0.003, 0.1])


def test_points_are_timed_in_another_order_every_round(clock: Clock) -> None:
    order: list[int] = []

    def noted(which: int) -> Callable[[torch.Tensor], None]:
        def work(images: torch.Tensor) -> None:
            clock.now += 0.02
            order.append(which)

        return work

    measured(*(noted(which) for which in range(4)))
    rounds = np.reshape(order[4 * 10 :], (-1, 4))
    assert len({tuple(turn) for turn in rounds.tolist()}) > 5
    assert all(sorted(turn) == [0, 1, 2, 3] for turn in rounds.tolist())


def test_another_seed_begins_with_other_images_and_the_same_seed_with_the_same(clock: Clock) -> None:
    first = [measured(clock.call(0.02)[0], seed=seed).batches[0, 0] for seed in (0, 0, 1, 2, 3)]
    assert first[0] == first[1]
    assert len(set(first)) > 2


@pytest.mark.parametrize(("seconds", "rounds"), [(60.0, 9), (0.5, 20), (0.02, 31)])
def test_rounds_fill_the_budget_within_their_bounds(clock: Clock, seconds: float, rounds: int) -> None:
    assert len(measured(clock.call(seconds)[0]).seconds) == rounds


def test_a_slow_point_is_warmed_up_for_a_bounded_time(clock: Clock) -> None:
    call, seen = clock.call(1.0)
    measured(call)
    assert len(seen) == 2 + 10  # two warm it up, ten fill the budget


def test_progress_ends_at_its_total_and_never_goes_back(clock: Clock) -> None:
    shown: list[Progress] = []
    measured(clock.call(0.02)[0], show=shown.append)
    done = [progress.done for progress in shown]
    assert done == sorted(done)
    assert shown[-1].done == shown[-1].total


def test_what_others_took_becomes_a_flag(clock: Clock) -> None:
    found = measured(clock.call(0.02)[0])
    assert found.others == 0.5
    assert found.flags == ("loaded",)


def test_a_session_is_the_same_after_it_was_told_to_another_process(clock: Clock) -> None:
    found = measured(clock.call(0.02, 0.0312)[0])
    told = Session.of(found.json())
    assert np.allclose(told.seconds, found.seconds, atol=1e-9)
    assert np.array_equal(told.batches, found.batches)
    assert (told.others, told.flags) == (found.others, found.flags)
