"""The rules of the leaderboard, as data: an identifier, an explanation, and what is looked at.

A broken rule refuses an entry, keeps it from being ranked, or warns of what cannot be looked up here. Numbers that were
invented so that all of them fit together keep every rule: they are found by replaying the weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.leaderboard import apart, cross_checks, judging, privacy, reading, recorded_version, replacing
from benchmarks.leaderboard.entry import FOLDER, Entry, text
from benchmarks.leaderboard.judging import Problems
from benchmarks.leaderboard.registered import Registered, of_board

READABLE = "readable"
"""The rule that has to hold before a file is read at all."""
Breach = Literal["refused", "not ranked", "warned"]
"""What becomes of an entry that breaks a rule."""
Result = Literal["holds", "not judged"] | Breach
Look = Callable[[Entry, "Context"], Problems]


@dataclass(frozen=True)
class Context:
    """What an entry is judged against: registered data sets, the other entries, and where weights lie.

    `replaced`: what a submission would write over; `lost`: what would then compare no more.
    """

    datasets: Mapping[str, Registered]
    others: Sequence[Entry] = ()
    weights: Path = FOLDER / "weights"
    file: str | None = None
    """The name of the entry's file; None before it has one."""
    replaced: Sequence[Entry] = ()
    lost: Sequence[Entry] = ()

    def registered(self, entry: Entry) -> Registered | None:
        """The entry's data set as it was under the version of the split that the entry was made under."""
        known = self.datasets.get(entry.dataset.name)
        return known and known.under(entry.training.split)

    @classmethod
    def of(cls, folder: Path, others: Sequence[Entry], file: str | None = None) -> "Context":
        """That of a folder laid out like reports/leaderboard."""
        return cls(of_board(folder), others, folder / "weights", file)


class Rule(NamedTuple):
    """One rule; `needs`: the rule without which it cannot be judged."""

    name: str
    explanation: str
    look: Look
    breach: Breach = "refused"
    needs: str = ""


class Verdict(NamedTuple):
    """What a rule says of an entry, with the reasons, one line each."""

    rule: Rule
    result: Result
    problems: Sequence[str]


def _recounted(entry: Entry, _: Context) -> Problems:
    from benchmarks.leaderboard.recount import cost_problems  # torch: only here

    return cost_problems(entry)


def _executed(entry: Entry, _: Context) -> Problems:
    from benchmarks.evaluation.execution import sizes  # torch as well

    return judging.executed(entry, sizes(entry.dataset.image_shape[1:]))


def _commanded(entry: Entry, _: Context) -> Problems:
    from benchmarks.leaderboard.asking import problems  # torch: methods parse their settings

    return problems(entry)


def _trained(entry: Entry, _: Context) -> Problems:
    from benchmarks.leaderboard.recount import training_problems

    return training_problems(entry)


def _routers(entry: Entry, _: Context) -> Problems:
    from benchmarks.leaderboard.recount import router_problems

    return router_problems(entry)


def _signals(entry: Entry, _: Context) -> Problems:
    from benchmarks.leaderboard.fit_half import problems  # torch: tables of paths

    return problems(entry)


def _selected(entry: Entry, _: Context) -> Problems:
    from benchmarks.leaderboard.selection import problems

    return problems(entry)


def _twins(entry: Entry, context: Context) -> Problems:
    from benchmarks.leaderboard.twins import problems

    return problems(entry, context.others)


def _origin(entry: Entry, context: Context) -> Problems:
    from benchmarks.leaderboard.origin import problems

    if not all(seed.weights.inline for seed in entry.seeds):
        return []  # a replay looks at weights that lie elsewhere
    return problems(entry, [context.weights / f"{seed.weights.sha256}.safetensors" for seed in entry.seeds])


RULES = (
    Rule(
        READABLE,
        "a file is JSON that all read alike, of a bounded size with its arrays unfolded, and its texts hide nothing",
        lambda e, _: reading.problems(text(e)),
    ),
    Rule(
        "file-name",
        "a file is called <dataset>-<backbone>-<method>-<variant>-p<protocol>-<hash of its content>.json",
        lambda e, c: judging.file_name(e, c.file),
    ),
    Rule(
        "one",
        "there is one entry a method, variant, backbone, data set, protocol and division",
        lambda e, c: judging.alone(e, c.others),
    ),
    Rule(
        "version",
        "versions of the method and the protocol are some that there were, and at its commit they were these",
        lambda e, _: recorded_version.version_problems(e),
    ),
    Rule(
        "environment",
        "the machine is the hash of its parts, device and Python are some that there are, and its commit was there",
        lambda e, _: recorded_version.environment_problems(e),
    ),
    Rule(
        "commit",
        "the program that made it is a commit of this clone, without changes",
        lambda e, _: recorded_version.commit_warnings(e),
        breach="warned",
    ),
    Rule(
        "replace",
        "a submission replaces no entry of more seeds, a higher tier or another recipe, unless it is told to",
        lambda e, c: replacing.problems(e, c.replaced, c.lost),
    ),
    Rule(
        "data",
        "images, splits, classes and how they are read and varied are those of a data set registered in datasets.toml",
        lambda e, c: judging.data(e, c.registered(e)),
    ),
    Rule(
        "labels",
        "test labels and the names of the images are the registered ones, in their order",
        lambda e, c: judging.labels(e, c.registered(e)),
        needs="data",
    ),
    Rule(
        "calibration",
        "what calibrates is the registered part of the training images, and no test image",
        lambda e, c: judging.calibration(e, c.registered(e)),
        needs="data",
    ),
    Rule("answers", "answers, trails and seeds are whole: one an image, a class of the data set", judging.answers),
    Rule(
        "top5",
        "a right answer is among the best five, and of five classes or fewer every label is",
        cross_checks.top5,
        needs="answers",
    ),
    Rule(
        "gap",
        "no answer does better on test images than on calibration images by more than chance and other entries explain",
        lambda e, c: cross_checks.gap(e, c.others),
        needs="answers",
    ),
    Rule(
        "apart",
        "no two seeds agree more than networks that were trained apart do",
        lambda e, c: apart.problems(e, c.others),
        needs="answers",
    ),
    Rule("twins", "no other entry holds the same answers, unless it may share the training", _twins, needs="answers"),
    Rule("points", "a training shows at most 20 operating points, each under its own name", judging.points),
    Rule("routers", "every point is a router that the suite can execute", _routers, needs="answers"),
    Rule(
        "trails",
        "every image took trails that the points' routers allow, alone and together, and ends at an answer",
        judging.trails,
        needs="routers",
    ),
    Rule(
        "chosen",
        "`selected` is what the calibration images choose: nothing is chosen on test images",
        judging.chosen,
        needs="trails",
    ),
    Rule(
        "figures",
        "every figure that is stated is the one that its answers give",
        judging.stated,
        needs="trails",
    ),
    Rule("costs", "work, MACs and sizes are those of the method, counted again untrained", _recounted, needs="answers"),
    Rule(
        "signals",
        "signals that points were chosen on are those of probabilities of so many classes",
        _signals,
        needs="costs",
    ),
    Rule(
        "selection",
        "points and their names are those that the method chooses on the fit half of the calibration images",
        _selected,
        needs="signals",
    ),
    Rule("training", "the MACs of the training are those of its recipe, counted again", _trained, needs="costs"),
    Rule(
        "command",
        "the command, run again, makes this: its method, settings, data, backbone, recipe, seeds and points",
        _commanded,
    ),
    Rule("executed", "a point says executed only where executing it gave what is stated", _executed),
    Rule(
        "closed",
        "in the closed division data, splits, calibration, backbone, recipe, augmentation, precision, number of points "
        "and seeds are those of the plain network's entry, and seeds count from 0",
        lambda e, c: judging.closed(e, c.others),
    ),
    Rule("private", "an entry names no folder, person or secret of its author's machine", privacy.problems),
    Rule(
        "weights",
        "weights beside the entries are at most 5 MB an entry and what their hash says; others have an https address",
        lambda e, c: judging.weights(e, c.weights),
    ),
    Rule(
        "origin",
        "weights beside the entries come from the initial weights of their seed, and no two are of one training",
        _origin,
        needs="weights",
    ),
    Rule(
        "tier",
        "a tier above self-reported has a record of a replay (or retraining) of exactly this content, on public images",
        lambda e, c: judging.tier(e, c.registered(e)),
    ),
    Rule("seeds", "at least three seeds are ranked", judging.seeds, breach="not ranked"),
    Rule(
        "ranked-data",
        "methods are ranked only on data that the suite did not design",
        lambda e, c: judging.ranked_data(e, c.registered(e)),
        breach="not ranked",
    ),
)


def judge(entry: Entry, context: Context) -> list[Verdict]:
    """What every rule says of an entry, in their order."""
    return list(_judged(entry, context))


def refused(verdicts: Sequence[Verdict]) -> bool:
    """Whether any rule refuses the entry."""
    return any(verdict.result == "refused" for verdict in verdicts)


_CANNOT = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RuntimeError, MemoryError)
"""What a stranger's numbers can make of arithmetic, and settings of a method."""


def _judged(entry: Entry, context: Context) -> Iterator[Verdict]:
    broken: set[str] = set()
    for rule in RULES:
        if rule.needs in broken:
            broken.add(rule.name)
            yield Verdict(rule, "not judged", [f"'{rule.needs}' has to hold first"])
            continue
        try:
            problems = list(rule.look(entry, context))
        except _CANNOT as error:
            problems = [f"cannot be judged: {' '.join(str(error).split())}"]
        if problems:
            broken.add(rule.name)
        yield Verdict(rule, rule.breach if problems else "holds", problems)
