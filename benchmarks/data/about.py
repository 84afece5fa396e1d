"""What a data set's file says of the data set, read without executing the file."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast

from benchmarks.data.errors import DataError

Value = int | float | str | bool


class Option(TypedDict):
    """A setting of a data set: a keyword of its `load`, given as text by `--set`.

    `minimum` and `maximum` are included, a `pattern` holds for the whole text, `choices` are all there are; without a
    `default` it may be left out, and is None then.
    """

    name: str
    type: Literal["int", "float", "str", "bool"]
    help: str
    default: NotRequired[Value]
    minimum: NotRequired[float]
    maximum: NotRequired[float]
    choices: NotRequired[Sequence[str]]
    pattern: NotRequired[str]


class About(TypedDict):
    """What `list datasets` shows, and how `load` is called.

    `classes`, `size` (height and width in pixels), `train` and `test` (images) are those of the defaults; absent where
    they depend on the images given. `embedded`: there are no files, and so no data root; `download`: files that are
    missing are fetched.
    """

    title: str
    licence: str
    citation: str
    download: bool
    embedded: NotRequired[bool]
    classes: NotRequired[int]
    size: NotRequired[tuple[int, int]]
    train: NotRequired[int]
    test: NotRequired[int]
    options: NotRequired[Sequence[Option]]


def about(path: Path) -> About:
    """Return what a file says of itself in its ABOUT, a literal; the file is not executed, so nothing is imported.

    DataError, one line, where it says nothing, not all that it has to, or what nobody knows.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        (literal,) = (node.value for node in tree.body if isinstance(node, ast.AnnAssign | ast.Assign) and _is(node))
        found = ast.literal_eval(literal) if literal else None
    except SyntaxError as error:
        raise DataError(f"the data set {path}, line {error.lineno}, cannot be read: {error.msg}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{path} does not say what it is: give it one ABOUT = {{...}} of plain values")
    _check(found, About.__required_keys__, About.__optional_keys__, str(path))
    for option in found.get("options", ()):
        _check(option, Option.__required_keys__, Option.__optional_keys__, f"an option of {path}")
    return cast(About, found)


def _is(node: ast.AnnAssign | ast.Assign) -> bool:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    return any(isinstance(target, ast.Name) and target.id == "ABOUT" for target in targets)


def _check(found: Mapping[str, object], needed: frozenset[str], optional: frozenset[str], what: str) -> None:
    """DataError where keys are missing or unknown; what their values are is for the type checker to say."""
    if missing := needed - found.keys():
        raise DataError(f"{what} does not say its {', '.join(sorted(missing))}")
    if unknown := found.keys() - needed - optional:
        raise DataError(f"{what} says {', '.join(sorted(unknown))}: known are {', '.join(sorted(needed | optional))}")
