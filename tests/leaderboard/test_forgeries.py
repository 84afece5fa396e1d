"""Forgeries that fit together in themselves, and not with the rest: which rule finds each."""

import datetime

import numpy as np
import pytest
from entering import Made, changed, edited, one_seed, point_changed, restated

from benchmarks.leaderboard import cross_checks, twins
from benchmarks.leaderboard.asking import command
from benchmarks.leaderboard.entry import Entry, Replay
from benchmarks.leaderboard.figures import at_budget
from benchmarks.leaderboard.packing import pack, pack_texts, unpack, unpack_texts
from benchmarks.leaderboard.trails import possible


def test_top5_below_top1_is_refused(made: Made, early: Entry) -> None:
    none = restated(one_seed(early, test_top5=edited(early.seeds[0].test_top5, np.zeros_like)))
    assert made.broken(none) == {"top5"}


def test_of_five_classes_or_fewer_all_are_among_the_best_five(early: Entry) -> None:
    some = edited(early.seeds[0].test_top5, np.zeros_like)
    few = changed(one_seed(early, test_top5=some), dataset=early.dataset.model_copy(update={"classes": 5}))
    assert any("of 5 classes all are among the best 5" in line for line in cross_checks.top5(few))


def test_a_select_half_that_understates_costs_fills_no_cheaper_column(made: Made, early: Entry) -> None:
    """All per-sample points are said to be cheap and right on calibration images: it keeps the rules and gains
    nothing, since a point counts with what it costs on test images."""
    first = early.seeds[0]
    cheap = next(number for number, trail in enumerate(first.trails) if trail == (0,))
    places = [
        place for place, point in enumerate(first.points)
        if point.router["kind"] == "threshold" and possible(point.router, (0,), early.dataset.classes)
    ]  # fmt: skip

    def leave(trail: np.ndarray) -> np.ndarray:
        trail[:, places] = cheap
        return trail

    lying = restated(
        one_seed(
            early,
            select_trail=edited(first.select_trail, leave),
            select_right=edited(first.select_right, np.ones_like),
        )
    )
    assert made.broken(lying) == set()
    rows = [row for row in lying.figures.points if row.seed == 0 and row.selected]
    half = 0.5 * early.costs.plain_macs
    assert any(row.calibration_macs < half < row.macs for row in rows)
    for budget in lying.figures.budgets:
        assert budget.macs is None or budget.macs <= 1.01 * budget.share * early.costs.plain_macs
    bought = at_budget(rows, half)
    assert bought is None or bought.macs <= 1.01 * half


def test_narrower_intervals_are_refused(made: Made, early: Entry) -> None:
    row = early.figures.points[0]
    assert made.broken(point_changed(early, 0, accuracy_low=row.accuracy, accuracy_high=row.accuracy)) == {"figures"}
    sure = early.figures.summary.model_copy(update={"low": early.figures.summary.mean})
    assert made.broken(changed(early, figures=early.figures.model_copy(update={"summary": sure}))) == {"figures"}


def test_one_training_under_two_names_is_refused(made: Made, early: Entry) -> None:
    settings = early.settings | {"heads": "paper"}
    other = changed(early, variant="heads=paper", settings=settings)
    assert "twins" in made.broken(changed(other, seeds=early.seeds))


def test_an_open_entry_of_a_closed_training_is_refused(made: Made, early: Entry) -> None:
    again = changed(early, division="open")
    assert twins.problems(again, [early]) == [
        f"{early.file} has the same answers in seed 0: one training under two names"
    ]


def test_variants_that_share_a_training_may_hold_the_same_answers(made: Made) -> None:
    swept, learned = made.entries["earlyexit"], made.entries["earlyexit:routing=learned"]
    assert twins.problems(swept, [learned]) == twins.problems(learned, [swept]) == []
    first, second, third = swept.seeds
    moved = changed(swept, seeds=(first.model_copy(update={"seed": 1}), second.model_copy(update={"seed": 0}), third))
    assert twins.problems(moved, [learned]) != []  # another seed's answers


def test_networks_that_are_always_right_may_say_the_same(early: Entry) -> None:
    right = pack(np.repeat(unpack(early.labels)[:, None], early.costs.answers, axis=1))
    one = one_seed(early, test_prediction=right)
    assert twins.problems(changed(one, seeds=one.seeds[:1]), [changed(one, method="plain")]) == []


def test_seeds_picked_from_many_have_no_place_in_the_closed_division(made: Made) -> None:
    plain = made.entries["plain"]
    picked = (3, 17, 41)
    seeds = tuple(one.model_copy(update={"seed": seed}) for one, seed in zip(plain.seeds, picked, strict=True))
    asked = plain.configuration.model_copy(update={"seeds": picked})
    entry = restated(changed(plain, seeds=seeds, configuration=asked, command=command(asked)))
    assert made.broken(entry) == {"closed", "origin"}
    assert "nobody chooses the best of many" in made.judged(entry)["closed"].problems[0]


def test_another_number_of_points_has_no_place_in_the_closed_division(made: Made) -> None:
    entry = made.entries["sdpoint"]
    asked = entry.configuration.model_copy(update={"points": 10})
    assert made.broken(changed(entry, configuration=asked, command=command(asked))) == {"closed"}


@pytest.mark.parametrize("parts", [{"flip": True}, {"crop": 4}])
def test_other_augmentation_than_the_data_sets_is_refused_in_the_open_division_as_well(
    made: Made, parts: dict[str, object]
) -> None:
    entry = made.entries["sdpoint"]
    varied = changed(entry, training=entry.training.model_copy(update=parts), division="open")
    assert made.broken(varied) == {"data"}


def test_statistics_of_other_images_are_refused_in_the_open_division_as_well(made: Made) -> None:
    entry = made.entries["sdpoint"]
    other = changed(entry, training=entry.training.model_copy(update={"statistics": "0" * 64}), division="open")
    assert made.broken(other) == {"calibration"}


def test_images_that_stand_there_twice_are_refused(made: Made, early: Entry) -> None:
    names = unpack_texts(early.ids)
    doubled = changed(early, ids=pack_texts([names[0], *names[:-1]]))
    assert made.broken(doubled) == {"labels", "calibration"}
    assert "1 test images stand there more than once" in made.judged(doubled)["calibration"].problems


def test_images_in_another_order_are_refused_though_their_labels_go_with_them(made: Made, early: Entry) -> None:
    order = np.random.default_rng(0).permutation(early.dataset.test_images)
    names = np.array(unpack_texts(early.ids))[order]
    seeds = tuple(
        seed.model_copy(
            update={name: edited(getattr(seed, name), lambda rows: rows[order])
                    for name in ("test_prediction", "test_top5", "test_trail")}
        )
        for seed in early.seeds
    )  # fmt: skip
    moved = changed(early, labels=edited(early.labels, lambda labels: labels[order]), ids=pack_texts(list(names)))
    assert "labels" in made.broken(restated(changed(moved, seeds=seeds)))


def test_settings_that_the_variants_name_hides_are_refused(made: Made, early: Entry) -> None:
    hidden = changed(early, settings=early.settings | {"rule": "margin"})
    assert "costs" in made.broken(hidden)
    assert "variant" in made.judged(hidden)["costs"].problems[0]


def test_files_that_cannot_hold_the_weights_are_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    tiny = first.weights.model_copy(update={"inline": False, "bytes": 1000})
    assert made.broken(one_seed(early, weights=tiny)) == {"weights"}


@pytest.mark.parametrize("days", [-1, 30])
def test_a_replay_before_the_entry_or_yet_to_come_does_not_raise_the_tier(made: Made, early: Entry, days: int) -> None:
    day = (datetime.date.fromisoformat(early.date) + datetime.timedelta(days=days)).isoformat()
    images = early.dataset.test_images + len(unpack_texts(early.select_ids))
    record = Replay(
        kind="replay", date=day, suite_version="0.1.0", torch="2.6", device="cpu", machine="0" * 12,
        content=early.digest, compared=images * sum(len(seed.points) for seed in early.seeds), different=0,
    )  # fmt: skip
    assert made.broken(changed(early, replays=(record,), tier="reproduced")) == {"tier"}
