"""Every command and snippet of the pages is one that works today."""

import configparser
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import typer
import yaml
from prose import HOUSE, LANGUAGES, PAGES, anchors, blocks, commands, links

from benchmarks.cli import app
from benchmarks.config import configure, settings_from
from benchmarks.data import registry as data_sets
from benchmarks.data.about import about
from benchmarks.training.recipes import recipes
from methods import registry
from methods.backbones.specification import parse

VERBS = typer.main.get_command(app)
CHEAP = {"list", "pick", "analyse", "claims", "scales", "report", "cite"}
"""Verbs that are executed where a page names `runs/study` or no run at all; all others are parsed only."""
PROGRAMS = {"pip", "pytest", "benchmarks"}
EVERY = [(page, command) for page in PAGES for command in commands(page)]
OURS = [(page, command[3:]) for page, command in EVERY if command[:3] == ["python", "-m", "benchmarks"]]
FOLDERS = {"reports/leaderboard", "runs/study"}


def named(given: Any) -> str:
    return given.name if isinstance(given, Path) else " ".join(given)


def once(pairs: list[tuple[Path, list[str]]]) -> list[tuple[Path, list[str]]]:
    """The same command on several pages once."""
    return list({tuple(command): (page, command) for page, command in pairs}.values())


def parsed(words: list[str]) -> Any:
    """The context of the verb that a command line ends at; whatever is unknown raises."""
    context = VERBS.make_context("benchmarks", list(words))
    while hasattr(context.command, "resolve_command"):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context


def test_the_pages_hold_blocks_of_known_kinds_only() -> None:
    found = {(page.name, block.language) for page in PAGES for block in blocks(page)}
    assert not {(page, language) for page, language in found if language not in LANGUAGES}
    assert OURS


def known(command: list[str]) -> bool:
    """Whether a command is one of a program that the project has."""
    match command:
        case ["python", "-m", program, *_]:
            return program in PROGRAMS
        case ["python", folder, *_]:
            return (HOUSE / folder / "__main__.py").is_file()
        case ["tox"] | ["ruff", "check" | "format", *_] | ["mypy"] | [".ci/run"]:
            return True
        case ["tox", "-e", environment]:
            return f"testenv:{environment}" in tox().sections()
        case ["git", "switch" | "clone" | "commit", *_]:
            return True
        case _:
            return False


def test_commands_are_of_programs_that_the_project_has() -> None:
    assert not [(page.name, " ".join(command)) for page, command in EVERY if not known(command)]


def test_commands_parse_with_the_real_command_line() -> None:
    wrong = {(page.name, " ".join(words)): said for page, words in once(OURS) if (said := refusal(words))}
    assert not wrong


def refusal(words: list[str]) -> str:
    """What is wrong with a command line, nothing if it parses and the names in it are real."""
    try:
        context = parsed(words)
        if context.info_name == "run":
            names_exist(context)
    except Exception as error:  # of the command line, of the configuration, or of a name: all are told
        return f"{type(error).__name__}: {error}"
    return ""


def names_exist(context: Any) -> None:
    """Whether methods, settings, data set, backbone and recipe of a `run` are real; those of a plugin are not known."""
    apart = ("config", "trust", "wait")  # what is no part of a configuration
    given = {key: value for key, value in context.params.items() if value is not None and key not in apart}
    pairs = given.pop("set", None) or []
    own = {Path(file).stem for file in given.get("plugin", ())}
    config = configure({**given, "set": settings_from(list(pairs))})
    for spec in config.specs():
        if spec.name not in own:
            registry.parse_settings(spec.name, {k: v for k, v in spec.settings.items() if ".py:" not in v})
    known = data_sets.files()
    options = about(known[config.dataset]).get("options", ())
    assert set(config.group(config.dataset)) <= {option["name"] for option in options}
    assert {key.partition(".")[0] for key in config.set} <= {*known, *registry.entries(), *own, "recipe"}
    assert config.recipe in recipes()
    parse(config.backbone)


def executable(words: list[str]) -> bool:
    """Whether a command is cheap, and about nothing but `runs/study`; RUN and NAME stand for what the reader has."""
    if words[0] not in CHEAP or any(re.fullmatch(r"[A-Z_]{3,}", word) for word in words):
        return False
    return all(word.startswith("-") or "/" not in word or word in FOLDERS for word in words[1:])


@pytest.mark.parametrize(
    ("page", "words"), once([(page, words) for page, words in OURS if executable(words)]), ids=named
)
def test_cheap_commands_are_executed(
    page: Path, words: list[str], at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = app(list(words), standalone_mode=False)
    assert status in (None, 0)
    assert capsys.readouterr().out.strip()


def test_the_data_set_of_its_page_is_a_file_that_can_be_run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = next(b.text for b in blocks(HOUSE / "docs" / "adding-a-dataset.md") if b.language == "python")
    (tmp_path / "brightness.py").write_text(text)
    monkeypatch.setattr(data_sets, "FOLDER", tmp_path)
    data, said = data_sets.load("brightness", settings={"seed": "1"}), about(tmp_path / "brightness.py")
    assert (len(data.train), len(data.test)) == (said["train"], said["test"])
    assert data.train.images.shape[2:] == said["size"]


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.language == "python" for b in blocks(p))], ids=named)
def test_python_runs_block_after_block(page: Path, at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is one session. It may take for granted some `images`, which belong to whoever reads it."""
    monkeypatch.setattr(registry, "_ADDED", {})
    monkeypatch.setitem(sys.modules, "page", ModuleType("page"))  # where classes of the page say they are from
    drawn = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    session = {"images": drawn, "__name__": "page"}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), session)


def test_toml_is_a_configuration_or_belongs_to_a_file_that_the_page_names(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    found = [(page, block.text) for page in PAGES for block in blocks(page) if block.language == "toml"]
    for page, text in found:
        if all(isinstance(value, dict) for value in tomllib.loads(text).values()):
            assert re.search(r"entry point|registry\.toml", page.read_text(encoding="utf-8"))
        else:
            file.write_text(text, encoding="utf-8")
            configure({}, file)


def test_yaml_is_yaml_and_uses_actions_that_are_there() -> None:
    texts = [b.text for page in PAGES for b in blocks(page) if b.language == "yaml"]
    assert texts
    for text in texts:
        assert isinstance(yaml.safe_load(text), dict)
        for path in re.findall(r"uses: \./suite/(\S+)", text):
            assert (HOUSE / path / "action.yml").is_file()


def test_links_within_the_project_lead_somewhere() -> None:
    inside = {
        (page, link)
        for page in PAGES
        for link in links(page)
        if not link.startswith(("http://", "https://", "mailto:"))
    }
    assert inside
    assert not [(page.name, link) for page, link in inside if not leads_somewhere(page, link)]


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the file of a link is there, and the heading in it."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def tox() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(HOUSE / "tox.ini")
    return found
