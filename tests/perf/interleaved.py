"""Ratios of two pieces of work timed in turns, so that drift of the machine hits both alike."""

import time
from collections.abc import Callable

import numpy as np


def ratio(first: Callable[[], object], second: Callable[[], object], rounds: int = 9) -> float:
    """Median over rounds of seconds(first) / seconds(second), after one round of warm-up."""
    ratios = []
    for turn in range(rounds + 1):
        pair = [_seconds(work) for work in ((first, second) if turn % 2 else (second, first))]
        ratios.append(pair[0] / pair[1] if turn % 2 else pair[1] / pair[0])
    return float(np.median(ratios[1:]))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
