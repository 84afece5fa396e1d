"""The points of an entry are those that its method chooses on the *fit* half, all of them, under their names."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from entering import Made, changed, edited, one_seed, restated
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard import fit_half, selection
from benchmarks.leaderboard.bundle import numbered
from benchmarks.leaderboard.entry import FOLDER, Entry, Point
from benchmarks.leaderboard.fit_half import table_of
from benchmarks.leaderboard.packing import pack, unpack
from benchmarks.leaderboard.shelf import entries
from methods.cost import Costs
from methods.routers import OperatingPoint
from methods.table import PathTable, columns


def shown(entry: Entry, places: Sequence[int]) -> Entry:
    """The first seed with these of its points only, in this order."""
    first = entry.seeds[0]
    kept = {
        name: edited(getattr(first, name), lambda trail: trail[:, places]) for name in ("test_trail", "select_trail")
    }
    return restated(one_seed(entry, points=tuple(first.points[place] for place in places), **kept))


def renamed(entry: Entry, one: int, other: int) -> Entry:
    """The first seed with the names of two points swapped."""
    points = list(entry.seeds[0].points)
    first, second = points[one], points[other]
    points[one] = first.model_copy(update={"name": second.name})
    points[other] = second.model_copy(update={"name": first.name})
    return restated(one_seed(entry, points=tuple(points)))


def thresholds(entry: Entry) -> list[int]:
    return [place for place, point in enumerate(entry.seeds[0].points) if point.router["kind"] != "constant"]


def test_an_entry_holds_of_the_fit_half_what_its_points_depend_on_and_no_more(made: Made) -> None:
    held = {label: entry.seeds[0].fit for label, entry in made.entries.items()}
    assert held["plain"] is None  # all answers are shown, whatever they are
    assert held["sdpoint"] is None
    swept, learned = held["earlyexit"], held["earlyexit:routing=learned"]
    assert swept is not None
    assert learned is not None
    assert swept.columns.keys() == {"entropy"}
    assert learned.columns.keys() == {"max_prob", "margin", "entropy"}
    assert unpack(swept.right).shape == (144, 3)


def test_it_holds_them_to_the_last_bit(made: Made, early: Entry) -> None:
    (model,) = (one for one in made.run.models if (one.label, one.seed) == ("earlyexit", 0))
    fit, held = model.calibration()[0], table_of(early, early.seeds[0])
    asked = held.entropy[~np.isnan(held.entropy)]
    assert np.array_equal(asked, fit.entropy[~np.isnan(held.entropy)])
    assert np.array_equal(held.correct, fit.correct)


@pytest.mark.parametrize("label", ["sdpoint", "earlyexit", "earlyexit:routing=learned"])
def test_a_point_left_out_for_what_it_does_on_test_images_is_refused(made: Made, label: str) -> None:
    entry = made.entries[label]
    rows = [row for row in entry.figures.points if row.seed == 0]
    worst = min(range(len(rows)), key=lambda place: rows[place].accuracy)
    fewer = shown(entry, [place for place in range(len(rows)) if place != worst])
    assert made.broken(fewer) == {"selection"}
    assert any(rows[worst].point in line for line in made.judged(fewer)["selection"].problems)


@pytest.mark.parametrize("label", ["sdpoint", "earlyexit", "earlyexit:routing=learned"])
def test_names_swapped_between_routers_are_refused(made: Made, label: str) -> None:
    entry = made.entries[label]
    one, other = (thresholds(entry) or [0, 1])[:2]
    assert made.broken(renamed(entry, one, other)) == {"selection"}


def test_a_threshold_tuned_on_test_images_is_refused(made: Made, early: Entry) -> None:
    (model,) = (one for one in made.run.models if (one.label, one.seed) == ("earlyexit", 0))
    place, first = thresholds(early)[3], early.seeds[0]
    point = model.points[place]
    tuned = point.router.model_copy(update={"thresholds": (point.router.thresholds[0] + 1e-3,) * 2})
    known = {trail: number for number, trail in enumerate(first.trails)}
    tables = {"test_trail": model.test(), "select_trail": model.calibration()[1]}
    routed = {
        name: pack(np.insert(np.delete(unpack(getattr(first, name)), place, 1), place,
                             numbered(table, OperatingPoint(name=point.name, router=tuned), known), 1))
        for name, table in tables.items()
    }  # fmt: skip
    points = list(first.points)
    points[place] = points[place].model_copy(update={"router": tuned.model_dump(mode="json")})
    tampered = one_seed(early, points=tuple(points), trails=tuple(known), **routed)
    assert made.broken(restated(tampered)) == {"selection"}


def test_an_entry_that_does_not_hold_what_its_points_were_chosen_on_is_refused(made: Made, early: Entry) -> None:
    without = changed(early, seeds=tuple(seed.model_copy(update={"fit": None}) for seed in early.seeds))
    assert made.broken(without) == {"selection"}


def test_an_entry_of_before_is_known_by_its_digest_and_a_change_of_it_is_not(
    early: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = changed(early, seeds=tuple(seed.model_copy(update={"fit": None}) for seed in early.seeds))
    monkeypatch.setattr(selection, "earlier", lambda: frozenset({without.digest}))
    assert selection.problems(without) == []
    assert selection.problems(changed(without, tuning="other")) != []


def test_those_of_before_are_entries_of_the_board_whose_points_depend_on_images() -> None:
    known = {entry.digest: entry for entry in entries(FOLDER)}
    assert len(selection.earlier()) <= 14
    for digest in selection.earlier():
        points = [point for seed in known[digest].seeds for point in seed.points]
        assert any(point.router["kind"] != "constant" for point in points)


def test_fewer_images_of_the_fit_half_are_refused(made: Made, early: Entry) -> None:
    fit = early.seeds[0].fit
    assert fit is not None
    some = {name: edited(one, lambda column: column[:100]) for name, one in fit.columns.items()}
    half = fit.model_copy(update={"right": edited(fit.right, lambda right: right[:100]), "columns": some})
    assert made.broken(one_seed(early, fit=half)) == {"selection"}


@pytest.mark.parametrize("entropy", [-0.1, 2.4, 100.0])
def test_signals_that_no_probabilities_of_ten_classes_have_are_refused(
    made: Made, early: Entry, entropy: float
) -> None:
    fit = early.seeds[0].fit
    assert fit is not None

    def edit(bits: np.ndarray) -> np.ndarray:
        bits[0, 0] = np.float32(entropy).view("<u4")
        return bits

    bent = fit.model_copy(update={"columns": {"entropy": edited(fit.columns["entropy"], edit)}})
    assert "signals" in made.broken(one_seed(early, fit=bent))


def test_margins_that_contradict_the_probabilities_are_refused(made: Made) -> None:
    entry = made.entries["earlyexit:routing=learned"]
    fit = entry.seeds[0].fit
    assert fit is not None
    bent = fit.model_copy(update={"columns": fit.columns | {"margin": fit.columns["max_prob"]}})
    assert "signals" in made.broken(one_seed(entry, fit=bent))


@given(st.integers(2, 30), st.floats(0.01, 200), st.integers(0, 2**32 - 1))
def test_signals_and_losses_of_any_logits_do_not_contradict_each_other(classes: int, scale: float, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(20, classes, generator=draws)
    labels = torch.randint(classes, (20,), generator=draws)
    said = {name: values[None] for name, values in columns(logits, labels).items()}
    costs = Costs(("work",), np.ones(1, dtype=np.int64), np.ones((1, 1), dtype=bool), ())
    table = PathTable(("only",), costs, labels=labels.numpy(), sample_id=np.arange(20), **said)
    claims = list(fit_half._claims(table, fit_half.COLUMNS, classes))
    assert len(claims) == 6
    assert [claim for claim, holds in claims if not holds.all()] == []


@pytest.mark.parametrize(
    ("said", "found", "alike"),
    [
        ({"kind": "learned", "bias": [0.5004]}, {"kind": "learned", "bias": [0.5]}, True),
        ({"kind": "learned", "bias": [0.6]}, {"kind": "learned", "bias": [0.5]}, False),
        ({"kind": "threshold", "thresholds": [0.5004]}, {"kind": "threshold", "thresholds": [0.5]}, False),
        ({"kind": "threshold", "thresholds": [0.5]}, {"kind": "threshold", "thresholds": [0.5, 0.5]}, False),
        ({"kind": "threshold", "thresholds": "0.5"}, {"kind": "threshold", "thresholds": [0.5]}, False),
        ({"kind": "constant", "answer": 1, "more": 1}, {"kind": "constant", "answer": 1}, False),
        ({"kind": "threshold", "thresholds": [None]}, {"kind": "threshold", "thresholds": [0.5]}, False),
    ],
)
def test_routers_are_one_up_to_what_the_library_that_fits_them_leaves_open(
    said: object, found: object, alike: bool
) -> None:
    assert selection.same(said, found) == alike


def test_points_in_another_order_are_refused(made: Made, early: Entry) -> None:
    count = len(early.seeds[0].points)
    assert made.broken(shown(early, [1, 0, *range(2, count)])) == {"selection"}


def test_a_point_of_ones_own_is_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    own = Point(name="mine", router=first.points[-1].router, execution="simulated", checks=())
    more = shown(early, [*range(len(first.points)), len(first.points) - 1])
    points = (*more.seeds[0].points[:-1], own)
    assert "selection" in made.broken(restated(one_seed(asked_for_more(more), points=points)))


def asked_for_more(entry: Entry) -> Entry:
    return changed(entry, configuration=entry.configuration.model_copy(update={"points": 21}))
