"""Which source files a result depends on: a file, and all of the project's that it imports, directly or not.

A changed method repeats its own trainings and nobody else's. Sources are read once a process: a run is what they
were when it began, whatever is edited meanwhile.
"""

import ast
import hashlib
import inspect
from functools import cache
from pathlib import Path

from benchmarks.data import registry
from methods.registry import method_class

ROOT = Path(__file__).parent.parent
ROOMS = ("methods", "benchmarks", "reports")

TRAINING = ("methods/storage.py", "methods/backbones/registry.toml", "benchmarks/training/loop.py")
_OPERATORS = "methods/counting/operators.toml"
TABLE = (*TRAINING, "benchmarks/evaluation/collecting.py")
EXECUTION = (*TABLE, "benchmarks/evaluation/execution.py", "benchmarks/evaluation/second_opinion.py", _OPERATORS)
TIMING = (*EXECUTION, *(f"benchmarks/timing/{part}.py" for part in ("measure", "summary", "composing")))
COUNTING = (
    "methods/cost.py", "benchmarks/evaluation/profiler.py", _OPERATORS, "methods/backbones/__init__.py",
    "methods/backbones/registry.toml",
)  # fmt: skip
"""What kinds of jobs depend on, beside the methods they are about."""


@cache
def contents() -> dict[Path, bytes]:
    """All source files of the project as they were when this was first asked."""
    found = [path for room in ROOMS for pattern in ("*.py", "*.toml") for path in (ROOT / room).rglob(pattern)]
    return {path: path.read_bytes() for path in (*found, *registry.FOLDER.glob("*.py"))}


@cache
def sources(roots: tuple[str, ...], methods: tuple[str, ...] = ()) -> str:
    """One hash over the files `roots` (relative to the project), the files of `methods`, and all they import."""
    return _hash([ROOT / root for root in roots] + [_file_of(method) for method in methods])


@cache
def data_set(name: str) -> str:
    """Return one hash over the file of the data set `name`, which nothing imports, and all that it imports."""
    return _hash([registry.files()[name]])


def source_of(path: Path) -> str:
    """A hash over a Python file of the user's and all that it imports from beside it and from the project."""
    return _hash([path.resolve()])


def _hash(starts: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(_closure(starts)):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
        digest.update(name.as_posix().encode() + b"\0" + _read(path))
    return digest.hexdigest()


def _file_of(method: str) -> Path:
    return Path(inspect.getfile(method_class(method))).resolve()


def _read(path: Path) -> bytes:
    stored = contents().get(path)
    return path.read_bytes() if stored is None else stored


def _closure(starts: list[Path]) -> set[Path]:
    found: set[Path] = set()
    todo = list(starts)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo.extend(_imports(path, _read(path)) if path.suffix == ".py" else ())
    return found


@cache
def _imports(path: Path, source: bytes) -> tuple[Path, ...]:
    """Files of the project that a file imports, wherever in the file; of a user's file also those beside it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    places = (ROOT / module.replace(".", "/") for module in modules if module.partition(".")[0] in ROOMS)
    candidates = (file for place in places for file in (place.with_suffix(".py"), place / "__init__.py"))
    own = [file for file in candidates if file in contents()]
    beside = [path.parent / f"{module}.py" for module in sorted(modules) if path not in contents()]
    return (*own, *(file for file in beside if file.is_file()))
