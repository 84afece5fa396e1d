"""Trails of one image at several points: what one signal explains, and what a forger would like it to."""

import numpy as np
import pytest
from entering import Made, one_seed, restated
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard.contradictions import impossible
from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.packing import pack, unpack
from benchmarks.leaderboard.trails import possible

TRAILS = [(0,), (0, 1), (0, 1, 2)]
SIGNALS = st.sampled_from(["entropy", "max_prob", "margin"])


def swept(signal: str, thresholds: list[float | None]) -> list[dict[str, object]]:
    """Cascades of three answers, one a threshold that is common to both exits."""
    return [{"kind": "threshold", "cascade": [0, 1, 2], "signal": signal, "thresholds": [t, t]} for t in thresholds]


def follow(routers: list[dict[str, object]], values: np.ndarray) -> np.ndarray:
    """The trails [n, p] of images that show these values [n, 2] at two exits."""
    taken = []
    for router in routers:
        (threshold, _), entropy = router["thresholds"], router["signal"] == "entropy"  # type: ignore[misc]
        if threshold is None:
            stops = np.zeros_like(values, dtype=bool)
        else:
            stops = values < threshold if entropy else values >= threshold
        taken.append(np.where(stops[:, 0], 0, np.where(stops[:, 1], 1, 2)))
    return np.stack(taken, axis=1)


@given(SIGNALS, st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_trails_that_signals_make_never_contradict(signal: str, thresholds: list[float | None], seed: int) -> None:
    values = np.random.default_rng(seed).random((50, 2))
    routers = swept(signal, thresholds)
    assert impossible(routers, TRAILS, follow(routers, values)) == 0


@pytest.mark.parametrize(
    ("signal", "stricter", "looser"), [("entropy", 0.2, 0.6), ("max_prob", 0.9, 0.5), ("margin", 0.8, 0.3)]
)
def test_who_leaves_at_a_strict_threshold_leaves_at_a_loose_one(signal: str, stricter: float, looser: float) -> None:
    routers = swept(signal, [stricter, looser])
    assert impossible(routers, TRAILS, np.array([[0, 0], [2, 0], [2, 2], [1, 0]])) == 0
    assert impossible(routers, TRAILS, np.array([[0, 2], [1, 2], [0, 1], [0, 0]])) == 3


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_choices_that_scores_make_never_contradict(strengths: list[float], seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(50, 3))
    routers = [{"kind": "argmax", "probe": 3, "options": [0, 1, 2], "bias": [-s / 4, -s / 2, -s]} for s in strengths]
    taken = np.stack([(scores + np.array(router["bias"])).argmax(axis=1) for router in routers], axis=1)
    assert impossible(routers, [(3, 0), (3, 1), (3, 2)], taken) == 0


def test_who_is_sent_to_a_dear_answer_against_a_bias_is_sent_there_without_it() -> None:
    routers = [{"kind": "argmax", "probe": 2, "options": [0, 1], "bias": bias} for bias in ([0, -2.0], [0, 0.0])]
    assert impossible(routers, [(2, 0), (2, 1)], np.array([[1, 1], [0, 1], [0, 0]])) == 0
    assert impossible(routers, [(2, 0), (2, 1)], np.array([[1, 0]])) == 1


def test_leaving_at_the_exit_that_is_right_for_each_image_is_refused(made: Made, early: Entry) -> None:
    """An oracle at one point: cheap where the first exit is right, however sure it is."""
    first = early.seeds[0]
    right = unpack(first.test_prediction)[:, 0] == unpack(early.labels)
    place = next(p for p, one in enumerate(first.points) if one.router["kind"] == "threshold" and passes(one.router))
    trail = unpack(first.test_trail).copy()
    numbers = {steps: number for number, steps in enumerate(first.trails)}
    trail[:, place] = np.where(right, numbers[0,], numbers[0, 1, 2])
    oracle = restated(one_seed(early, test_trail=pack(trail)))
    assert made.broken(oracle) == {"trails"}
    (problem,) = made.judged(oracle)["trails"].problems
    assert "go at one point as they cannot at another" in problem


def passes(router: dict[str, object]) -> bool:
    """Whether images can leave at the first exit and at the last."""
    return possible(router, (0,), 10) and possible(router, (0, 1, 2), 10)


@pytest.mark.parametrize(
    ("router", "trail", "allowed"),
    [
        ({"kind": "threshold", "signal": "entropy", "thresholds": [0.0]}, (0,), False),
        ({"kind": "threshold", "signal": "entropy", "thresholds": [2.5]}, (0, 1), False),
        ({"kind": "threshold", "signal": "entropy", "thresholds": [2.2]}, (0, 1), True),
        ({"kind": "threshold", "signal": "max_prob", "thresholds": [2.0]}, (0,), False),
        ({"kind": "threshold", "signal": "max_prob", "thresholds": [0.05]}, (0, 1), False),
        ({"kind": "threshold", "signal": "margin", "thresholds": [1.5]}, (0,), False),
        ({"kind": "learned", "features": ["margin"], "policies": [{"weights": [[1.0]], "bias": [1.0]}]}, (0,), False),
        ({"kind": "learned", "features": ["margin"], "policies": [{"weights": [[1.0]], "bias": [-2]}]}, (0, 1), False),
        ({"kind": "learned", "features": ["margin"], "policies": [{"weights": [[0.0]], "bias": [1.0]}]}, (0, 1), True),
    ],
)  # fmt: skip
def test_no_image_passes_what_no_signal_of_ten_classes_passes(
    router: dict[str, object], trail: tuple[int, ...], allowed: bool
) -> None:
    assert possible({"cascade": [0, 1], **router}, trail, 10) == allowed
