"""The verbs as an author, a pull request and a maintainer use them."""

import json
from pathlib import Path

import pytest
from entering import Made, changed, cli

from benchmarks.errors import UsageError
from benchmarks.leaderboard.entry import Entry, read, text, write
from benchmarks.leaderboard.rules import RULES


def submitted(made: Made, board: Path) -> list[Path]:
    assert cli("submit", made.run.folder, "--output", board).return_value == 0
    return sorted((board / "entries").glob("*.json"))


def test_submit_writes_an_entry_a_method_and_says_what_comes_next(made: Made, board: Path) -> None:
    done = cli("submit", made.run.folder, "--output", board)
    assert done.return_value == 0
    assert len(list((board / "entries").iterdir())) == len(made.entries)
    assert "next: `python -m benchmarks leaderboard build`" in done.output
    assert all(rule.name in done.output for rule in RULES)


def test_submitting_again_replaces_what_there_was(made: Made, board: Path) -> None:
    before = submitted(made, board)
    assert cli("submit", made.run.folder, "--tuning", "the rate, on select", "--output", board).return_value == 0
    after = sorted((board / "entries").glob("*.json"))
    assert len(after) == len(before)
    assert not {path.name for path in after} & {path.name for path in before}


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
    path = next(path for path in submitted(made, board) if "routing=learned" in path.name)
    done = cli("replay", path, "--output", board)
    assert done.return_value == 0, done.output
    entry = read(path)
    assert (entry.tier, entry.file) == ("reproduced", path.name)
    (record,) = entry.replays
    images = entry.dataset.test_images + entry.dataset.calibration_images // 2
    assert record.compared == images * sum(len(seed.points) for seed in entry.seeds)
    assert (record.different, record.content) == (0, entry.digest)
    assert cli("check", path, "--output", board).return_value == 0


def test_a_replay_needs_the_weights(made: Made, board: Path, early: Entry) -> None:
    path = board / early.file
    path.write_text(text(early))
    for weights in (board / "weights").iterdir():
        weights.unlink()
    done = cli("replay", path, "--output", board)
    assert isinstance(done.exception, UsageError)
    assert "--run" in str(done.exception)
    again = cli("replay", path, "--run", made.run.folder, "--output", board)
    assert again.return_value == 0


def test_a_replay_on_images_nobody_else_has_does_not_raise_the_tier(made: Made, board: Path, early: Entry) -> None:
    path, toml = board / early.file, board / "datasets.toml"
    toml.write_text(toml.read_text().replace("public = true", "public = false"))
    path.write_text(text(early))
    done = cli("replay", path, "--output", board)
    assert done.return_value == 0
    assert "stays self-reported: the images of digits are not public" in done.output
    assert read(path).tier == "self-reported"


def test_a_replay_that_differs_fails_and_changes_nothing(made: Made, board: Path, early: Entry) -> None:
    first, second, third = early.seeds
    swapped = changed(
        early,
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


@pytest.mark.parametrize("arguments", [("check", "nowhere"), ("replay", "nowhere.json")])
def test_what_is_not_there_is_one_line(board: Path, arguments: tuple[str, ...]) -> None:
    (board / "entries").mkdir()
    done = cli(*arguments, "--output", board)
    assert isinstance(done.exception, UsageError)
    assert "nowhere" in str(done.exception)
