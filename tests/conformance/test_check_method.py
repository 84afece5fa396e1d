"""The verb `check-method`, `--plugin`, and the page that takes a newcomer to a method that passes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.conformance import suite
from benchmarks.conformance.subject import Finding
from methods import registry

HOUSE = Path(__file__).parents[2]
PAGE, EXAMPLE = HOUSE / "docs/adding-a-method.md", HOUSE / "docs/examples/lastblocks.py"
EXAMPLES = ("lastblocks", "twosizes", "skipblocks")
TWO = """from methods.plain import Plain

class Good(Plain):
    title, axis, decision, citation = "Good", "none", "static", "nobody"

class Bad(Good):

    def loss(self, images, labels, generator):
        return {}["loss"]
"""
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """What a command line exits with and prints."""
    monkeypatch.setattr(registry, "_ADDED", {})
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, printed.out, printed.err

    return run


def fixed(*findings: Finding) -> Callable[..., list[suite.Verdict]]:
    return lambda *_: [suite.Verdict(f"rule-{i}", "The rule.", finding) for i, finding in enumerate(findings)]


def test_the_table_says_what_held_and_the_exit_status_whether_all_did(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, absent, bad = Finding(True, "3 of 3"), Finding(None, "nothing"), Finding(False, "1 of 3 [x]")
    monkeypatch.setattr(suite, "checked", fixed(good, absent))
    code, out, _ = said("check-method", "plain")
    assert code == 0
    assert [line.split() for line in out.splitlines()][2:4] == [
        ["rule-0", "held", "3", "of", "3"], ["rule-1", "does", "not", "apply", "nothing"],
    ]  # fmt: skip
    assert out.splitlines()[-1] == "1 held, 0 not, 1 do not apply"
    monkeypatch.setattr(suite, "checked", fixed(good, absent, bad))
    code, out, _ = said("check-method", "plain")
    assert code == 1
    assert "not held" in out
    assert "1 of 3 [x]" in out
    assert "rule-2: The rule." in out


def test_every_method_of_a_file_is_checked(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "two.py"
    file.write_text(TWO)
    monkeypatch.setattr(suite, "CHECKS", {})
    code, out, _ = said("check-method", str(file), "--backbone", "resnet8:width=2", "--set", "size=4")
    assert code == 1  # the second cannot be trained
    assert [line.strip() for line in out.splitlines() if " on " in line] == [
        "good on resnet8:width=2", "bad on resnet8:width=2",
    ]  # fmt: skip
    assert f"KeyError: 'loss' ({file}, line 9)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check-method", "sdpiont"], "unknown method 'sdpiont'; did you mean 'sdpoint'"),
        (["check-method", "nowhere.py"], "cannot read the plugin nowhere.py: No such file or directory"),
        (["check-method", "sdpoint", "--set", "ratios"], "--set takes key=value"),
        (["check-method", "sdpoint", "--set", "ratio=0.5"], "sdpoint has no setting 'ratio'; did you mean 'ratios'"),
        (["check-method", "plain", "--backbone", "resnet9"], "resnet9"),
        (["run", "--plugin", "nowhere.py", "--methods", "plain"], "cannot read the plugin nowhere.py"),
        (["list", "methods", "--plugin", "nowhere.py"], "cannot read the plugin nowhere.py"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_is_one_line_and_exit_status_2(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = said(*arguments)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_listing_a_file_shows_its_methods(said: Said) -> None:
    code, out, _ = said("list", "methods", "--plugin", str(EXAMPLE))
    assert code == 0
    assert "lastblocks        Stochastic depth, last blocks left out" in out
    assert "cost chosen by depth, static" in out


def test_the_page_is_short_and_holds_exactly_the_examples() -> None:
    page = PAGE.read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert code == [(EXAMPLE.with_stem(name)).read_text(encoding="utf-8") for name in EXAMPLES]
    assert len(page.partition("\n## ")[0].splitlines()) < 80  # from nothing to a method that passes


@pytest.mark.parametrize("example", EXAMPLES[1:])
def test_the_further_examples_keep_every_rule(said: Said, example: str) -> None:
    code, out, _ = said("check-method", str(EXAMPLE.with_stem(example)), "--backbone", "resnet14:width=2")
    assert code == 0, out


def test_the_commands_of_the_page_work(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (check, run) = (line.split()[3:] for line in PAGE.read_text().splitlines() if line.startswith("python -m"))
    (tmp_path / "lastblocks.py").write_text(EXAMPLE.read_text())
    monkeypatch.chdir(tmp_path)
    code, out, _ = said(*check)
    assert code == 0
    assert "22 held, 0 not, 1 do not apply" in out
    small = ["--dataset", "digits", "--backbone", "resnet14:width=2", "--epochs", "1", "--latency", "off"]
    code, out, _ = said(*run, *small, "--threads", "1", "--output", "out")
    assert code == 0
    assert {"keep1", "full", "p1_r0.5"} <= set(re.split(r"[\s,]+", (tmp_path / "out/points.csv").read_text()))
