"""Methods in a file of the user's: `--plugin FILE.py`.

Every class of the file that derives from AdjustableModel is a method. It says of itself what the registry says of
the suite's own: `title`, `axis` (by what cost is chosen), `decision` ("static" or "per-sample") and `citation`, as
class attributes; `name` is another, the class's name in small letters where it is left out.
"""

import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from methods import userfiles
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.registry import Entry, added, entries, method_class, register

SAID = ("title", "axis", "decision", "citation")
DECISIONS = ("static", "per-sample")


def add(path: Path) -> tuple[Entry, ...]:
    """Make the methods of a file known by name; a file is imported once, and again only where it has changed.

    MethodError, in one line, if it cannot be imported, holds no method, or a method's name is taken.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise MethodError(f"cannot read the plugin {path}: {error.strerror}") from None
    module = _imported(path, source)
    classes = [c for c in vars(module).values() if _is_method(c) and c.__module__ == module.__name__]
    if not classes:
        raise MethodError(f"{path} holds no method: no class of it derives from methods.base.AdjustableModel")
    digest = hashlib.sha256(source).hexdigest()
    try:
        found = tuple(_entry(method, digest) for method in classes)
        register(module.__name__, found)
    except MethodError as error:
        raise MethodError(f"{path}: {error}") from None
    return found


def digest(name: str) -> str:
    """What identifies the source of the method `name` where it is not the suite's own; empty where it is.

    A file given with `--plugin` is one file; of an installed package all files beside the class's count.
    """
    if name in entries():
        return ""
    if name in added():
        return added()[name].digest
    module = sys.modules[method_class(name).__module__]
    return _hash(Path(module.__file__ or ""), bool(module.__package__))


@cache
def _hash(file: Path, package: bool) -> str:
    """Read once a process: a run is what the sources were when it began."""
    files = sorted(file.parent.rglob("*.py")) if package else [file]
    found = hashlib.sha256()
    for path in files:
        found.update(path.relative_to(file.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def _imported(path: Path, source: bytes) -> ModuleType:
    try:
        return userfiles.imported(path, source)
    except (Exception, SystemExit) as error:  # whatever a user's file raises
        line = f", line {error.lineno}," if isinstance(error, SyntaxError) else ""
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise MethodError(f"the plugin {path}{line} cannot be imported: {reason}") from None


def _is_method(found: object) -> TypeGuard[type[AdjustableModel]]:
    is_model = isinstance(found, type) and issubclass(found, AdjustableModel)
    return is_model and not inspect.isabstract(found) and not getattr(found, "__name__", "_").startswith("_")


def _entry(method: type[AdjustableModel], digest: str) -> Entry:
    """What the registry would say; MethodError where the class does not say it."""
    said: dict[str, Any] = {key: getattr(method, key, None) for key in SAID}
    missing = [key for key, text in said.items() if not isinstance(text, str) or not text]
    if missing:
        raise MethodError(f"the class {method.__name__} does not say its {', '.join(missing)}: add class attributes")
    if said["decision"] not in DECISIONS:
        raise MethodError(f"the decision of {method.__name__} is {' or '.join(DECISIONS)}, not '{said['decision']}'")
    name = getattr(method, "name", method.__name__.lower())
    if not (isinstance(name, str) and name.isidentifier()):
        raise MethodError(f"the name of {method.__name__} has to be one word of letters and digits")
    options = tuple(f"{key}={field.default}" for key, field in method.Settings.model_fields.items())
    return Entry(name, f"{method.__module__}:{method.__name__}", options=options, digest=digest, **said)
