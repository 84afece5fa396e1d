"""Two versions take turns on the same images; fresh pairs, and only as many as are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from benchmarks.core.progress import drive
from benchmarks.gate.duel import BLOCK_S, LEAST, PATIENCE, ROUNDS, Duel, Subject, log_ratio
from benchmarks.gate.shift import SCREENING_PAIRS, fresh_pairs


class Player:
    """A process on a clock of its own: every call takes `seconds[point]` times the machine's mood."""

    quiet_after = 0
    """Blocks before the core is left to this process."""

    def __init__(self, name: str, seconds: dict[str, float], log: list[tuple[Any, ...]], rng: Any) -> None:
        self.name, self.seconds, self.log, self.rng = name, seconds, log, rng

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        self.log.append((self.name, do, asked))
        each = self.seconds[asked["point"]]
        if do == "warm":
            return {"seconds": each}
        moods = self.rng.lognormal(0, 0.02, asked["calls"])
        alone = sum(do == "block" for _, do, _ in self.log) > self.quiet_after
        return {"seconds": [each * mood for mood in moods], "alone": [alone] * asked["calls"]}


class Table:
    """Deals fresh pairs and keeps what they were asked."""

    def __init__(self, base: dict[str, float], head: dict[str, float]) -> None:
        self.sides, self.pairs, self.rng = (base, head), [], np.random.default_rng(0)

    @contextmanager
    def start(self) -> Iterator[Any]:
        yield self.fresh

    @contextmanager
    def fresh(self) -> Iterator[list[Player]]:
        log: list[tuple[Any, ...]] = []
        self.pairs.append(log)
        yield [Player(name, side, log, self.rng) for name, side in zip(("base", "head"), self.sides, strict=True)]


def race(base: dict[str, float], head: dict[str, float], tolerance: float = 0.05) -> tuple[Any, Table, Duel]:
    table = Table(base, head)
    duel = Duel(table.start, np.random.default_rng(0))
    subjects = [Subject(f"m {point}", point, 0, 0) for point in base]
    return drive(duel.run(subjects, tolerance)), table, duel


def test_identical_versions_pass_after_the_screening() -> None:
    found, table, _ = race({"a": 0.002, "b": 0.004}, {"a": 0.002, "b": 0.004})
    assert {name: shift.verdict for name, shift in found.items()} == {"m a": "pass", "m b": "pass"}
    assert len(table.pairs) == SCREENING_PAIRS


def test_a_slower_point_is_tried_again_on_fresh_pairs_and_the_others_are_not() -> None:
    found, table, _ = race({"a": 0.002, "b": 0.004}, {"a": 0.0024, "b": 0.004})
    assert found["m a"].verdict == "regression"
    assert found["m a"].estimate.mean == pytest.approx(1.2, rel=0.02)
    assert found["m b"].verdict == "pass"
    assert len(table.pairs) == SCREENING_PAIRS + fresh_pairs(1)
    assert {asked["point"] for log in table.pairs[SCREENING_PAIRS:] for _, _, asked in log} == {"a"}


def test_a_faster_point_is_an_improvement() -> None:
    found, _, _ = race({"a": 0.002}, {"a": 0.0015})
    assert found["m a"].verdict == "improvement"


def test_within_a_block_both_versions_get_the_same_images_and_as_many() -> None:
    _, table, _ = race({"a": 0.002, "b": 0.05}, {"a": 0.002, "b": 0.05})
    for log in table.pairs:
        blocks = [(name, asked) for name, do, asked in log if do == "block"]
        for first, second in zip(blocks[::2], blocks[1::2], strict=True):
            assert {first[0], second[0]} == {"base", "head"}
            assert first[1] == second[1]


def test_turns_and_points_come_in_random_order() -> None:
    _, table, _ = race({"a": 0.002, "b": 0.002}, {"a": 0.002, "b": 0.002})
    blocks = [(name, asked["point"]) for name, do, asked in table.pairs[0] if do == "block"]
    assert len(set(blocks[::2])) == 4


def test_a_block_lasts_and_rounds_are_bounded() -> None:
    _, table, duel = race({"fast": 0.0001, "slow": 0.5}, {"fast": 0.0001, "slow": 0.5})
    calls = {asked["point"]: asked["calls"] for _, do, asked in table.pairs[0] if do == "block"}
    assert calls == {"fast": round(BLOCK_S / 0.0001), "slow": 1}
    assert all(len(blocks) == ROUNDS[0] for blocks in duel.pairs[0].values())


def test_a_disturbed_pair_goes_on_until_enough_calls_were_alone_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for quiet_after, rounds in ((2 * 4, 4 + LEAST), (10**9, PATIENCE * ROUNDS[0])):
        monkeypatch.setattr(Player, "quiet_after", quiet_after)
        _, _, duel = race({"slow": 0.5}, {"slow": 0.5})
        assert [len(pair["m slow"]) for pair in duel.pairs] == [rounds] * SCREENING_PAIRS


def test_the_log_ratio_is_of_the_same_call_in_both_versions_so_that_a_mix_of_paths_does_not_blur_it() -> None:
    short, long = 0.001, 0.1
    base = [short, long, short, long, long]
    all_ = [True] * 5
    assert log_ratio([(base, [1.2 * s for s in base], all_, all_)] * 3) == pytest.approx(np.log(1.2))


def test_a_slowdown_of_the_path_that_fewer_than_half_of_the_images_take_counts_for_its_time() -> None:
    base = [0.001] * 6 + [0.003] * 4  # six images leave early, four go on, and these get 1.5 times slower
    head = [0.001] * 6 + [0.0045] * 4
    all_ = [True] * 10
    assert log_ratio([(base, head, all_, all_)] * 10) == pytest.approx(np.log(0.024 / 0.018), rel=1e-6)


def test_calls_that_others_disturbed_do_not_count_unless_nearly_all_were() -> None:
    yes, no = [True] * 10, [False] * 10
    quiet = ([0.01] * 10, [0.011] * 10, yes, yes)
    disturbed = ([0.01] * 10, [0.5] * 10, no, no)
    assert log_ratio([quiet] * 2 + [disturbed] * 5) == pytest.approx(np.log(1.1))
    assert log_ratio([quiet] + [disturbed] * 9) == pytest.approx(np.log(50))


def test_a_version_that_waits_for_something_is_not_excused_as_disturbed() -> None:
    yes, no = [True] * 10, [False] * 10
    waiting = ([0.01] * 10, [0.013] * 10, yes, no)
    lucky = ([0.01] * 10, [0.01] * 10, yes, yes)
    assert log_ratio([waiting] * 8 + [lucky] * 2) > np.log(1.2)
