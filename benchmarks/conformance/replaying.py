"""Time: an execution takes about as long as the operators that it told torch's dispatcher of, played again."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.conformance.larger import SIDE, Larger
from benchmarks.conformance.subject import Finding, Subject, answered, named
from methods.base import AdjustableModel
from methods.routers import OperatingPoint

SLOWER, ATTEMPTS = 1.5, 3
"""More than this many times the operators' processor time, in each of so many attempts, is work that is not theirs."""
LARGE = 512
"""Images of 8 x 8 pixels in a batch: with fewer, running Python takes a good part of the time."""
FIRST, AGAIN = 2, 5
"""Executions of the first attempt, and of the others."""


def time_is_of_operators(subject: Subject) -> Finding:
    """Answering takes at most 1.5 times the processor time of the operators that ran for it; on 32 x 32 pixels too."""
    wrong, ratios = [], []
    for what, model, point, images in _executions(subject):
        ratios.append(_confirmed(model, point, images))
        if ratios[-1] > SLOWER:
            wrong.append(f"{what}: takes {ratios[-1]:.1f} times the time of its operators")
    return Finding(
        not wrong,
        named(wrong, 1) or f"{subject.extent}, {min(ratios):.2f} to {max(ratios):.2f} times the time of the operators",
    )


def _executions(subject: Subject) -> Iterator[tuple[str, AdjustableModel, OperatingPoint, Tensor]]:
    model, images = subject.model(), subject.images
    many = images.repeat(-(-LARGE // len(images)), 1, 1, 1)[:LARGE].contiguous(memory_format=torch.channels_last)
    for point in subject.points:
        yield point.name, model, point, many
    large = subject.larger
    if isinstance(large, Larger):
        for point in large.points:
            yield f"{point.name} on {SIDE} x {SIDE} pixels", large.model, point, large.images


def _confirmed(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> float:
    """The ratio of times, and where it is suspicious the smallest of ATTEMPTS."""
    replay = _recorded(model, point, images)
    ratio = _ratio(lambda: answered(model, point, images), replay, FIRST)
    for _ in range(1, ATTEMPTS):
        if ratio > SLOWER:
            ratio = min(ratio, _ratio(lambda: answered(model, point, images), replay, AGAIN))
    return ratio


def _ratio(execute: Callable[[], object], replay: Callable[[], object], pairs: int) -> float:
    """The fastest of `pairs` executions over the fastest of as many replays, in turns."""
    seconds = [(_seconds(execute), _seconds(replay)) for _ in range(pairs)]
    return min(own for own, _ in seconds) / min(played for _, played in seconds)


def _seconds(call: Callable[[], object]) -> float:
    """Processor time of all threads: on a shared machine wall-clock time tells when others had their turn."""
    started = time.process_time()
    call()
    return time.process_time() - started


class _Tape(TorchDispatchMode):
    """Keeps every operator with what it was given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def _recorded(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> Callable[[], None]:
    """What plays the operators of an execution again, one after the other, and has done so once."""
    with torch.no_grad(), _Tape() as tape:
        answered(model, point, images)

    @torch.no_grad()
    def replay() -> None:
        for func, args, kwargs in tape.calls:
            func(*args, **kwargs)

    replay()
    return replay
