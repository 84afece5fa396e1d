"""Versions of the split: an entry is judged under its own, and what an earlier one made is not ranked any more."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from entering import Made, changed

import benchmarks.data
from benchmarks.config import configure
from benchmarks.core.errors import UsageError
from benchmarks.data.splits import VERSION, partition, statistics_images
from benchmarks.leaderboard import verification
from benchmarks.leaderboard.bundle import UNPUBLISHED, bundle
from benchmarks.leaderboard.entry import FOLDER, Entry, read
from benchmarks.leaderboard.judging import closed
from benchmarks.leaderboard.registered import Parts, Registered, hash_of_texts, registered
from benchmarks.leaderboard.replay import parts_of
from benchmarks.leaderboard.rules import Context, judge
from benchmarks.leaderboard.standing import stale
from benchmarks.plan import prepare
from benchmarks.store import key_of
from benchmarks.stored import StoredRun


@pytest.fixture(scope="module")
def known() -> Registered:
    return registered()["digits"]


def relabelled(entry: Entry, split: int) -> Entry:
    """The entry, said to be of another version of the split."""
    return changed(entry, training=entry.training.model_copy(update={"split": split}))


@pytest.mark.parametrize(("source", "name"), [("digits", "digits"), ("shapes", "shapes-v1")])
@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_every_version_of_the_split_is_registered_as_it_is(source: str, name: str, version: int) -> None:
    data = benchmarks.data.load(source)
    parts, facts = partition(data.train.labels, version=version), registered()[name].under(version)
    lists = {part: getattr(parts, part).tolist() for part in ("train", "fit", "select")}
    assert (facts.train_images, facts.calibration_images) == (len(parts.train), len(parts.fit) + len(parts.select))
    assert facts.partition == key_of(lists)
    assert facts.statistics == key_of({"samples": statistics_images(parts.train).tolist()})
    assert facts.select_ids_sha256 == hash_of_texts([str(one) for one in data.train.ids[parts.select]])


def test_an_entry_made_now_is_of_the_latest_version_and_says_so(made: Made, early: Entry) -> None:
    assert early.training.split == made.run.record["data"]["split"] == VERSION
    assert early.training.model_dump(mode="json")["split"] == VERSION
    assert made.broken(early) == set()


def test_an_entry_under_another_version_than_its_images_show_is_refused(made: Made, early: Entry) -> None:
    assert made.broken(relabelled(early, 1)) == {"data"}


def test_an_entry_made_before_there_were_versions_is_of_the_first_and_stays_byte_for_byte() -> None:
    path = next((FOLDER / "entries").glob("shapes-v1-*-plain-*.json"))
    entry = read(path)
    assert entry.training.split == 1
    assert "split" not in entry.training.model_dump(mode="json")
    assert entry.file == path.name
    verdicts = {one.rule.name: one.result for one in judge(entry, Context.of(FOLDER, ()))}
    assert {verdicts[name] for name in ("data", "labels", "calibration")} == {"holds"}


def test_entries_of_an_earlier_version_hold_and_are_stale_where_it_set_other_images_aside(
    made: Made, early: Entry, known: Registered
) -> None:
    before = Parts.model_validate(known.model_dump(include=set(Parts.model_fields)))
    now = known.model_copy(update={"split": {"1": before}, "train_images": 1200, "partition": "0" * 64})
    old = relabelled(early, 1)
    verdicts = {one.rule.name: one.result for one in judge(old, Context({"digits": now}, (), made.folder / "weights"))}
    assert {verdicts[name] for name in ("data", "labels", "calibration")} == {"holds"}
    assert stale(old, now, 1) == "made under version 1 of the split, now 2"
    assert stale(early, now, 1) == "the data set changed"
    assert stale(old, known.model_copy(update={"split": {}}), 1) == ""


def test_the_version_is_no_difference_where_the_lists_are_the_same(made: Made) -> None:
    plain, sdpoint = made.entries["plain"], made.entries["sdpoint"]
    assert closed(relabelled(sdpoint, 1), [plain]) == []
    assert "another training" not in verification.problems(plain, relabelled(plain, 1))


def test_a_replay_splits_as_the_entry_was_split(early: Entry) -> None:
    data = benchmarks.data.load("digits")
    assert [len(parts_of(relabelled(early, split), data).fit) for split in (1, 2)] == [250, 144]


def test_a_run_with_a_number_of_calibration_images_of_its_own_makes_no_entry(made: Made) -> None:
    plan = prepare(configure({"dataset": "digits", "calibration_images": 100, "threads": 1}))
    assert (len(plan.parts.train), len(plan.parts.fit) + len(plan.parts.select)) == (1338, 100)
    assert "1,438 training images, 100 of them to calibrate" in plan.about_data
    assert plan.parts.version is None
    record = made.run.record | {"data": made.run.record["data"] | {"split": plan.parts.version}}
    with pytest.raises(UsageError, match=r"others calibrate than .*: run without --calibration-images"):
        bundle(changed_run(made, record), [], "closed", "none", UNPUBLISHED)


def changed_run(made: Made, record: dict[str, Any]) -> StoredRun:
    return replace(made.run, record=record)


def test_the_numbers_of_an_earlier_version_give_its_very_split() -> None:
    plan = prepare(configure({"dataset": "digits", "calibration_images": 500, "threads": 1}))
    assert plan.parts.version == 1
    assert np.array_equal(plan.parts.fit, partition(plan.data.train.labels, version=1).fit)
