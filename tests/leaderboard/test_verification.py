"""Verifying: another training of the same bears an entry out, or does not."""

from pathlib import Path

import numpy as np
import pytest
from entering import Made, changed, cli, point_changed

from benchmarks.leaderboard import verification
from benchmarks.leaderboard.entry import Entry, read, text
from benchmarks.leaderboard.recorded_version import machine


def elsewhere(entry: Entry) -> Entry:
    return changed(entry, environment=entry.environment.model_copy(update={"machine": "0" * 12}))


def test_the_same_figures_of_another_machine_bear_an_entry_out(early: Entry) -> None:
    assert verification.problems(early, elsewhere(early)) == []


def test_the_same_machine_on_the_same_day_is_no_other_training(early: Entry) -> None:
    assert "same machine and day" in verification.problems(early, early)[0]


def test_figures_outside_of_the_seeds_scatter_do_not(early: Entry) -> None:
    worse = elsewhere(early)
    for place, row in enumerate(early.figures.points):
        worse = point_changed(worse, place, accuracy=row.accuracy - 5)
    problems = verification.problems(early, worse)
    assert len(problems) == len(verification.compared(early, worse))
    assert all("outside of" in line for line in problems)


def test_another_recipe_or_other_images_are_another_training(early: Entry) -> None:
    other = elsewhere(early)
    recipe = other.training.model_copy(update={"recipe": other.training.recipe | {"lr": 1.0}})
    images = other.dataset.model_copy(update={"train_fingerprint": "0" * 64})
    assert verification.problems(early, changed(other, training=recipe)) == ["another training"]
    assert verification.problems(early, changed(other, dataset=images)) == ["it was trained or tested on other images"]


def test_two_seeds_do_not_say_how_figures_scatter(early: Entry) -> None:
    two = changed(early, seeds=early.seeds[:2])
    assert verification.problems(two, elsewhere(early))[0].startswith("its 2 seeds say too little")
    assert verification.problems(early, elsewhere(two))[0].startswith("the retraining's 2 seeds say too little")


def test_the_interval_holds_19_of_20_means_of_further_seeds() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    inside = [low <= row[3:].mean() <= high for row in draws for low, high in [verification.interval(row[:3], 2)]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_several_figures_lie_in_their_intervals_together_19_times_of_20() -> None:
    draws = np.random.default_rng(1).normal(size=(3000, 4, 6))
    inside = [
        all(low <= one[3:].mean() <= high for one in figures for low, high in [verification.interval(one[:3], 3, 4)])
        for figures in draws
    ]
    assert 0.94 < np.mean(inside) < 0.98


def test_a_replayed_entry_that_is_trained_again_is_verified(made: Made, board: Path) -> None:
    there = made.entries["plain"].environment.model_copy(update={"cpu": "another"})
    parts = there.model_dump(include={"platform", "cpu", "device", "gpu"})
    other = changed(made.entries["plain"], environment=there.model_copy(update={"machine": machine(parts)}))
    path = board / other.file
    path.write_text(text(other))
    again = cli("verify", path, "--run", made.run.folder, "--output", board)
    assert again.return_value == 0, again.output
    assert "verified needs the record of a replay" in again.output
    assert read(path).tier == "self-reported"
    assert cli("replay", path, "--output", board).return_value == 0
    assert read(path).tier == "verified"
    assert cli("check", path, "--output", board).return_value == 0


def test_a_run_that_does_not_bear_an_entry_out_fails(made: Made, board: Path) -> None:
    path = board / made.entries["plain"].file
    path.write_text(text(made.entries["plain"]))
    done = cli("verify", path, "--run", made.run.folder, "--output", board)
    assert (done.return_value, "does not bear it out" in done.output) == (1, True)
