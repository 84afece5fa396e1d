"""Python files of the user's, each imported once a process: by its path and by what stands in it.

Imported again, a file's classes would be others than those that are in use, and what it registers, a formula or an
operator, would be registered twice.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_KNOWN: dict[tuple[str, bytes], ModuleType] = {}


def imported(path: Path, source: bytes) -> ModuleType:
    """Return the module that a file's `source` makes: the same for the same contents, another for others.

    It has a name of its own under which `importlib` finds it. Raises whatever the file raises; a failed import leaves
    the one before in place.
    """
    place = str(path.resolve())
    name = f"plugin_{path.stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    known = _KNOWN.get((place, source))
    if known is None:
        known = _KNOWN[place, source] = _run(name, path, source)
    sys.modules[name] = known  # what stood in the file meanwhile may be there
    return known


def _run(name: str, path: Path, source: bytes) -> ModuleType:
    module, before = ModuleType(name), sys.modules.get(name)
    module.__file__ = str(path.absolute())
    sys.modules[name] = module  # before it runs: annotations are looked up here
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise
    return module


@contextmanager
def forgotten() -> Iterator[None]:
    """Inside, no file was imported yet: whoever asks for one gets it anew, with nothing that it read before.

    Afterwards all files are what they were.
    """
    known = dict(_KNOWN)
    names = {module.__name__: sys.modules.pop(module.__name__, None) for module in known.values()}
    _KNOWN.clear()
    try:
        yield
    finally:
        for module in _KNOWN.values():
            sys.modules.pop(module.__name__, None)
        _KNOWN.clear()
        _KNOWN.update(known)
        sys.modules.update({name: module for name, module in names.items() if module is not None})
