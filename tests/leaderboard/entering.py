"""A run of seconds with its entries, and ways to change an entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from benchmarks.cli import app
from benchmarks.core.progress import Progress
from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.figures import figures
from benchmarks.leaderboard.packing import pack, unpack
from benchmarks.leaderboard.rules import Context, Verdict, judge
from benchmarks.stored import StoredRun


class Silence:
    def __enter__(self) -> Callable[[Progress], None]:
        return lambda progress: None

    def __exit__(self, *error: object) -> None:
        pass


@dataclass(frozen=True)
class Made:
    """A finished run, its entries by label, and a leaderboard's folder with their weights."""

    run: StoredRun
    entries: Mapping[str, Entry]
    folder: Path

    def judged(self, entry: Entry, file: str | None = None, folder: Path | None = None) -> dict[str, Verdict]:
        """What every rule says of an entry beside the others of the run, by its name."""
        others = [one for one in self.entries.values() if one.label != entry.label]
        found = judge(entry, Context.of(folder or self.folder, others, file))
        return {verdict.rule.name: verdict for verdict in found}

    def broken(self, entry: Entry, **about: Any) -> set[str]:
        """The rules that refuse an entry."""
        return {name for name, verdict in self.judged(entry, **about).items() if verdict.result == "refused"}


def changed(entry: Entry, **parts: Any) -> Entry:
    return entry.model_copy(update=parts)


def one_seed(entry: Entry, **parts: Any) -> Entry:
    """The entry with these parts of its first seed changed."""
    first, *others = entry.seeds
    return changed(entry, seeds=(first.model_copy(update=parts), *others))


def restated(entry: Entry) -> Entry:
    """The entry with the figures that its answers give now: what a careful forger would do."""
    return changed(entry, figures=figures(entry))


def point_changed(entry: Entry, place: int, **parts: Any) -> Entry:
    """The entry with other stated figures of one point."""
    rows = list(entry.figures.points)
    rows[place] = rows[place].model_copy(update=parts)
    return changed(entry, figures=entry.figures.model_copy(update={"points": tuple(rows)}))


def edited(packed: Any, edit: Callable[[Any], Any]) -> Any:
    """A packed array with its values edited."""
    return pack(edit(unpack(packed).copy()))


def cli(*arguments: object) -> Result:
    """A verb of the leaderboard, in this process."""
    return CliRunner().invoke(app, ["leaderboard", *map(str, arguments)], standalone_mode=False)
