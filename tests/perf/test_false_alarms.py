"""Checks that judge times or shares raise no false alarm: all built-in methods, RUNS trainings each."""

from pathlib import Path

import pytest

from benchmarks.conformance.subject import Subject
from benchmarks.conformance.suite import CHECKS, configured, guarded
from methods.registry import entries

pytestmark = pytest.mark.perf
RUNS = 20
JUDGED = (
    "cost-is-recorded", "other-operators-few", "time-is-of-operators", "no-cached-answers", "visits-alike",
    "nothing-else-asked",
)  # fmt: skip


@pytest.mark.parametrize("method", entries())
def test_sound_methods_raise_no_alarm(method: str, tmp_path: Path) -> None:
    alarms: dict[str, list[str]] = {name: [] for name in JUDGED}
    for seed in range(RUNS):
        config = configured(method, "resnet8:width=4", {}).model_copy(update={"seeds": (seed,)})
        subject = Subject(config, None, tmp_path / str(seed))
        for name, told in alarms.items():
            finding = guarded(CHECKS[name], subject)
            told += [finding.evidence] * (finding.held is False)
            print(f"{method} {seed} {name}: {finding.evidence}")
    print(f"{method}: " + ", ".join(f"{name} {len(told)} of {RUNS}" for name, told in alarms.items()))
    assert not any(alarms.values())
