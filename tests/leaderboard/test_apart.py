"""Seeds that were trained apart disagree; one training that is entered as several does not, or hardly."""

import numpy as np
import pytest
from entering import Made, changed, restated
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import pdtr

from benchmarks.leaderboard import apart
from benchmarks.leaderboard.apart import LEAST, OF_OTHERS, Disagreement
from benchmarks.leaderboard.entry import FOLDER, Entry, Seed
from benchmarks.leaderboard.packing import pack, unpack
from benchmarks.leaderboard.shelf import entries


@pytest.fixture(scope="module")
def board() -> list[Entry]:
    """The entries of the project's own leaderboard: honest seeds, on three data sets."""
    return entries(FOLDER)


def entered_again(seed: Seed, other: Seed) -> Seed:
    """One training under another's number, in a file of another hash."""
    return seed.model_copy(update={"seed": other.seed, "weights": other.weights})


def nearly(seed: Seed, share: float) -> Seed:
    """A training whose answers differ in this share of images: nudged weights, or some more steps."""
    draws, said = np.random.default_rng(0), unpack(seed.test_prediction)
    other = np.where(draws.random(len(said))[:, None] < share, (said + 1) % 10, said)
    return seed.model_copy(update={"test_prediction": pack(other)})


def test_no_two_seeds_of_the_board_are_taken_for_one_training(board: list[Entry]) -> None:
    chances = []
    for entry in board:
        least = apart.limit(entry, [other for other in board if other is not entry])
        chances += [pdtr(np.floor(seen.found), least * seen.expected) for _, _, seen in apart.pairs(entry)]
        assert apart.problems(entry, [other for other in board if other is not entry]) == []
    assert len(chances) == 237
    assert min(chances) > 0.5  # a pair is refused from 0.01 on: none is near it


def test_the_limit_is_half_of_the_least_that_an_entry_of_the_board_shows(board: list[Entry]) -> None:
    least = min(apart.share(entry) for entry in board)
    assert least == pytest.approx(2 * LEAST, abs=0.01)


def test_one_training_of_the_board_as_all_its_seeds_is_refused_on_every_data_set(board: list[Entry]) -> None:
    for entry in board:
        first, *others = entry.seeds
        copied = changed(entry, seeds=(first, *(entered_again(first, other) for other in others)))
        assert apart.problems(copied, [other for other in board if other is not entry])


def test_two_seeds_of_one_training_are_refused_where_networks_err_often_enough(board: list[Entry]) -> None:
    passed = set()
    for entry in board:
        first, second, *others = entry.seeds
        copied = changed(entry, seeds=(first, entered_again(first, second), *others))
        if not apart.problems(copied, [other for other in board if other is not entry]):
            passed.add((entry.label, entry.dataset.name))
    assert passed == {("plain", "digits")}  # it errs on about 6 of 359 images


def test_one_training_as_several_seeds_is_refused_whatever_its_files_are(made: Made) -> None:
    first, *others = made.entries["sdpoint"].seeds
    copies = changed(made.entries["sdpoint"], seeds=(first, *(entered_again(first, other) for other in others)))
    assert made.broken(restated(copies)) == {"apart"}


def test_a_training_entered_twice_among_honest_ones_is_refused(made: Made) -> None:
    first, second, third = made.entries["sdpoint"].seeds
    twice = restated(changed(made.entries["sdpoint"], seeds=(first, entered_again(first, second), third)))
    assert made.broken(twice) == {"apart"}
    (problem,) = made.judged(twice)["apart"].problems
    assert problem.startswith("seeds 0 and 1 are one training: they differ in 0 answers")


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_near_copies_are_refused(made: Made, early: Entry, share: float) -> None:
    first, second, third = early.seeds
    near = restated(changed(early, seeds=(first, nearly(entered_again(first, second), share), third)))
    assert made.broken(near) == {"apart"}


@given(st.floats(0.5, 1e4), st.floats(LEAST, 0.4))
def test_seeds_that_disagree_as_is_usual_are_refused_at_most_once_in_5000(expected: float, least: float) -> None:
    refused = [k for k in range(int(expected) + 2) if apart.too_alike(Disagreement(k, expected), least)]
    assert not refused or pdtr(max(refused), least / OF_OTHERS * expected) < 2e-4


def test_entries_that_agree_too_much_do_not_lower_the_limit_below_that_of_all_data(early: Entry) -> None:
    first, *others = early.seeds
    near = changed(early, seeds=(first, *(nearly(entered_again(first, other), 0.02) for other in others)))
    assert apart.share(near) < 0.1
    assert apart.limit(early, [near, near]) == LEAST


def test_networks_that_never_err_say_nothing_of_their_training(early: Entry) -> None:
    right = pack(np.repeat(unpack(early.labels)[:, None], early.costs.answers, axis=1))
    perfect = [
        seed.model_copy(
            update={"test_prediction": right, "select_right": pack(np.ones_like(unpack(seed.select_right)))}
        )
        for seed in early.seeds
    ]
    assert apart.problems(changed(early, seeds=tuple(perfect))) == []


def test_seeds_that_guess_alike_expect_no_disagreement(early: Entry) -> None:
    first, second, *_ = early.seeds
    same = pack(np.zeros_like(unpack(first.test_prediction)))
    none = pack(np.zeros_like(unpack(first.select_right)))
    stuck = [one.model_copy(update={"test_prediction": same, "select_right": none}) for one in (first, second)]
    assert apart.between(early, *stuck) == Disagreement(0, 0)
