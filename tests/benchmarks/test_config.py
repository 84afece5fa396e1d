"""A run's configuration: the same from a file and from the command line."""

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cli
from benchmarks.cli import run as run_command
from benchmarks.config import MethodSpec, RunConfig, configure, settings_from
from benchmarks.core.errors import UsageError
from methods.registry import parse_settings, variant

FILE = """
methods = ["sdpoint:bn=uniform", "earlyexit"]
dataset = "digits"
backbone = "resnet14:width=8"
seeds = [0, 1]
epochs = 3
points = 7
latency = "off"
output = "here"
reference = false
data_root = "there"

[set.sdpoint]
ratios = [0.25, 0.5]

[set]
"earlyexit.rule" = "margin"
"recipe.nesterov" = false
"""
LINE = [
    "--methods",
    "sdpoint:bn=uniform,earlyexit",
    "--dataset",
    "digits",
    "--backbone",
    "resnet14:width=8",
    "--seeds",
    "0,1",
    "--epochs",
    "3",
    "--points",
    "7",
    "--latency",
    "off",
    "--output",
    "here",
    "--no-reference",
    "--data-root",
    "there",
    "--set",
    "sdpoint.ratios=0.25,0.5",
    "--set",
    "earlyexit.rule=margin",
    "--set",
    "recipe.nesterov=False",
]


def from_command_line(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """What `run` would execute."""
    found: list[RunConfig] = []
    monkeypatch.setattr(run_command, "execute", lambda config, wait: found.append(config) or 0)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "run", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    return found[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(FILE)
    return path


def test_a_file_and_the_command_line_give_the_same_configuration(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_command_line(LINE, monkeypatch) == configure({}, file)
    assert from_command_line(["--config", str(file)], monkeypatch) == configure({}, file)


def test_options_win_over_the_file_and_the_rest_of_it_stays(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["--config", str(file), "--epochs", "9", "--reference", "--set", "sdpoint.ratios=0.75"]
    found = from_command_line(given, monkeypatch)
    assert (found.epochs, found.reference, found.points) == (9, True, 7)
    assert found.set["sdpoint.ratios"] == "0.75"
    assert found.set["earlyexit.rule"] == "margin"


def test_an_option_given_at_its_default_wins_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = from_command_line(["--config", str(file), "--points", "20"], monkeypatch)
    assert found.points == 20


def test_the_defaults_of_the_command_line_are_those_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert from_command_line([], monkeypatch) == RunConfig()
    written = {p.name: p.default for p in run_command_parameters()}
    own = {name: field.get_default() for name, field in RunConfig.model_fields.items()}
    assert written.keys() - {"context", "config", "trust", "wait"} == own.keys()
    assert configure({k: v for k, v in written.items() if k in own and k != "set"}) == RunConfig()


def run_command_parameters() -> Any:
    import inspect

    return inspect.signature(run_command.run).parameters.values()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('seeds = "2,3"', (2, 3)),
        ("seeds = 5", (5,)),
        ("seeds = [1, 4]", (1, 4)),
        ('seeds = " 1 , 2 "', (1, 2)),
        ('seeds = "0-2,7"', (0, 1, 2, 7)),
    ],
)
def test_seeds_are_a_number_a_list_or_a_text(text: str, expected: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    assert configure({}, tmp_path / "run.toml").seeds == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ratios = [0.25, 0.5]", "0.25,0.5"), ("every = 2", "2"), ('bn = "uniform"', "uniform"), ("x = true", "True")],
)
def test_settings_of_any_type_become_texts(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(f"[set.sdpoint]\n{text}")
    assert list(configure({}, tmp_path / "run.toml").set.values()) == [expected]


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown setting 'backbon'; did you mean 'backbone'"):
        configure({"backbon": "resnet8"})


def test_all_mistakes_are_told_at_once_in_one_line() -> None:
    with pytest.raises(UsageError) as refused:
        configure({"epochs": 0, "points": 1, "device": "tpu"})
    assert all(word in str(refused.value) for word in ("epochs", "points", "device"))
    assert "\n" not in str(refused.value)


def test_a_method_is_a_name_and_settings() -> None:
    assert MethodSpec.parse(" sdpoint:bn=uniform:every=2 ") == MethodSpec(
        name="sdpoint", settings={"bn": "uniform", "every": "2"}
    )


def test_the_reference_comes_first_and_nothing_runs_twice() -> None:
    config = configure({"methods": "sdpoint,plain,sdpoint", "set": {"sdpoint.every": 2}})
    assert [spec.name for spec in config.specs()] == ["plain", "sdpoint"]
    assert config.specs()[1].settings == {"every": "2"}
    assert [s.name for s in configure({"methods": "sdpoint", "reference": False}).specs()] == ["sdpoint"]


def test_a_variants_own_setting_wins_over_set() -> None:
    config = configure({"methods": "sdpoint:every=3", "set": {"sdpoint.every": "2"}, "reference": False})
    assert config.specs()[0].settings == {"every": "3"}


def test_runs_are_named_by_what_they_do_not_by_where_they_go() -> None:
    one, other = configure({"epochs": 3}), configure({"epochs": 4})
    assert one.name() != other.name()
    assert one.name() == configure({"epochs": 3, "output": "x"}).name()
    assert (
        one.name() == configure({"epochs": 3, "methods": "plain", "seeds": [4], "points": 5, "latency": "off"}).name()
    )
    assert one.folder() == Path("runs") / one.name()
    assert configure({"output": "x"}).folder() == Path("x")


@pytest.mark.parametrize("pairs", [["x=1"], ["=1"], ["sdpoint.x"], [".=1"], ["a.b=1", "a.b=2"]])
def test_a_setting_says_whose_it_is_and_what(pairs: list[str]) -> None:
    with pytest.raises(UsageError):
        settings_from(pairs)


def test_a_setting_may_hold_an_equals_sign() -> None:
    assert settings_from(["earlyexit.init=a=b"]) == {"earlyexit.init": "a=b"}


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("netselect:networks=nets.py:make", ["nets.py:make"]),
        ("netselect:networks=a/nets.py:one/nets.py:two", ["a/nets.py:one", "nets.py:two"]),
        ("netselect:networks=a:b/c:d/nets.py:one/e/nets.py:two", ["a:b/c:d/nets.py:one", "e/nets.py:two"]),
        ("netselect:networks=C:/x y/nets.py:one/resnet20", ["C:/x y/nets.py:one", "resnet20"]),
        ("netselect:networks=C:\\x\\nets.py:one", ["C:\\x\\nets.py:one"]),
        ("netselect:networks=resnet8/resnet8:width=4/nets.py:one", ["resnet8", "resnet8:width=4", "nets.py:one"]),
        ("netselect:networks=/x/nets.py:one/resnet14", ["/x/nets.py:one", "resnet14"]),
    ],
)
def test_a_value_may_hold_colons_and_slashes_of_paths_and_of_backbones(text: str, networks: list[str]) -> None:
    for written in (text, f"{text}:jumps=false"):
        spec = MethodSpec.parse(written)
        settings = parse_settings(spec.name, spec.settings)
        assert settings.model_dump()["networks"] == tuple(networks)
        assert variant(settings).split(":")[0] in written


@pytest.mark.parametrize(
    "given",
    [
        {"name": "netselect", "networks": "resnet8:width=4,resnet14", "jumps": "false"},
        {"name": "netselect", "networks": "a:b/nets.py:one,resnet8:width=4,resnet14,c/nets.py:two"},
        {"name": "sdpoint", "ratios": "0.25,0.5,0.75", "every": "2", "bn": "uniform"},
        {"name": "static", "sizes": "8,12"},
        {
            "name": "earlyexit",
            "heads": "branchynet",
            "layers": "2,1",
            "positions": "0,1",
            "init": "v1.0",
        },
        {"name": "multiscale", "sizes": "3", "routing": "learned"},
    ],
)
def test_the_name_that_a_report_shows_is_one_that_methods_takes(given: dict[str, str]) -> None:
    name, texts = given["name"], {key: text for key, text in given.items() if key != "name"}
    settings = parse_settings(name, texts)
    spec = MethodSpec.parse(f"{name}:{variant(settings)}")
    assert parse_settings(spec.name, spec.settings) == settings


def test_a_configuration_that_is_nested_too_deeply_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "deep.toml"
    for text in ("a = " + "[" * 100_000 + "]" * 100_000, "a = " + "{a=" * 100_000 + "1" + "}" * 100_000):
        file.write_text(text)
        with pytest.raises(UsageError, match=r"deep\.toml is nested too deeply"):
            configure({}, file)
