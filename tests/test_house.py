"""How the house is built: imports point one way, files stay short, and answering `--help` needs no torch."""

import ast
import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("benchmarks", "methods", "datasets", "reports")
FILES = sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py"))
MAY_IMPORT = {
    "methods": ["methods"],
    "datasets": ["benchmarks.data"],
    "benchmarks": ["benchmarks", "methods", "reports"],
    "benchmarks/data": ["benchmarks.data", "methods.pixels", "methods.userfiles"],
    "reports": ["reports", "benchmarks"],
}
"""Nothing imports `datasets`: it holds files that are loaded by their paths, and the name is another package's."""
BELOW = {
    "benchmarks/core": (),
    "benchmarks/stats": (),
    "benchmarks/data": (),
    "benchmarks/training": ("benchmarks.core", "benchmarks.data"),
    "benchmarks/evaluation": ("benchmarks.core", "benchmarks.stats", "benchmarks.data"),
    "reports/data": (),
    "reports/figures": ("reports.data",),
    "reports/html": ("reports.data", "reports.figures"),
    "reports/paper": ("reports.data",),
    "reports/console": ("reports.data",),
}
"""Rooms, and which others of the same folder each may use; the machinery of runs uses all of the harness's."""
PURE = {
    "benchmarks.stats.frontier",
    "benchmarks.core.received",
    "benchmarks.runrecord",
    "benchmarks.stats.inference",
    "benchmarks.leaderboard.standing",
    "benchmarks.core.written",
}
"""What reports may use of the harness."""
VERBS = (
    "run", "report", "analyse", "claims", "scales", "check-method", "baseline", "time", "pick", "cite", "gate",
    "leaderboard",
)  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(HOUSE))


@cache
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


def test_imports_point_one_way() -> None:
    for room, allowed in MAY_IMPORT.items():
        found = {(name(p), m) for p in FILES if p.is_relative_to(HOUSE / room) for m in imported(p)}
        ours = {(file, module) for file, module in found if module.partition(".")[0] in ROOMS}
        assert ours
        assert not {(f, m) for f, m in ours if not any(m == one or m.startswith(f"{one}.") for one in allowed)}


@pytest.mark.parametrize(("room", "below"), BELOW.items())
def test_imports_between_rooms_point_down(room: str, below: tuple[str, ...]) -> None:
    folder = f"{room.partition('/')[0]}."
    found = {(name(path), module) for path in (HOUSE / room).rglob("*.py") for module in imported(path)}
    assert found
    assert not {(p, m) for p, m in found if m.startswith(folder) and not m.startswith((room.replace("/", "."), *below))}


def test_data_sets_are_files_and_no_package() -> None:
    kept = [path for path in (HOUSE / "datasets").rglob("*") if "__pycache__" not in path.parts]
    assert {path.suffix for path in kept} == {".py"}
    assert not [path for path in kept if path.name == "__init__.py"]


def test_every_file_is_type_checked() -> None:
    config = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    checked = {path for pattern in config["files"] for path in HOUSE.glob(pattern)}
    assert not [name(path) for path in FILES if not checked & {path, *path.parents}]


def test_reports_read_records_and_use_pure_functions_only() -> None:
    found = {
        (name(path), module) for path in FILES if path.is_relative_to(HOUSE / "reports") for module in imported(path)
    }
    impure = ("torch", "torchvision", "benchmarks")
    assert not {(file, module) for file, module in found if module.partition(".")[0] in impure and module not in PURE}


def test_only_the_command_line_calls_the_reports() -> None:
    callers = {name(p) for p in FILES if "benchmarks" in p.parts and any(m.startswith("reports") for m in imported(p))}
    assert all(caller.startswith("benchmarks/cli/") for caller in callers)


def test_no_file_is_longer_than_400_lines() -> None:
    assert not [name(path) for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > 400]


def ran(lines: list[list[str]]) -> dict[str, tuple[str, set[str]]]:
    """What each command line prints, and the modules imported until it ended: one process, one line after another."""
    code = f"""
import contextlib, io, json, runpy, sys
found = dict()
for line in {lines!r}:
    sys.argv = ["benchmarks", *line]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            runpy.run_module("benchmarks", run_name="__main__")
        except SystemExit as end:
            assert not end.code, (line, end.code)
    found[" ".join(line)] = printed.getvalue(), list(sys.modules)
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {line: (printed, set(modules)) for line, (printed, modules) in json.loads(done.stdout).items()}


def test_help_and_lists_answer_without_importing_torch() -> None:
    lists = [["list", what] for what in ("methods", "backbones", "datasets", "recipes")]
    said = ran([[], ["--help"], *([verb, "--help"] for verb in VERBS), *lists])
    dear = {"torch", "torchvision", "pandas", "scipy", "sklearn", "altair", "numpy", "PIL"}
    assert not [line for line, (printed, _) in said.items() if len(printed.splitlines()) <= 3]
    assert not {line: dear & modules for line, (_, modules) in said.items() if dear & modules}


def test_pure_functions_that_reports_use_import_no_torch() -> None:
    code = f"import sys, reports.data.tables, {', '.join(sorted(PURE))}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, timeout=60, check=False).returncode == 0


def test_names_and_configurations_are_read_without_torch() -> None:
    code = (
        "import sys, benchmarks.data.base, methods.registry, benchmarks.config, benchmarks.training.recipes;"
        "methods.registry.entries(); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, timeout=60, check=False).returncode == 0


def test_backends_are_named_without_torch_and_what_only_some_runs_need_is_not_imported_with_it() -> None:
    code = (
        "import sys, benchmarks.backends\nassert 'torch' not in sys.modules\n"
        "import benchmarks.backends.preparing, methods.learning\nprint(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=True, timeout=60)
    assert not {"torchvision", "onnx", "onnxruntime", "onnxscript", "torch._inductor", "sklearn"} & {
        *done.stdout.split()
    }


def test_where_nothing_is_installed_one_line_says_what_to_do() -> None:
    bare = [sys.executable, "-S", "-m", "benchmarks", "--help"]  # -S: without what is installed
    done = subprocess.run(bare, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "error: typer is not installed: run `python -m pip install -e .` in this folder\n"
