"""The rules of the leaderboard, as data: an identifier, an explanation, and what is looked at.

A broken rule refuses an entry, or only keeps it from being ranked. What no rule can see is said in `answers`: numbers
that were invented consistently are found by replaying the weights, and by nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.leaderboard import judging, privacy, reading
from benchmarks.leaderboard.entry import FOLDER, Entry, text
from benchmarks.leaderboard.judging import Problems
from benchmarks.leaderboard.registered import Registered, registered

READABLE = "readable"
"""The rule that has to hold before a file is read at all."""
Result = Literal["holds", "refused", "not ranked", "not judged"]
Look = Callable[[Entry, "Context"], Problems]


@dataclass(frozen=True)
class Context:
    """What an entry is judged against: registered data sets, the other entries, and where weights lie."""

    datasets: Mapping[str, Registered]
    others: Sequence[Entry] = ()
    weights: Path = FOLDER / "weights"
    file: str | None = None
    """The name of the entry's file; None before it has one."""

    @classmethod
    def of(cls, folder: Path, others: Sequence[Entry], file: str | None = None) -> "Context":
        """That of a folder laid out like reports/leaderboard."""
        return cls(registered(folder / "datasets.toml"), others, folder / "weights", file)


class Rule(NamedTuple):
    """One rule; `needs`: the rule without which it cannot be judged."""

    name: str
    explanation: str
    look: Look
    refuses: bool = True
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
    from benchmarks.execution import sizes  # torch as well

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
        "data",
        "images, splits, classes and how they are read are those of a data set registered in datasets.toml",
        lambda e, c: judging.data(e, c.datasets.get(e.dataset.name)),
    ),
    Rule(
        "labels",
        "test labels and the names of the images are the registered ones, in their order",
        lambda e, c: judging.labels(e, c.datasets.get(e.dataset.name)),
        needs="data",
    ),
    Rule(
        "calibration",
        "what calibrates is the registered part of the training images, and no test image",
        lambda e, c: judging.calibration(e, c.datasets.get(e.dataset.name)),
        needs="data",
    ),
    Rule("answers", "answers, trails and seeds are whole: one an image, a class of the data set", judging.answers),
    Rule("points", "a training shows at most 20 operating points, each under its own name", judging.points),
    Rule("routers", "every point is a router that the suite can execute", _routers, needs="answers"),
    Rule(
        "trails",
        "every image took a trail that the point's router allows, and ends at an answer",
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
    Rule("training", "the MACs of the training are those of its recipe, counted again", _trained, needs="costs"),
    Rule(
        "command",
        "the command, run again, makes this: its method, settings, data, backbone, recipe, seeds and points",
        _commanded,
    ),
    Rule("executed", "a point says executed only where executing it gave what is stated", _executed),
    Rule(
        "closed",
        "in the closed division data, splits, calibration, backbone, recipe, augmentation, precision and seeds are "
        "those of the plain network's entry",
        lambda e, c: judging.closed(e, c.others),
    ),
    Rule("private", "an entry names no folder, person or secret of its author's machine", privacy.problems),
    Rule(
        "weights",
        "weights beside the entries are at most 5 MB an entry and what their hash says; others have an https address",
        lambda e, c: judging.weights(e, c.weights),
    ),
    Rule(
        "tier",
        "a tier above self-reported has a record of a replay (or retraining) of exactly this content, on public images",
        lambda e, c: judging.tier(e, c.datasets.get(e.dataset.name)),
    ),
    Rule("seeds", "at least three seeds are ranked", judging.seeds, refuses=False),
    Rule(
        "ranked-data",
        "methods are ranked only on data that the suite did not design",
        lambda e, c: judging.ranked_data(e, c.datasets.get(e.dataset.name)),
        refuses=False,
    ),
)


def judge(entry: Entry, context: Context) -> list[Verdict]:
    """What every rule says of an entry, in their order."""
    return list(_judged(entry, context))


def refused(verdicts: Sequence[Verdict]) -> bool:
    """Whether any rule refuses the entry."""
    return any(verdict.result == "refused" for verdict in verdicts)


def _judged(entry: Entry, context: Context) -> Iterator[Verdict]:
    broken: set[str] = set()
    for rule in RULES:
        if rule.needs in broken:
            broken.add(rule.name)
            yield Verdict(rule, "not judged", [f"'{rule.needs}' has to hold first"])
            continue
        try:
            problems = list(rule.look(entry, context))
        except (
            ValueError,
            LookupError,
            TypeError,
            ArithmeticError,
            AttributeError,
            RuntimeError,
            MemoryError,
        ) as error:  # what a stranger's numbers can make of arithmetic
            problems = [f"cannot be judged: {' '.join(str(error).split())}"]
        if problems:
            broken.add(rule.name)
        yield Verdict(rule, "holds" if not problems else "refused" if rule.refuses else "not ranked", problems)
