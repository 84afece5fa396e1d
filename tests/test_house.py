"""How the house is built: imports point one way, files stay short, and answering `--help` needs no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("benchmarks", "methods", "datasets", "reports")
FILES = sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py"))
MAY_IMPORT = {
    "methods": {"methods"},
    "datasets": {"datasets"},
    "benchmarks": {"benchmarks", "methods", "datasets", "reports"},
    "reports": {"reports", "benchmarks"},
}
PURE = {"benchmarks.frontier", "benchmarks.statistics", "benchmarks.leaderboard.standing"}
"""What reports may use of the harness."""
VERBS = (
    "run", "report", "analyse", "claims", "scales", "check-method", "baseline", "time", "pick", "cite", "leaderboard",
)  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def imported(path: Path) -> set[str]:
    """Full names of the modules a file imports, wherever in the file; relative ones resolved."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.relative_to(HOUSE).parts
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            submodules = {f"{module}.{alias.name}" for alias in node.names} if module in ROOMS else set()
            found |= {module} | {m for m in submodules if (HOUSE / m.replace(".", "/")).with_suffix(".py").exists()}
    return found


def test_there_is_a_house() -> None:
    assert {path.relative_to(HOUSE).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(HOUSE).parts[0]
    rooms = {module.partition(".")[0] for module in imported(path)} & set(ROOMS)
    assert rooms <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", [p for p in FILES if "reports" in p.parts], ids=name)
def test_reports_read_records_and_use_pure_functions_only(path: Path) -> None:
    modules = imported(path)
    assert not {m for m in modules if m.partition(".")[0] in ("torch", "torchvision")}
    assert {m for m in modules if m.partition(".")[0] == "benchmarks"} <= PURE


def test_only_the_command_line_calls_the_reports() -> None:
    callers = {name(p) for p in FILES if "benchmarks" in p.parts and any(m.startswith("reports") for m in imported(p))}
    assert all(caller.startswith("benchmarks/cli/") for caller in callers)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def ran(arguments: list[str]) -> tuple[str, set[str]]:
    """What the command prints, and all modules it imported."""
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['benchmarks', *{arguments!r}]\n"
        "try:\n    runpy.run_module('benchmarks', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "finally:\n    print('\\nMODULES', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    printed, _, modules = done.stdout.rpartition("MODULES")
    return printed, set(modules.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([verb, "--help"] for verb in VERBS),
        *(["list", what] for what in ("methods", "backbones", "datasets", "recipes")),
    ],
    ids=" ".join,
)
def test_help_and_lists_answer_without_importing_torch(arguments: list[str]) -> None:
    printed, modules = ran(arguments)
    assert len(printed.splitlines()) > 3
    assert not {"torch", "torchvision", "pandas", "scipy", "sklearn", "altair"} & modules


def test_pure_functions_that_reports_use_import_no_torch() -> None:
    code = f"import sys, reports.tables, {', '.join(sorted(PURE))}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, timeout=60, check=False).returncode == 0


def test_names_and_configurations_are_read_without_torch() -> None:
    code = (
        "import sys, datasets, methods.registry, benchmarks.config, benchmarks.recipes;"
        "methods.registry.entries(); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, timeout=60, check=False).returncode == 0


def test_where_nothing_is_installed_one_line_says_what_to_do() -> None:
    bare = [sys.executable, "-S", "-m", "benchmarks", "--help"]  # -S: without what is installed
    done = subprocess.run(bare, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "error: typer is not installed: run `python -m pip install -e .` in this folder\n"
