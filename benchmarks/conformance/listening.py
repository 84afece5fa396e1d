"""Hearing what Python code does beyond computing: audit events of files, processes, sockets and searched memory.

Python tells audit hooks of these whoever does them, and code cannot take a hook away. What C code does by itself, such
as reading a file through a library, is not told.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import benchmarks
import methods
from methods.base import AdjustableModel

EVENTS = frozenset(
    """
    open os.fork os.forkpty os.posix_spawn os.spawn os.exec os.system os.startfile
    subprocess.Popen mmap.__new__ sqlite3.connect urllib.Request ctypes.dlopen
    gc.get_objects gc.get_referrers gc.get_referents
    """.split()  # noqa: SIM905
)
SOCKETS = "socket."
CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib"})
"""Suffixes of files that are opened to import what they hold."""
OURS = tuple(str(Path(module.__file__ or "").parent) for module in (benchmarks, methods))
"""Folders of the suite, whose lists of operators are read when the first operator is counted."""
ANSWERING = ("forward", "execute", "trace", "step")
"""What a model does to answer."""

_ears: list[list[str]] = []
"""The lists that hear at the moment."""


@contextmanager
def listening(heard: list[str]) -> Iterator[None]:
    """Inside, write down what happens, `open /path` for instance; opening files of code is not written down."""
    _listen()
    _ears.append(heard)
    try:
        yield
    finally:
        _ears[:] = [ear for ear in _ears if ear is not heard]  # not by what they heard


@contextmanager
def overheard(method: type[AdjustableModel]) -> Iterator[list[str]]:
    """Inside, what models of this class do beyond computing while they answer is written down, in training as well."""
    heard: list[str] = []
    own = {name: vars(method).get(name) for name in ANSWERING}
    for name in ANSWERING:
        setattr(method, name, _listened(getattr(method, name), heard))
    try:
        yield heard
    finally:
        for name, function in own.items():
            if function is None:
                delattr(method, name)
            else:
                setattr(method, name, function)


def _listened(function: Callable[..., Any], heard: list[str]) -> Callable[..., Any]:
    @wraps(function)
    def inner(*given: Any, **named: Any) -> Any:
        if any(ear is heard for ear in _ears):
            return function(*given, **named)
        with listening(heard):
            return function(*given, **named)

    return inner


def _listen() -> None:
    """Hook in, once a process: audit hooks stay."""
    if _hear not in _HOOKED:
        _HOOKED.append(_hear)
        sys.addaudithook(_hear)


def _hear(event: str, given: tuple[Any, ...]) -> None:
    if not _ears or not (event in EVENTS or event.startswith(SOCKETS)):
        return
    what = str(given[0]) if given and isinstance(given[0], str | bytes | Path) else ""
    if event == "open" and (not what or what.startswith(OURS) or not CODE.isdisjoint(Path(what).suffixes)):
        return
    for ear in _ears:
        ear.append(f"{event} {what}".strip())


_HOOKED: list[Callable[..., None]] = []
