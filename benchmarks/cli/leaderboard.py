"""`leaderboard`: make entries, judge them, replay them, and build the board from them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.core.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.data.base import DataSet
    from benchmarks.leaderboard.entry import Entry, Replay
    from benchmarks.leaderboard.registered import Registered
    from benchmarks.leaderboard.rules import Verdict

HELP = "Enter a finished run into the leaderboard, check entries, replay them from their weights, build the board."
BOARD = Path("reports") / "leaderboard"
VEGA = "vega.js"
"""The page's drawing library, beside it: it is large, and changes only with its own version."""

app = typer.Typer(help=HELP, invoke_without_command=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _help_if_nothing_is_asked(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


class Division(StrEnum):
    """closed: trained as the plain network of the board was; open: anything else."""

    closed = "closed"
    open = "open"


Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
EntryFile = Annotated[Path, typer.Argument(metavar="ENTRY", help="File of an entry.")]
Files = Annotated[list[Path] | None, typer.Argument(help="Files of entries, or folders of them; all by default.")]
Folder = Annotated[Path, typer.Option("--output", help="The leaderboard's folder: entries, weights, data sets.")]
Methods = Annotated[str, typer.Option(help="Of these methods only, as the run names them; all by default.")]
Tuning = Annotated[str, typer.Option(help="What was tuned, on what, and how often: one line, shown on the board.")]
Published = Annotated[
    str,
    typer.Option(
        "--weights",
        help="inline: beside the entry, where they are at most 5 MB; none; or the https address of the folder where "
        "you publish them as <sha256>.safetensors.",
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Also in place of an entry with more seeds, a higher tier or "
                                       "another recipe.")]  # fmt: skip
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data, if the run had one.")]
WithRun = Annotated[Path | None, typer.Option("--run", help="The run that has the weights.")]
Again = Annotated[Path, typer.Option("--run", help="Your own run of the entry's command.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing: exit status 1 if a file is not up to date.")]


@app.command("submit")
def submit(
    run: Run,
    methods: Methods = "",
    division: Division = Division.closed,
    tuning: Tuning = "none: settings as published",
    weights: Published = "inline",
    replace: Replace = False,
    folder: Folder = BOARD,
) -> int:
    """Bundle a finished run into entries, judge them by every rule, and write those that are not refused."""
    import tempfile

    from benchmarks import stored
    from benchmarks.leaderboard import shelf
    from benchmarks.leaderboard.bundle import INLINED, UNPUBLISHED, bundle
    from benchmarks.leaderboard.replacing import lost
    from benchmarks.leaderboard.rules import refused

    if weights not in (INLINED, UNPUBLISHED) and not weights.startswith("https://"):
        raise UsageError(f"--weights {weights}: inline, none, or an address that begins with https://")
    finished = stored.read(run)
    made = bundle(finished, [label for label in methods.split(",") if label], division.value, tuning, weights)
    before = shelf.entries(folder)
    with tempfile.TemporaryDirectory() as place:
        shelf.lay(made, finished, Path(place))
        verdicts = _submitted(made, before, folder, Path(place), replace)
        _show(verdicts)
        fine = [entry for entry in made if not refused(verdicts[entry.label])]
        written = [shelf.put(entry, Path(place), folder) for entry in fine]
    for path in written:
        print(path)
    for entry in lost(before, fine):
        print(f"does not compare any more: {entry.file}")
    _what_next(fine, len(made) - len(fine))
    return 1 if len(fine) < len(made) else 0


def _submitted(
    made: "Sequence[Entry]", before: "Sequence[Entry]", folder: Path, laid: Path, replace: bool
) -> "dict[str, Sequence[Verdict]]":
    """What every rule says of new entries beside those that stay and each other, by label."""
    from benchmarks.leaderboard.replacing import lost
    from benchmarks.leaderboard.rules import Context, judge

    stay = [entry for entry in before if all(entry.about != one.about for one in made)]
    replaced = [] if replace else [entry for entry in before if entry not in stay]
    fewer = [] if replace else lost(before, made)
    found: dict[str, Sequence[Verdict]] = {}
    for entry in made:
        context = Context.of(folder, [*stay, *(one for one in made if one is not entry)])
        found[entry.label] = judge(entry, dataclasses.replace(context, weights=laid, replaced=replaced, lost=fewer))
    return found


@app.command("check")
def check(files: Files = None, folder: Folder = BOARD) -> int:
    """Judge entries by every rule; exit status 1 if any is refused."""
    from benchmarks.leaderboard import shelf
    from benchmarks.leaderboard.entry import read
    from benchmarks.leaderboard.rules import READABLE, Context, judge, refused

    found: dict[Path, Entry] = {}
    unreadable = []
    own = shelf.own(folder)
    asked = {path.resolve() for path in shelf.files(files)} if files else {path.resolve() for path in own}
    for path in {path.resolve() for path in own} | asked:
        try:
            found[path] = read(path)
        except UsageError as error:
            unreadable += [f"{READABLE}: {error}"] if path in asked else []
    verdicts = {}
    for path in sorted(asked & found.keys()):
        others = [entry for other, entry in found.items() if other != path]
        verdicts[path.name] = judge(found[path], Context.of(folder, others, path.name))
    _show(verdicts)
    bad = [name for name, said in verdicts.items() if refused(said)]
    print(f"entries: {len(asked)}, refused: {len(bad) + len(unreadable)}", *bad, *sorted(unreadable), sep="\n  ")
    return 1 if bad or unreadable else 0


@app.command("build")
def build(check: Check = False, folder: Folder = BOARD) -> int:
    """Make README.md, leaderboard.csv, .json, .tex and index.html from the entries."""
    from benchmarks.core.written import write_text
    from benchmarks.leaderboard import shelf
    from benchmarks.leaderboard.registered import of_board
    from benchmarks.leaderboard.standing import standings
    from methods.registry import entries as methods
    from reports.html import render
    from reports.paper import board

    datasets = of_board(folder)
    entries = shelf.entries(folder)
    versions = {name: method.version for name, method in methods().items()}
    boards = standings(entries, datasets, versions)
    titles = {name: f"{one.title}; {one.reason}" for name, one in datasets.items()}
    texts = {
        "README.md": board.as_markdown(boards, titles), "leaderboard.csv": board.as_csv(boards),
        "leaderboard.json": board.as_json(boards), "leaderboard.tex": board.as_latex(boards),
    }  # fmt: skip
    if entries:
        links = {line.file.removesuffix(".json"): f"entries/{line.file}" for own in boards.values() for line in own}
        texts["index.html"] = render.page(board.runs(boards), "Leaderboard", board.FACTS, links, VEGA, of="entries")
        if not (folder / VEGA).exists() and not check:
            write_text(folder / VEGA, render.vega_script())
    old = [name for name, text in texts.items() if _content(folder / name) != text]
    for name in old:
        if not check:
            write_text(folder / name, texts[name])
    if check and old:
        print(f"not up to date: {', '.join(old)}; commit what `python -m benchmarks leaderboard build` writes")
        return 1
    print(f"{folder}: {len(entries)} entries; {'written: ' + ', '.join(old) if old else 'all is up to date'}")
    return 0


@app.command("replay")
def replay(entry: EntryFile, run: WithRun = None, data_root: DataRoot = None, folder: Folder = BOARD) -> int:
    """Execute an entry's weights on the images; where all agrees, raise its tier to reproduced."""
    import torch

    from benchmarks.core.environment import describe
    from benchmarks.leaderboard import replay as again
    from benchmarks.leaderboard.entry import read
    from benchmarks.leaderboard.registered import of_board

    found = read(entry)
    folders = [folder / "weights", *([run / "models"] if run else [])]
    paths = again.weights_of(found, folders)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    environment = describe(device)
    results = []
    for name, result in again.replay(found, paths, _images(found, data_root), device):
        results.append(result)
        print(f"{name}: {result.compared:,} decisions compared, {result.different} differ within rounding")
    total = again.Replayed(
        sum(one.compared for one in results), sum(one.different for one in results),
        tuple(dict.fromkeys(line for one in results for line in one.problems)),
    )  # fmt: skip
    if total.problems:
        print("does not agree:", *total.problems, sep="\n  ")
        return 1
    return _raised(found, total.record(found, environment), entry, of_board(folder))


@app.command("verify")
def verify(entry: EntryFile, run: Again, folder: Folder = BOARD) -> int:
    """Compare a reproduced entry with the same training of somebody else; where it bears it out, it is verified."""
    from benchmarks import stored
    from benchmarks.leaderboard import verification
    from benchmarks.leaderboard.bundle import UNPUBLISHED, bundle
    from benchmarks.leaderboard.entry import read
    from benchmarks.leaderboard.registered import of_board

    found = read(entry)
    (other,) = bundle(stored.read(run), [found.label], found.division, "", UNPUBLISHED)
    problems = verification.problems(found, other)
    if problems:
        print("does not bear it out:", *problems, sep="\n  ")
        return 1
    record = verification.record(found, other)
    print(f"{record.compared} figures lie within the scatter of the entry's {len(found.seeds)} seeds")
    return _raised(found, record, entry, of_board(folder))


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _images(entry: "Entry", root: Path | None) -> "DataSet":
    """The images an entry is about; where they lay in a folder, the folder has to be named."""
    import benchmarks.data

    if entry.dataset.rooted and root is None:
        raise UsageError(f"the images of {entry.dataset.name} came from a folder: name it with --data-root")
    return benchmarks.data.load(entry.dataset.source, root, entry.dataset.settings)


def _raised(entry: "Entry", record: "Replay", path: Path, known: "Mapping[str, Registered]") -> int:
    """Write the entry with the record, in the tier that it may have."""
    from benchmarks.core.written import write_text
    from benchmarks.leaderboard.entry import text
    from benchmarks.leaderboard.judging import tier

    kept = tuple(one for one in entry.replays if one.kind != record.kind)
    replayed = entry.model_copy(update={"replays": (*kept, record)})
    again = any(one.kind == "retraining" and one.content == entry.digest for one in replayed.replays)
    raised = replayed.model_copy(update={"tier": "verified" if again else "reproduced"})
    problems = tier(raised, known.get(entry.dataset.name))
    write_text(path, text(replayed if problems else raised))
    print(path, *(f"stays {entry.tier}: {line}" for line in problems), sep="\n")
    print("tier:", (replayed if problems else raised).tier)
    return 0


def _show(verdicts: "Mapping[str, Sequence[Verdict]]") -> None:
    """A line a rule, with the entries that break it; then why."""
    from rich.console import Console
    from rich.table import Table

    if not verdicts:
        return
    table = Table("rule", "verdict", "what it asks", box=None, pad_edge=False)
    reasons = []
    for said in zip(*verdicts.values(), strict=True):
        rule = said[0].rule
        counts = Counter(verdict.result for verdict in said)
        table.add_row(rule.name, ", ".join(_count(counts, result) for result in counts), rule.explanation)
        for name, verdict in zip(verdicts, said, strict=True):
            if verdict.result != "not judged":
                reasons += [f"{rule.name}: {name}: {line}" for line in verdict.problems]
    Console().print(table, "")
    for line in reasons:
        print(line)


def _count(counts: "Mapping[str, int]", result: str) -> str:
    """`holds`, or `3 refused` where entries differ."""
    return result if len(counts) == 1 else f"{counts[result]} {result}"


def _what_next(fine: "Sequence[Entry]", refused: int) -> None:
    """What an author does with entries that keep the rules, and with those that do not."""
    if refused:
        print(f"refused: {refused}; nothing was written of these: the lines above say what to change")
    if not fine:
        return
    without = [e for e in fine if not all(seed.weights.inline or seed.weights.address for seed in e.seeds)]
    if without:
        print(f"without weights, so nobody can replay them: {', '.join(e.label for e in without)}; see --weights")
    print("next: `python -m benchmarks leaderboard build`, commit reports/leaderboard, and open a pull request")
