"""The suite's hot paths in two versions of its code: real processes, made-up packages."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.cli.gate import gate
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import drive
from benchmarks.gate import duel
from benchmarks.gate.hotpaths import FILE, Code, HotPaths, judge
from reports.console import gate as report

TABLE = """
def steady():
    from methods.work import busy
    return lambda: busy(4_000)

def changed():
    from methods.work import STEPS, busy
    return lambda: busy(STEPS)

HOT_PATHS = {"steady": steady, "changed": changed}
"""
BUSY = """
def busy(steps):
    for _ in range(steps):
        pass
"""
# What a worker needs of torch where nothing is computed; the real one takes seconds to import.
TORCH = """
from contextlib import nullcontext as inference_mode

def set_num_threads(count):
    pass
"""


def version(folder: Path, work: str) -> Code:
    """Code whose `methods.work` is this text."""
    (folder / "methods").mkdir(parents=True)
    for name, text in (("__init__", ""), ("storage", ""), ("work", work)):
        (folder / "methods" / f"{name}.py").write_text(text)
    (folder / "torch.py").write_text(TORCH)
    return Code(folder.name, folder)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    """4,000 steps; and everything is timed in a few milliseconds."""
    monkeypatch.setattr(duel, "PAIR_S", 0.02)
    monkeypatch.setattr(duel, "BLOCK_S", 0.002)
    (tmp_path / "hot_paths.py").write_text(TABLE)
    return version(tmp_path / "base", BUSY + "STEPS = 4_000\n")


def judged(base: Code, head: Code, tolerance: float = 0.5) -> dict[str, Any]:
    return drive(judge(HotPaths(base, head, base.folder.parent / "hot_paths.py"), tolerance))


def test_a_hot_path_that_takes_three_times_as_long_is_a_regression_and_the_other_passes(
    base: Code, tmp_path: Path
) -> None:
    record = judged(base, version(tmp_path / "head", BUSY + "STEPS = 12_000\n"))
    steady, changed = record["checks"]
    assert record["verdict"] == changed["verdict"] == "regression"
    assert (changed["point"], changed["metric"]) == ("changed", "hot path ms")
    assert 2 < changed["head"] / changed["base"] < 4
    assert steady["verdict"] == "pass"
    console = Console(width=200, record=True)
    console.print(report.terminal(record))
    said = console.export_text()
    assert "regression: Something costs more" in said
    assert said.index("suite  changed  hot path ms") < said.index("suite  steady")
    assert f"{changed['base']:.3f}" in said
    assert 'classname="suite" name="changed: hot path ms"' in report.junit(record)


def test_the_same_code_passes(base: Code, tmp_path: Path) -> None:
    record = judged(base, version(tmp_path / "head", BUSY + "STEPS = 4_000\n"))
    assert record["verdict"] == "pass"
    assert (record["base"], record["head"]) == ("base", "head")
    assert "tolerance 50.0% (given), 4 pairs of fresh processes" in record["latency"]


def test_a_hot_path_that_one_version_cannot_execute_is_an_error_of_one_line_that_names_it(
    base: Code, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^head cannot execute the hot path 'changed': ImportError: .*STEPS"):
        judged(base, version(tmp_path / "head", BUSY))


def test_a_version_that_lacks_what_the_table_imports_is_an_error_of_one_line(base: Code, tmp_path: Path) -> None:
    (tmp_path / "hot_paths.py").write_text("import methods.errors\nHOT_PATHS = {'any': methods.errors.MethodError}\n")
    with pytest.raises(UsageError, match=r"^base lacks what a hot path needs: ModuleNotFoundError: .*methods\.errors"):
        judged(base, base)


def test_without_the_table_of_hot_paths_one_line_says_so(base: Code, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hot paths are timed from a checkout of the suite"):
        HotPaths(base, base, tmp_path / "nowhere.py").subjects()


def test_hot_paths_need_another_commit() -> None:
    with pytest.raises(UsageError, match="--hot-paths compares this code with another commit's"):
        gate(Path("a"), Path("b"), hot_paths=True)


@pytest.mark.parametrize("name", runpy.run_path(str(FILE))["HOT_PATHS"])
def test_every_hot_path_of_the_suite_can_be_executed(name: str) -> None:
    runpy.run_path(str(FILE))["HOT_PATHS"][name]()()
