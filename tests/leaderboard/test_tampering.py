"""Every way to make an entry say more than it may: which rule finds it, and what only a replay can find."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from entering import Made, changed, edited, one_seed, point_changed, restated

import benchmarks.data
from benchmarks.core.errors import UsageError
from benchmarks.leaderboard import replay as again
from benchmarks.leaderboard.asking import command
from benchmarks.leaderboard.entry import Entry, Replay, read, text, write
from benchmarks.leaderboard.packing import pack, pack_texts, unpack, unpack_texts
from benchmarks.leaderboard.trails import possible


def replayed(made: Made, entry: Entry) -> list[str]:
    """What a replay of the first seed finds wrong."""
    first = changed(entry, seeds=entry.seeds[:1])
    paths = again.weights_of(first, [made.folder / "weights"])
    ((_, found),) = again.replay(first, paths, benchmarks.data.load("digits"), torch.device("cpu"))
    return list(found.problems)


def test_honest_entries_keep_every_rule(made: Made) -> None:
    for entry in made.entries.values():
        results = {name: verdict.result for name, verdict in made.judged(entry, file=entry.file).items()}
        assert results.pop("commit") in {"holds", "warned"}  # this checkout may have changes
        assert set(results.values()) == {"holds"}


def test_a_changed_accuracy_is_refused(made: Made, early: Entry) -> None:
    tampered = point_changed(early, 0, accuracy=early.figures.points[0].accuracy + 0.01)
    assert made.broken(tampered) == {"figures"}


def test_a_changed_summary_is_refused(made: Made, early: Entry) -> None:
    better = early.figures.summary.model_copy(update={"mean": early.figures.summary.mean + 1e-6})
    tampered = changed(early, figures=early.figures.model_copy(update={"summary": better}))
    assert made.broken(tampered) == {"figures"}


def test_swapped_labels_are_refused(made: Made, early: Entry) -> None:
    swapped = edited(early.labels, lambda labels: labels[np.r_[1, 0, 2 : len(labels)]])
    assert made.broken(restated(changed(early, labels=swapped))) == {"labels"}


def test_labels_moved_to_the_predictions_are_refused(made: Made, early: Entry) -> None:
    flattering = pack(unpack(early.seeds[0].test_prediction)[:, -1])
    assert "labels" in made.broken(restated(changed(early, labels=flattering)))


def test_costs_that_are_not_the_counted_ones_are_refused(made: Made, early: Entry) -> None:
    macs = (early.costs.macs[0] // 2, *early.costs.macs[1:])
    cheaper = restated(changed(early, costs=early.costs.model_copy(update={"macs": macs})))
    assert made.broken(cheaper) == {"costs"}


def test_an_answer_that_is_said_to_skip_work_is_refused(made: Made, early: Entry) -> None:
    uses = edited(early.costs.uses, lambda uses: np.where(np.arange(uses.shape[1]) == 1, 0, uses))
    assert made.broken(restated(changed(early, costs=early.costs.model_copy(update={"uses": uses})))) == {"costs"}


def test_a_dearer_plain_network_to_look_cheap_beside_is_refused(made: Made, early: Entry) -> None:
    dearer = early.costs.model_copy(update={"plain_macs": 2 * early.costs.plain_macs})
    assert made.broken(restated(changed(early, costs=dearer))) == {"costs"}


def test_understated_training_is_refused(made: Made, early: Entry) -> None:
    assert early.seeds[0].train_macs is not None
    assert made.broken(one_seed(early, train_macs=early.seeds[0].train_macs / 2)) == {"training"}


def test_another_data_sets_fingerprint_is_refused(made: Made, early: Entry) -> None:
    other = early.dataset.model_copy(update={"test_fingerprint": "0" * 64})
    assert "data" in made.broken(changed(early, dataset=other))


def test_smaller_images_than_those_of_the_data_set_are_refused(made: Made, early: Entry) -> None:
    smaller = early.dataset.model_copy(update={"image_shape": (3, 4, 4)})
    assert {"data", "costs"} <= made.broken(changed(early, dataset=smaller))


def test_an_unknown_data_set_is_told_how_to_be_registered(made: Made, early: Entry) -> None:
    other = changed(early, dataset=early.dataset.model_copy(update={"name": "mine"}))
    (problem,) = made.judged(other)["data"].problems
    assert "mine is not registered" in problem
    assert f'test_fingerprint = "{early.dataset.test_fingerprint}"' in problem


def test_points_chosen_on_test_are_refused(made: Made, early: Entry) -> None:
    best = {seed: max(row.accuracy for row in early.figures.points if row.seed == seed) for seed in early.seed_numbers}
    points = [row.model_copy(update={"selected": row.accuracy == best[row.seed]}) for row in early.figures.points]
    tampered = changed(early, figures=early.figures.model_copy(update={"points": tuple(points)}))
    assert made.broken(tampered) == {"chosen", "figures"}


def test_test_images_among_the_calibration_images_are_refused(made: Made, early: Entry) -> None:
    names = [f"picture {name}" for name in unpack_texts(early.ids)]
    select = [*names[:3], *unpack_texts(early.select_ids)[3:]]
    tampered = changed(early, ids=pack_texts(names), select_ids=pack_texts(select))
    problems = made.judged(tampered)["calibration"].problems
    assert any("3 images calibrate and are tested on" in line for line in problems)


def test_more_than_twenty_points_are_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    extra = [first.points[0].model_copy(update={"name": f"extra {place}"}) for place in range(21 - len(first.points))]
    widen = lambda trail: np.hstack([trail, np.repeat(trail[:, :1], len(extra), axis=1)])  # noqa: E731
    more = one_seed(
        asked_for(early, points=30),
        points=(*first.points, *extra),
        test_trail=edited(first.test_trail, widen),
        select_trail=edited(first.select_trail, widen),
    )
    assert made.broken(restated(more)) == {"points", "selection", "closed"}


def asked_for(entry: Entry, **parts: Any) -> Entry:
    """The entry with another configuration, and the command of that."""
    asked = entry.configuration.model_copy(update=parts)
    return changed(entry, configuration=asked, command=command(asked))


def test_another_recipe_has_no_place_in_the_closed_division(made: Made) -> None:
    honest = made.entries["sdpoint"]
    training = honest.training.model_copy(update={"recipe": honest.training.recipe | {"lr": 0.3}})
    steeper = asked_for(changed(honest, training=training), set={"recipe.lr": "0.3"})
    assert made.broken(steeper) == {"closed"}
    assert made.broken(changed(steeper, division="open")) == set()


def test_more_epochs_show_in_the_command_and_in_the_training_macs_as_well(made: Made) -> None:
    honest = made.entries["sdpoint"]
    longer = honest.training.model_copy(update={"recipe": honest.training.recipe | {"epochs": 2}})
    assert made.broken(changed(honest, training=longer, division="open")) == {"command", "training"}


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"epochs": 40}, "recipe"),
        ({"recipe": "cifar"}, "recipe"),
        ({"set": {"recipe.lr": "0.01"}}, "recipe"),
        ({"methods": ("sdpoint",)}, "methods"),
        ({"methods": ("earlyexit:routing=learned",)}, "methods"),
        ({"methods": (" earlyexit ",)}, "methods"),
        ({"backbone": "resnet56"}, "backbone"),
        ({"dataset": "shapes"}, "dataset"),
        ({"data_root": "DATA_ROOT"}, "data_root"),
        ({"set": {"digits.size": "8"}}, "set"),
        ({"set": {"earlyexit.signal": "entropy"}}, "set"),
        ({"set": {"foo.bar": "<script>"}}, "set"),
        ({"seeds": (0, 1, 2, 3, 4)}, "seeds"),
    ],
)
def test_a_command_that_makes_something_else_is_refused(
    made: Made, early: Entry, parts: dict[str, Any], what: str
) -> None:
    (verdict,) = (v for v in made.judged(asked_for(early, **parts)).values() if v.result == "refused")
    assert verdict.rule.name == "command"
    assert any(f"its command has the {what} " in line for line in verdict.problems)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"dataset_name": "cifar10"}, "does not call the data set digits"),
        ({"points": 2}, "shows at most 2 points"),
        ({"set": {"recipe.lr": "0.1\n"}}, "its configuration is that of"),
    ],
)
def test_a_command_that_shows_something_else_is_refused(
    made: Made, early: Entry, parts: dict[str, Any], problem: str
) -> None:
    verdict = made.judged(asked_for(early, **parts))["command"]
    assert any(problem in line for line in verdict.problems)


def test_images_that_are_said_to_come_from_elsewhere_are_refused(made: Made, early: Entry) -> None:
    for parts in ({"source": "svhn"}, {"settings": {"foo": "1"}}, {"rooted": True}):
        assert "data" in made.broken(changed(early, dataset=early.dataset.model_copy(update=parts)))


def test_a_name_that_the_command_does_not_give_is_refused(made: Made, early: Entry) -> None:
    pictures = changed(early, dataset=early.dataset.model_copy(update={"name": "pictures"}))
    assert any("--dataset-name does" in line for line in made.judged(pictures)["command"].problems)


def test_half_precision_on_a_processor_is_refused_in_the_open_division_as_well(made: Made) -> None:
    honest = made.entries["sdpoint"]
    half = honest.training.model_copy(update={"precision": "bfloat16"})
    assert made.broken(changed(honest, training=half, division="open")) == {"command"}


@pytest.mark.parametrize("parts", [{"plugin": ["mine.py"]}, {"data_root": "/home/ada"}, {"seeds": 3}])
def test_a_configuration_that_names_files_or_folders_is_not_read(
    early: Entry, tmp_path: Path, parts: dict[str, Any]
) -> None:
    path = tmp_path / "entry.json"
    path.write_text(json.dumps(json.loads(text(early)) | {"configuration": whole(early) | parts}))
    with pytest.raises(UsageError, match=r"configuration\."):
        read(path)


def whole(entry: Entry) -> dict[str, Any]:
    return entry.configuration.model_dump(mode="json")


def test_a_command_that_is_not_its_configurations_is_refused(made: Made, early: Entry) -> None:
    assert made.broken(changed(early, command=f"{early.command} --epochs 200")) == {"command"}


@pytest.mark.parametrize("parts", [{"recipe": "none"}, {"methods": ("mine",)}, {"set": {"recipe.lr": "much"}}])
def test_a_command_that_nobody_can_run_is_refused(made: Made, early: Entry, parts: dict[str, Any]) -> None:
    assert made.broken(asked_for(early, **parts)) == {"command"}


@pytest.mark.parametrize("day", ["2026-02-30", "2999-01-01"])
def test_a_day_that_was_not_is_refused(made: Made, early: Entry, day: str) -> None:
    assert made.broken(changed(early, date=day)) == {"command"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_not_read(early: Entry, tmp_path: Path, number: str) -> None:
    whole = text(early)
    path = tmp_path / "entry.json"
    for part in ('"thresholds": [', '"lr": '):
        assert part in whole
        path.write_text(re.sub(re.escape(part) + "[-0-9.e]+", part + number, whole, count=1))
        with pytest.raises(UsageError, match="is no entry this version reads"):
            read(path)


def test_a_configuration_of_another_shape_is_not_read(early: Entry, tmp_path: Path) -> None:
    path = tmp_path / "entry.json"
    path.write_text(text(early).replace('"set": {}', '"set": ["recipe.lr"]', 1))
    with pytest.raises(UsageError, match=r"configuration\.set"):
        read(path)


def test_other_seeds_than_the_plain_networks_are_refused_in_the_closed_division(made: Made, early: Entry) -> None:
    two = asked_for(changed(early, seeds=early.seeds[:2]), seeds=(0, 1))
    assert made.broken(restated(two)) == {"closed"}


def test_a_seed_counted_twice_is_refused(made: Made, early: Entry) -> None:
    assert "answers" in made.broken(restated(changed(early, seeds=(*early.seeds[:2], early.seeds[1]))))


def test_a_tier_raised_by_hand_is_refused(made: Made, early: Entry) -> None:
    for tier in ("reproduced", "verified"):
        assert made.broken(changed(early, tier=tier)) == {"tier"}


def record(made: Made, entry: Entry) -> Replay:
    """What a replay of the whole entry without a difference writes down."""
    images = entry.dataset.test_images + len(unpack_texts(entry.select_ids))
    compared = images * sum(len(seed.points) for seed in entry.seeds)
    return again.Replayed(compared, 0, ()).record(entry, made.run.record["environment"])


def test_a_replay_of_something_else_does_not_raise_the_tier(made: Made, early: Entry) -> None:
    honest = changed(early, replays=(record(made, early),), tier="reproduced")
    assert made.broken(honest) == set()
    later = changed(honest, tuning="something else")
    assert made.broken(later) == {"tier"}


@pytest.mark.parametrize("forged", [{"date": "whenever"}, {"compared": 0}, {"different": 999_999}, {"different": -1}])
def test_a_record_that_no_replay_of_it_gives_does_not_raise_the_tier(
    made: Made, early: Entry, forged: dict[str, object]
) -> None:
    by_hand = record(made, early).model_copy(update=forged)
    assert made.broken(changed(early, replays=(by_hand,), tier="reproduced")) == {"tier"}


def test_a_retraining_on_the_same_machine_and_day_is_none(made: Made, early: Entry) -> None:
    replay = record(made, early)
    same = {"kind": "retraining", "machine": early.environment.machine, "date": early.date}
    for other, refused in (({}, {"tier"}), ({"machine": "another"}, set())):
        retrained = replay.model_copy(update=same | other)
        assert made.broken(changed(early, replays=(replay, retrained), tier="verified")) == refused


def test_one_training_under_several_seeds_is_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    copies = tuple(first.model_copy(update={"seed": seed.seed}) for seed in early.seeds)
    assert "answers" in made.broken(restated(changed(early, seeds=copies)))


def test_numbers_beyond_all_arithmetic_are_a_refusal_and_no_crash(made: Made, early: Entry) -> None:
    macs = (10**30, *early.costs.macs[1:])
    assert "costs" in made.broken(changed(early, costs=early.costs.model_copy(update={"macs": macs})))


@pytest.mark.parametrize("macs", [-1, 2**60])
def test_macs_below_nothing_or_beyond_exact_sums_are_not_read(early: Entry, tmp_path: Path, macs: int) -> None:
    tampered = changed(early, costs=early.costs.model_copy(update={"macs": (macs, *early.costs.macs[1:])}))
    with pytest.raises(UsageError, match=r"costs\.macs"):
        read(write(tampered, tmp_path))


def test_points_that_were_never_executed_cannot_say_so(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    unchecked = first.points[0].model_copy(update={"checks": ()})
    assert made.broken(one_seed(early, points=(unchecked, *first.points[1:]))) == {"executed"}


def test_points_that_were_executed_in_one_batch_size_only_are_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    few = first.points[0].model_copy(update={"checks": first.points[0].checks[:1]})
    assert made.broken(one_seed(early, points=(few, *first.points[1:]))) == {"executed"}


def test_a_router_of_nobody_is_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    strange = first.points[0].model_copy(update={"router": {"kind": "oracle"}})
    assert made.broken(one_seed(early, points=(strange, *first.points[1:]))) == {"routers", "selection"}


def test_weights_that_are_not_what_they_are_called_are_refused(made: Made, early: Entry, board: Path) -> None:
    path = board / "weights" / f"{early.seeds[0].weights.sha256}.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert made.broken(early, folder=board) == {"weights"}
    path.unlink()
    assert made.broken(early, folder=board) == {"weights"}


def test_a_file_under_another_name_is_refused(made: Made, early: Entry) -> None:
    assert made.broken(early, file="digits-resnet8-best-p1-00000000.json") == {"file-name"}


def test_code_of_the_authors_is_never_run(made: Made, early: Entry, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    settings = {"networks": [f"{mine}:make"]}
    tampered = changed(early, method="netselect", variant=f"networks={mine}:make", settings=settings)
    assert {"costs", "private"} <= made.broken(tampered)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("secret", ["/home/ada/data", "ada@example.org", "ghp_" + "a" * 36, "password=hunter2"])
def test_folders_people_and_secrets_do_not_get_in(made: Made, early: Entry, secret: str) -> None:
    assert made.broken(changed(early, tuning=f"tuned by {secret}")) == {"private"}


def test_a_bomb_is_not_unfolded(made: Made, early: Entry) -> None:
    bomb = pack(np.zeros(1_000_000, dtype=np.int64)).model_copy(update={"shape": early.labels.shape})
    assert "cannot be judged" in made.judged(changed(early, labels=bomb))["answers"].problems[0]


def cheapest(early: Entry) -> Entry:
    """Every image leaves at the first exit, at each per-sample point of the first seed whose router allows it; nothing
    else changes."""
    first = early.seeds[0]
    number = next(n for n, trail in enumerate(first.trails) if trail == (0,))
    places = [i for i, point in enumerate(first.points) if point.router["kind"] == "threshold"]
    places = [i for i in places if possible(first.points[i].router, (0,), early.dataset.classes)]

    def edit(trail: np.ndarray) -> np.ndarray:
        trail[:, places] = number
        return trail

    return one_seed(early, test_trail=edited(first.test_trail, edit), select_trail=edited(first.select_trail, edit))


def test_cheaper_trails_do_not_fit_the_stated_figures(made: Made, early: Entry) -> None:
    assert made.broken(cheapest(early)) & {"figures", "chosen"}


def test_trails_that_the_router_cannot_take_are_refused(made: Made, early: Entry) -> None:
    first = early.seeds[0]
    static = next(i for i, point in enumerate(first.points) if point.router["kind"] == "constant")
    wrong = next(n for n, trail in enumerate(first.trails) if trail != (first.points[static].router["answer"],))

    def edit(trail: np.ndarray) -> np.ndarray:
        trail[0, static] = wrong
        return trail

    assert made.broken(restated(one_seed(early, test_trail=edited(first.test_trail, edit)))) == {"trails"}


def test_consistently_invented_trails_are_self_reported_and_found_by_a_replay(made: Made, early: Entry) -> None:
    invented = restated(cheapest(early))
    assert made.broken(invented) == set()
    assert invented.tier == "self-reported"
    assert any("decided otherwise" in line for line in replayed(made, invented))


def test_answers_that_are_right_on_test_images_alone_are_refused(made: Made, early: Entry) -> None:
    right = np.repeat(unpack(early.labels)[:, None], early.costs.answers, axis=1)
    invented = restated(one_seed(early, test_prediction=pack(right), test_top5=pack(np.ones_like(right))))
    assert max(row.accuracy for row in invented.figures.points) == 1
    assert made.broken(invented) == {"gap"}


def test_consistently_invented_predictions_are_self_reported_and_found_by_a_replay(made: Made) -> None:
    plain = made.entries["plain"]
    right = pack(unpack(plain.labels)[:, None])
    ones = {name: edited(getattr(plain.seeds[0], name), np.ones_like) for name in ("test_top5", "select_right")}
    invented = restated(one_seed(plain, test_prediction=right, **ones))
    assert max(row.accuracy for row in invented.figures.points) == 1
    assert made.broken(invented) == set()
    assert any("decided otherwise" in line for line in replayed(made, invented))


def test_an_honest_entry_is_replayed_without_a_difference(made: Made, early: Entry) -> None:
    assert replayed(made, early) == []
