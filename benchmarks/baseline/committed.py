"""The committed baseline of exact costs: what it is of, its files, and what differs from it.

One CSV file a backbone, one line a figure, so that a line of a pull request's diff says by itself what became dearer.
Nothing here counts: see `benchmarks.baseline.counting`.
"""

import csv
import io
import tomllib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from benchmarks.config import MethodSpec
from benchmarks.core.errors import UsageError
from benchmarks.core.written import write_text
from benchmarks.store import safe
from methods.registry import entries

FOLDER = Path(__file__).parents[2] / "reports" / "baselines"
HEADER = ["method", "quantity", "output", "value"]
UPDATE = "python -m benchmarks baseline update"


class Subject(NamedTuple):
    """A backbone that costs are counted on, with its classes and the images (c, h, w) it sees."""

    backbone: str
    classes: int
    image_shape: tuple[int, int, int]

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{safe(self.backbone)}.csv"


class Figure(NamedTuple):
    """What one number of a baseline is: `parameters`, `storage_bytes` (statistics of every variant included),
    `distinct_macs` (all distinct work once), or `answer_macs` or `probe_macs` of the `output` of that name."""

    method: str
    quantity: str
    output: str = ""

    def __str__(self) -> str:
        return f"{self.quantity} {self.output}".strip()


Figures = dict[Figure, int]


class Difference(NamedTuple):
    """A figure that is not what was committed; None where it was not there, or is not any more."""

    figure: Figure
    committed: int | None
    counted: int | None


class Settled(NamedTuple):
    """What baselines are of, from baselines.toml and the registry of methods."""

    subjects: tuple[Subject, ...]
    methods: tuple[MethodSpec, ...]


def settled() -> Settled:
    """The backbones, and every method of the suite followed by the variants."""
    table = tomllib.loads(Path(__file__).with_name("baselines.toml").read_text(encoding="utf-8"))
    subjects = (
        Subject(name, row["classes"], (row["image_shape"][0], row["image_shape"][1], row["image_shape"][2]))
        for name, row in table["backbones"].items()
    )
    names = [*entries(), *table["variants"]]
    return Settled(tuple(subjects), tuple(MethodSpec.parse(name) for name in names))


def differences(committed: Mapping[Figure, int], counted: Mapping[Figure, int]) -> list[Difference]:
    """Every figure that differs, appeared or disappeared; those of a method stand together."""
    figures = dict.fromkeys([*committed, *counted])
    place = {method: i for i, method in enumerate(dict.fromkeys(figure.method for figure in figures))}
    found = [Difference(f, committed.get(f), counted.get(f)) for f in figures if committed.get(f) != counted.get(f)]
    return sorted(found, key=lambda difference: place[difference.figure.method])


def lines(differing: Sequence[Difference], refused: Mapping[str, str]) -> list[str]:
    """What differs, for people: a method a paragraph, a figure a line; `refused` says why a method is not counted."""
    text = []
    for method, group in groupby(differing, key=lambda difference: difference.figure.method):
        figures = list(group)
        parameters = next((d for d in figures if d.figure.quantity == "parameters"), None)
        text.append(method)
        if parameters is not None and parameters.committed is None:  # every method has parameters: it is new
            text.append(f"  not in the baseline: {len(figures)} figures")
        elif parameters is not None and parameters.counted is None:
            text.append(f"  not counted any more: {len(figures)} figures; {refused.get(method, 'it is not asked for')}")
        else:
            text.extend(_aligned(figures))
    return text


def _aligned(differing: Sequence[Difference]) -> list[str]:
    rows = [
        (str(d.figure), _number(d.committed), _number(d.counted), _change(d.committed, d.counted)) for d in differing
    ]
    name, old, new = (max(len(row[column]) for row in rows) for column in range(3))
    return [f"  {row[0]:<{name}}  {row[1]:>{old}} -> {row[2]:>{new}}  {row[3]}".rstrip() for row in rows]


def _number(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _change(committed: int | None, counted: int | None) -> str:
    if committed is None or counted is None:
        return "new" if committed is None else "gone"
    if not committed:
        return f"{counted:+,}"
    share = counted / committed - 1
    return f"{counted - committed:+,} ({f'{share:+.2%}' if abs(share) >= 0.5e-4 else 'below 0.01%'})"


def read(path: Path) -> Figures:
    """The figures of a file; UsageError, in one line, if it is missing or is no baseline."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except FileNotFoundError:
        raise UsageError(f"there is no baseline {path}: `{UPDATE}` writes it, commit it") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, str(error)) from None
    if not rows or rows[0] != HEADER:
        raise _unreadable(path, f"it does not begin with {','.join(HEADER)}")
    found: Figures = {}
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(HEADER) or not row[-1].isdecimal():
            raise _unreadable(path, f"line {line} is not a method, a quantity, an output and a whole number")
        figure = Figure(*row[:-1])
        if figure in found:
            raise _unreadable(path, f"line {line} says {figure} of {figure.method} again")
        found[figure] = int(row[-1])
    return found


def write(figures: Mapping[Figure, int], path: Path) -> None:
    """Write a baseline, methods in the order they were counted in."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEADER)
    table.writerows((*figure, value) for figure, value in figures.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def foreign(folder: Path, subjects: Sequence[Subject]) -> list[Path]:
    """Files of `folder` that are of none of these backbones: nothing would ever check them."""
    return sorted(path for path in folder.glob("*.csv") if path.name not in {subject.file for subject in subjects})


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(f"the baseline {path} cannot be read: {reason}; restore it, or write it anew by `{UPDATE}`")
