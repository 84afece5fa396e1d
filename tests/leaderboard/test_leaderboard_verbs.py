"""The verbs as an author, a pull request and a maintainer use them."""

import json
from pathlib import Path

import pytest
from entering import Made, changed, cli

from benchmarks.core.errors import UsageError
from benchmarks.leaderboard.entry import read, text, write
from benchmarks.leaderboard.rules import RULES


def submitted(made: Made, board: Path) -> list[Path]:
    """The board with the entries that `submit` writes of the run."""
    return sorted(write(entry, board / "entries") for entry in made.entries.values())


def test_submit_writes_an_entry_a_method_and_says_what_comes_next(made: Made, board: Path) -> None:
    done = cli("submit", made.run.folder, "--output", board)
    assert done.return_value == 0
    names = {path.name[:-13] for path in (board / "entries").iterdir()}
    assert names == {entry.file[:-13] for entry in made.entries.values()}
    assert "next: `python -m benchmarks leaderboard build`" in done.output
    assert all(rule.name in done.output for rule in RULES)


def test_submitting_again_replaces_what_there_was(made: Made, board: Path) -> None:
    before = submitted(made, board)
    again = ("--methods", "sdpoint", "--tuning", "the rate, on select")
    assert cli("submit", made.run.folder, *again, "--output", board).return_value == 0
    after = sorted((board / "entries").glob("*.json"))
    (old,), (new,) = (
        [path.name for path in one if path not in other] for one, other in ((before, after), (after, before))
    )
    assert old != new
    assert old[:-13] == new[:-13] == "digits-resnet8-sdpoint-default-p1-"


def test_an_entry_without_its_plain_network_is_refused_and_nothing_is_left(made: Made, board: Path) -> None:
    weights = sorted((board / "weights").iterdir())
    for path in weights:
        path.unlink()
    done = cli("submit", made.run.folder, "--methods", "sdpoint", "--output", board)
    assert done.return_value == 1
    assert "there is no entry of the plain resnet8 on digits" in done.output
    assert not (board / "entries").exists()
    assert list((board / "weights").iterdir()) == []


def test_the_open_division_needs_no_plain_network(made: Made, board: Path) -> None:
    options = ("--methods", "sdpoint", "--division", "open", "--weights", "none")
    done = cli("submit", made.run.folder, *options, "--output", board)
    assert done.return_value == 0
    assert "nobody can replay" in done.output


def test_weights_elsewhere_have_an_https_address(made: Made, board: Path) -> None:
    options = ("--methods", "plain", "--weights", "https://example.org/w/")
    assert cli("submit", made.run.folder, *options, "--output", board).return_value == 0
    (path,) = (board / "entries").iterdir()
    seed = read(path).seeds[0]
    assert seed.weights.address == f"https://example.org/w/{seed.weights.sha256}.safetensors"
    bad = cli("submit", made.run.folder, "--weights", "http://example.org", "--output", board)
    assert isinstance(bad.exception, UsageError)


def test_check_refuses_a_tampered_file_and_names_the_rule(made: Made, board: Path) -> None:
    path = submitted(made, board)[0]
    assert cli("check", "--output", board).return_value == 0
    content = json.loads(path.read_text())
    content["figures"]["summary"]["mean"] += 0.01
    path.write_text(json.dumps(content))
    done = cli("check", path, "--output", board)
    assert done.return_value == 1
    assert f"figures: {path.name}: summary: mean is" in done.output
    assert f"file-name: {path.name}" in done.output


def test_check_refuses_what_is_no_entry(made: Made, board: Path) -> None:
    (board / "entries").mkdir()
    (board / "entries" / "bad.json").write_text("{}")
    done = cli("check", "--output", board)
    assert done.return_value == 1
    assert "bad.json is no entry this version reads" in done.output


def test_two_entries_of_the_same_are_refused(made: Made, board: Path) -> None:
    path = submitted(made, board)[0]
    write(changed(read(path), tuning="twice"), board / "entries")
    assert "replace it" in cli("check", "--output", board).output


def test_build_writes_the_board_and_knows_when_it_is_old(made: Made, board: Path) -> None:
    assert cli("build", "--check", "--output", board).return_value == 1
    submitted(made, board)
    assert cli("build", "--output", board).return_value == 0
    names = {"README.md", "leaderboard.csv", "leaderboard.json", "leaderboard.tex"}
    assert names <= {path.name for path in board.iterdir()}
    assert cli("build", "--check", "--output", board).return_value == 0
    (board / "leaderboard.csv").write_text("better\n")
    done = cli("build", "--check", "--output", board)
    assert (done.return_value, "leaderboard.csv" in done.output) == (1, True)


def test_a_replay_that_agrees_raises_the_tier(made: Made, board: Path) -> None:
    path = next(path for path in submitted(made, board) if "sdpoint" in path.name)
    done = cli("replay", path, "--output", board)
    assert done.return_value == 0, done.output
    entry = read(path)
    assert (entry.tier, entry.file) == ("reproduced", path.name)
    (record,) = entry.replays
    images = entry.dataset.test_images + entry.dataset.calibration_images // 2
    assert record.compared == images * sum(len(seed.points) for seed in entry.seeds)
    assert (record.different, record.content) == (0, entry.digest)
    assert cli("check", path, "--output", board).return_value == 0


def test_a_replay_needs_the_weights(made: Made, board: Path) -> None:
    path = board / made.entries["plain"].file
    path.write_text(text(made.entries["plain"]))
    for weights in (board / "weights").iterdir():
        weights.unlink()
    done = cli("replay", path, "--output", board)
    assert isinstance(done.exception, UsageError)
    assert "--run" in str(done.exception)
    again = cli("replay", path, "--run", made.run.folder, "--output", board)
    assert again.return_value == 0


def test_a_replay_on_images_nobody_else_has_does_not_raise_the_tier(made: Made, board: Path) -> None:
    plain = made.entries["plain"]
    path, toml = board / plain.file, board / "datasets.toml"
    toml.write_text(toml.read_text().replace("public = true", "public = false"))
    path.write_text(text(plain))
    done = cli("replay", path, "--output", board)
    assert done.return_value == 0
    assert "stays self-reported: the images of digits are not public" in done.output
    assert read(path).tier == "self-reported"


def test_a_replay_that_differs_fails_and_changes_nothing(made: Made, board: Path) -> None:
    plain = made.entries["plain"]
    first, second, third = plain.seeds
    swapped = changed(
        plain,
        seeds=(
            first.model_copy(update={"weights": second.weights}), second.model_copy(update={"weights": first.weights}),
            third,
        ),
    )  # fmt: skip
    path = board / swapped.file
    path.write_text(text(swapped))
    done = cli("replay", path, "--output", board)
    assert done.return_value == 1
    assert "does not agree" in done.output
    assert path.read_text() == text(swapped)


@pytest.fixture
def older(made: Made, board: Path) -> list[Path]:
    """A board of entries that were trained for longer, and one that was replayed."""
    paths = []
    for entry in made.entries.values():
        training = entry.training.model_copy(update={"recipe": entry.training.recipe | {"epochs": 40}})
        tier = "reproduced" if entry.label == "plain" else "self-reported"
        paths.append(write(changed(entry, training=training, tier=tier), board / "entries"))
    return paths


def test_an_entry_of_a_longer_training_or_higher_tier_is_not_replaced(
    made: Made, board: Path, older: list[Path]
) -> None:
    done = cli("submit", made.run.folder, "--methods", "plain,sdpoint", "--output", board)
    assert done.return_value == 1
    assert "replace: plain: digits-resnet8-plain-default" in done.output
    assert "is reproduced, not self-reported" in done.output
    assert "has another recipe: epochs 40, not 1" in done.output
    assert sorted((board / "entries").iterdir()) == sorted(older)


def test_a_plain_network_that_others_compare_with_is_not_replaced_and_they_are_named(
    made: Made, board: Path, older: list[Path]
) -> None:
    done = cli("submit", made.run.folder, "--methods", "plain", "--output", board)
    assert done.return_value == 1
    for path in older:
        if "-plain-" not in path.name:
            assert f"replace: plain: {path.name} would no longer compare with the plain network" in done.output
    assert sorted((board / "entries").iterdir()) == sorted(older)


def test_what_is_told_to_replace_replaces_and_says_what_does_not_compare_any_more(
    made: Made, board: Path, older: list[Path]
) -> None:
    done = cli("submit", made.run.folder, "--methods", "plain", "--replace", "--output", board)
    assert done.return_value == 0, done.output
    lost = [path.name for path in older if "-plain-" not in path.name]
    assert all(f"does not compare any more: {name}" in done.output for name in lost)
    assert len(list((board / "entries").iterdir())) == len(older)
    assert cli("check", "--output", board).return_value == 1


def test_an_entry_of_more_seeds_is_not_replaced(made: Made, board: Path) -> None:
    entry = made.entries["plain"]
    more = changed(entry, seeds=(*entry.seeds, entry.seeds[0].model_copy(update={"seed": 3})))
    path = write(more, board / "entries")
    done = cli("submit", made.run.folder, "--methods", "plain", "--output", board)
    assert (done.return_value, "has 4 seeds, not 3" in done.output) == (1, True)
    assert list((board / "entries").iterdir()) == [path]


def test_weights_that_nobody_brings_any_more_go_with_the_entry_that_is_replaced(made: Made, board: Path) -> None:
    submitted(made, board)
    options = ("--methods", "plain", "--weights", "none")
    assert cli("submit", made.run.folder, *options, "--output", board).return_value == 0
    left = {path.stem for path in (board / "weights").iterdir()}
    assert not left & {seed.weights.sha256 for seed in made.entries["plain"].seeds}
    assert left >= {seed.weights.sha256 for seed in made.entries["sdpoint"].seeds}


def test_a_new_folder_becomes_a_leaderboard(made: Made, tmp_path: Path) -> None:
    new = tmp_path / "a" / "new"
    done = cli("submit", made.run.folder, "--methods", "plain,sdpoint", "--output", new)
    assert done.return_value == 0, done.output
    assert cli("check", "--output", new).return_value == 0
    assert cli("build", "--output", new).return_value == 0


@pytest.mark.parametrize(
    "options", [("--methods", "sdpoint"), ("--methods", "none"), ("--weights", "ftp://example.org")]
)
def test_a_new_folder_is_not_left_behind_where_nothing_is_written(
    made: Made, tmp_path: Path, options: tuple[str, ...]
) -> None:
    new = tmp_path / "new"
    done = cli("submit", made.run.folder, *options, "--output", new)
    assert done.return_value == 1 or isinstance(done.exception, UsageError)
    assert not new.exists()


@pytest.mark.parametrize("arguments", [("check", "nowhere"), ("replay", "nowhere.json")])
def test_what_is_not_there_is_one_line(board: Path, arguments: tuple[str, ...]) -> None:
    (board / "entries").mkdir()
    done = cli(*arguments, "--output", board)
    assert isinstance(done.exception, UsageError)
    assert "nowhere" in str(done.exception)
