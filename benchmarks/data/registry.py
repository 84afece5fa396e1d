"""The data sets by name: one file each in the folder `datasets/`, loaded by its path.

The folder is no package: Hugging Face's `datasets` can be installed and imported beside the suite.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from benchmarks.data.about import about
from benchmarks.data.errors import DataError
from benchmarks.data.settings import nearest, typed
from methods.userfiles import imported

if TYPE_CHECKING:
    from benchmarks.data.base import DataSet

_HOUSE = Path(__file__).parents[2]
_INSTALLED = Path(sysconfig.get_path("data"), "share", "cost-adjustable-inference")
FOLDER = (_HOUSE if (_HOUSE / "pyproject.toml").is_file() else _INSTALLED) / "datasets"
"""Where the files are: in the checkout that this file is of, or where an installation without one puts them."""
_NONE: Mapping[str, str] = MappingProxyType({})


def files() -> dict[str, Path]:
    """Return the file of every data set by its name, which is the file's with dashes for underscores.

    DataError where there are none.
    """
    found = {path.stem.replace("_", "-"): path for path in sorted(FOLDER.glob("*.py"))}
    if not found:
        raise DataError(f"{FOLDER} holds no data sets: run from a checkout of the suite, or install it again")
    return found


def module(name: str) -> ModuleType:
    """Return the module that the file of the data set `name` makes: one a file, imported once a process.

    DataError where there is none of that name, or it cannot be imported.
    """
    return _imported(_file(name).resolve())


def load(name: str, root: Path | None = None, settings: Mapping[str, str] = _NONE) -> DataSet:
    """Return the data set `name`, in memory or streamed.

    `root` is the folder that files are read from or downloaded to, for the data sets that have files;
    `settings` are the options that its file says it has, as text. Raises DataError, one line, for all that is wrong
    with the name, the settings or the files.
    """
    from benchmarks.data.base import DataSet  # with numpy and Pillow, which nobody needs who only asks for names

    said = about(_file(name))
    if root is not None and said.get("embedded"):
        raise DataError(f"{name} needs no --data-root: leave it out")
    keywords = typed(name, said.get("options", ()), settings)
    data = module(name).load(root and Path(root).expanduser(), **keywords)
    assert isinstance(data, DataSet)
    return data


def _file(name: str) -> Path:
    known = files()
    if name not in known:
        raise DataError(f"no data set is called {name!r}{nearest(name, known)}")
    return known[name]


@cache  # as well as by `imported`, which a conformance check has forget the user's files
def _imported(path: Path) -> ModuleType:
    try:
        found = imported(path, path.read_bytes())
    except (Exception, SystemExit) as error:  # whatever the file raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise DataError(f"the data set {path} cannot be imported: {reason}") from error
    if not callable(vars(found).get("load")):
        raise DataError(f"the data set {path} defines no function `load`")
    return found
