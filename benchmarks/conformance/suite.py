"""All checks, and running them on one method."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.config import RunConfig
from benchmarks.conformance import (
    batches,
    costing,
    executing,
    hiding,
    honesty,
    learning,
    randomness,
    replaying,
    solitude,
    state,
    storing,
)
from benchmarks.conformance.subject import Check, Finding, Subject, counted
from benchmarks.core.errors import UsageError
from benchmarks.core.patience import Hung, patience
from benchmarks.plan import prepare
from methods.errors import MethodError

CHECK_MINUTES = 10.0
"""Of a check at most: those of the suite's methods take seconds."""

CHECKS: Mapping[str, Check] = {
    "simulated-is-executed": executing.simulated_is_executed,
    "skipped-work-not-run": executing.skipped_work_is_not_run,
    "cost-is-executed": costing.cost_is_executed,
    "decisions-are-seen": costing.decisions_are_seen,
    "plain-inside": costing.plain_is_inside,
    "order-of-batch": batches.order_does_not_matter,
    "company-in-batch": batches.company_does_not_matter,
    "odd-images": batches.odd_images_work,
    "cost-is-recorded": hiding.costs_are_recorded,
    "other-operators-few": hiding.other_operators_are_few,
    "time-is-of-operators": replaying.time_is_of_operators,
    "there-and-back": state.going_back_restores,
    "nothing-changed": state.executing_changes_nothing,
    "no-cached-answers": state.answers_are_not_cached,
    "visits-alike": state.visits_are_alike,
    "nothing-else-asked": solitude.nothing_else_is_asked,
    "test-split-untouched": honesty.test_split_is_untouched,
    "same-seed-same-model": randomness.same_seed_same_model,
    "global-random-untouched": randomness.global_random_numbers_are_untouched,
    "stored-and-loaded": storing.storing_keeps_everything,
    "points-are-data": storing.points_are_data,
    "everything-learns": learning.everything_learns,
}
"""By identifier; what a check means is the first line of its docstring."""


@dataclass(frozen=True)
class Verdict:
    """What one check found. `meaning`: the rule, in a sentence."""

    name: str
    meaning: str
    finding: Finding


def checked(name: str, backbone: str, settings: Mapping[str, str], file: Path | None = None) -> list[Verdict]:
    """Train the method for a moment, on handwritten digits of 8 x 8 pixels, and do all checks.

    `file`: the plugin that the method is in, which has been added. If it cannot be trained, that is all there is
    to say. UsageError or MethodError, one line, for what the user has to change before anything is trained.
    """
    config = configured(name, backbone, settings)
    with TemporaryDirectory() as folder:
        try:
            prepare(config)
        except (UsageError, MethodError):
            raise
        except (Exception, Hung) as error:  # whatever a method raises
            return [_ran(Finding(False, explained(error, file)))]
        try:
            subject = Subject(config, file, Path(folder))
        except Exception as error:
            return [_ran(Finding(False, explained(error, file)))]
        points = f"{counted(len(subject.points), 'operating point')}, {counted(len(subject.table.answers), 'answer')}"
        verdicts = [_ran(Finding(True, points))]
        for identifier, check in CHECKS.items():
            verdicts.append(Verdict(identifier, _meaning(check), guarded(check, subject)))
    return verdicts


def configured(name: str, backbone: str, settings: Mapping[str, str]) -> RunConfig:
    """The run that is examined."""
    owner = name.partition(":")[0]
    return RunConfig(
        methods=(name,), set={f"{owner}.{key}": value for key, value in settings.items()}, backbone=backbone,
        dataset="digits", epochs=2, points=8, latency="off", threads=1, device="cpu",
    )  # fmt: skip


def _ran(finding: Finding) -> Verdict:
    return Verdict("trains", "A run of the suite trains it, collects its tables and chooses its points.", finding)


def _meaning(check: Check) -> str:
    return (check.__doc__ or "").partition("\n")[0]


def guarded(check: Check, subject: Subject) -> Finding:
    """What the check finds; a method that raises or hangs does not keep the rule."""
    try:
        with patience(CHECK_MINUTES):
            return check(subject)
    except Exception as error:  # whatever a method raises
        return Finding(False, explained(error, subject.file))


def explained(error: BaseException, file: Path | None) -> str:
    """One line: the error, and where in the user's file it arose."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if file is not None and Path(frame.filename).resolve() == file.resolve()]
    return f"{text} ({file}, line {lines[-1]})" if lines else text
