"""What only the weights can tell: forgeries that keep every rule, and what a replay finds in each."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from entering import Made, changed, edited, one_seed, restated

import benchmarks.data
from benchmarks.data.base import DataSet
from benchmarks.leaderboard import executed_answers
from benchmarks.leaderboard import replay as again
from benchmarks.leaderboard.entry import Entry, Seed
from benchmarks.leaderboard.fit_half import choose, table_of
from benchmarks.leaderboard.packing import pack, unpack
from benchmarks.leaderboard.recount import model_of
from benchmarks.leaderboard.replay import Replayed
from methods.routers import Constant, OperatingPoint
from methods.table import PathTable

Forge = Callable[[Entry], Entry]


@pytest.fixture(scope="module")
def data() -> DataSet:
    return benchmarks.data.load("digits")


def replayed(made: Made, entry: Entry, data: DataSet) -> Replayed:
    """What a replay of the first seed finds."""
    first = changed(entry, seeds=entry.seeds[:1])
    paths = again.weights_of(first, [made.folder / "weights"])
    ((_, found),) = again.replay(first, paths, data, torch.device("cpu"))
    return found


def all_top5(entry: Entry) -> Entry:
    return one_seed(entry, test_top5=edited(entry.seeds[0].test_top5, np.ones_like))


def corrected(entry: Entry) -> Entry:
    """Three wrong answers are made right."""
    labels, first = unpack(entry.labels), entry.seeds[0]
    said = unpack(first.test_prediction).copy()
    wrong = np.flatnonzero(said[:, 0] != labels)[:3]
    said[wrong, 0] = labels[wrong]
    return one_seed(entry, test_prediction=pack(said))


def select_that_lies(entry: Entry) -> Entry:
    return one_seed(entry, select_right=edited(entry.seeds[0].select_right, np.ones_like))


def surer(entry: Entry) -> Entry:
    """Entropies of the fit half are halved: probabilities there are, but others."""
    fit = entry.seeds[0].fit
    assert fit is not None
    columns = {"entropy": edited(fit.columns["entropy"], halved)}
    return one_seed(entry, fit=fit.model_copy(update={"columns": columns}))


def halved(bits: np.ndarray) -> np.ndarray:
    return (0.5 * bits.astype("<u4").view("<f4")).astype("<f4").view("<u4")


def right_in_fit(entry: Entry) -> Entry:
    fit = entry.seeds[0].fit
    assert fit is not None
    return one_seed(entry, fit=fit.model_copy(update={"right": edited(fit.right, np.ones_like)}))


@pytest.mark.parametrize(
    ("forge", "found"),
    [
        (all_top5, "labels among the best 5 are others"),
        (corrected, "3 answers to test images are others"),
        (select_that_lies, "right answers to the select half are others"),
        (right_in_fit, "right answers to the fit half are others"),
        (surer, "entropy of the fit half are others"),
    ],
)
def test_every_answer_is_compared_with_that_of_the_weights(made: Made, early: Entry, forge: Forge, found: str) -> None:
    (model,) = (one for one in made.run.models if (one.label, one.seed) == ("earlyexit", 0))
    fit, select = model.calibration()
    assert executed_answers.problems(model.test(), select, fit, early.seeds[0]) == []
    (problem,) = executed_answers.problems(model.test(), select, fit, forge(early).seeds[0])
    assert found in problem


def test_a_replay_finds_all_that_is_not_so_at_once(made: Made, data: DataSet) -> None:
    plain = made.entries["plain"]
    other = plain.training.model_copy(update={"crop": 4, "statistics": "0" * 64})
    forged = changed(corrected(all_top5(plain)), training=other)
    problems = "\n".join(replayed(made, forged, data).problems)
    for found in (
        "labels among the best 5 are others",
        "3 answers to test images are others",
        "the images that batch-norm statistics come from: not the data set's",
        "the shift of training images: not the data set's",
    ):
        assert found in problems


def test_top5_that_is_always_right_keeps_every_rule_but_the_replays(made: Made) -> None:
    assert made.broken(restated(all_top5(made.entries["sdpoint"]))) == set()


def test_weights_of_another_seed_are_found_by_their_beginning(made: Made, data: DataSet) -> None:
    first, second, third = made.entries["plain"].seeds
    numbers = changed(made.entries["plain"], seeds=(second.model_copy(update={"seed": 0}), first, third))
    (problem,) = replayed(made, numbers, data).problems
    assert problem.startswith("the weights of seed 0 are no more like the initial weights of this seed than")


def test_weights_of_another_method_are_refused(made: Made, data: DataSet) -> None:
    own, other = made.entries["plain"].seeds[0], made.entries["sdpoint"].seeds[0]
    swapped = one_seed(made.entries["plain"], weights=other.weights)
    assert own.weights != other.weights
    assert any("of another method" in line for line in replayed(made, swapped, data).problems)


def without(entry: Entry, place: int) -> Seed:
    """The first seed without one of its points."""
    first = entry.seeds[0]
    kept = {
        name: edited(getattr(first, name), lambda x: np.delete(x, place, 1)) for name in ("test_trail", "select_trail")
    }
    return first.model_copy(update={"points": (*first.points[:place], *first.points[place + 1 :]), **kept})


def chosen(entry: Entry, seed: Seed) -> tuple[tuple[OperatingPoint, ...], PathTable]:
    """What the method chooses on the honest *fit* half, and this half."""
    table = table_of(entry, seed)
    points = choose(model_of(entry), table, entry.configuration.points)
    assert points is not None
    return points, table


def test_honest_points_are_the_ones_chosen_again(early: Entry) -> None:
    assert executed_answers.points_problems(early.seeds[0], *chosen(early, early.seeds[0])) == []


def test_a_point_left_out_is_found_whatever_the_entry_holds_of_the_fit_half(early: Entry) -> None:
    (problem,) = executed_answers.points_problems(without(early, 4), *chosen(early, early.seeds[0]))
    count = len(early.seeds[0].points)
    assert problem == f"seed 0: has {count - 1} points, its method chooses {count} on the fit half"


def test_names_swapped_are_found(early: Entry) -> None:
    first = early.seeds[0]
    points = list(first.points)
    points[4], points[-1] = (
        one.model_copy(update={"name": other.name}) for one, other in ((points[4], points[-1]), (points[-1], points[4]))
    )
    swapped = first.model_copy(update={"points": tuple(points)})
    (problem,) = executed_answers.points_problems(swapped, *chosen(early, first))
    assert "not what its method chooses on the fit half" in problem


def test_a_threshold_moved_by_a_hundredth_of_the_images_is_found(early: Entry) -> None:
    first = early.seeds[0]
    points = list(first.points)
    router = points[5].router
    points[5] = points[5].model_copy(
        update={"router": router | {"thresholds": [0.97 * t for t in router["thresholds"]]}}
    )
    moved = first.model_copy(update={"points": tuple(points)})
    assert executed_answers.points_problems(moved, *chosen(early, first))


def test_a_static_point_is_the_same_to_the_last(early: Entry) -> None:
    points, fit = chosen(early, early.seeds[0])
    other = (OperatingPoint(name=points[0].name, router=Constant(answer=1)), *points[1:])
    assert executed_answers.points_problems(early.seeds[0], other, fit)


@pytest.mark.parametrize(
    ("stated", "found", "like"),
    [
        ("entropy<0.512", "entropy<0.5123", True),
        ("entropy<0.512", "entropy<0.6", False),
        ("entropy<0.512", "margin>=0.512", False),
        ("lambda=1e-05", "lambda=1.01e-05", True),
        ("predictor", "predictor", True),
        ("predictor", "bias=0", False),
        ("bias=-0.5", "bias=0.5", False),
    ],
)
def test_names_are_alike_up_to_the_last_digits_of_their_number(stated: str, found: str, like: bool) -> None:
    assert executed_answers._like_names(stated, found) == like
