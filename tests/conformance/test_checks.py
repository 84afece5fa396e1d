"""Every fault is caught by the check that is there for it, and a sound method passes."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

import benchmarks.data
from benchmarks.config import RunConfig
from benchmarks.conformance import suite
from benchmarks.conformance.generators import seeded
from benchmarks.conformance.poison import poisoned
from benchmarks.conformance.subject import Subject
from benchmarks.conformance.suite import CHECKS, checked, configured, guarded
from benchmarks.data.registry import module
from benchmarks.evaluation.profiler import records_all_threads
from methods import plugins
from methods.registry import entries

FILES = [Path(__file__).with_name(name) for name in ("faults.py", "cheats.py", "knowing.py", "mutants.py")]
INVENTIONS = Path(__file__).parents[1] / "methods" / "inventions.py"
FAULTS = FILES[0]
TINY, GATED = "resnet8:width=2", "resnet14:width=2"
Examined = Callable[[str], Subject]


def brief(name: str, backbone: str = TINY, settings: Mapping[str, str] = MappingProxyType({})) -> RunConfig:
    """An examination of one epoch and four points; those of the documentation's example are as long as a user's."""
    return configured(name, backbone, settings).model_copy(update={"epochs": 1, "points": 4})


def few_digits() -> Any:
    """A third of the digits, taken where they come from: below every door that a method could look for them at."""
    all_of_them = load_digits()
    return Bunch(images=all_of_them.images[::3], target=all_of_them.target[::3])


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "configured", brief)
        patched.setattr("sklearn.datasets.load_digits", few_digits)
        yield


@pytest.fixture(scope="module", autouse=True)
def files() -> dict[str, Path]:
    """Where the wrong methods are, by name."""
    return {entry.name: file for file in FILES for entry in plugins.add(file)}


@pytest.fixture(scope="module")
def examined(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Examined:
    """A wrong method, trained for a moment, once for all checks: they leave it as it was."""

    def subject(name: str) -> Subject:
        backbone = GATED if files[name].name == "mutants.py" else TINY
        return Subject(brief(name, backbone), files[name], tmp_path_factory.mktemp(name))

    return cache(subject)


@pytest.mark.parametrize(
    ("fault", "check", "evidence"),
    [
        ("masks", "skipped-work-not-run", "ran on 64 images, 0 went there"),
        ("masks", "cost-is-executed", "executes"),
        ("masksinbatches", "skipped-work-not-run", "ran on"),
        ("masksinbatches", "cost-is-executed", "a batch: claims"),
        ("ignoresitspoint", "simulated-is-executed", "calling the model is not executing the point"),
        ("hidesahead", "cost-is-executed", "exit1, to exit1: claims"),
        ("addstofull", "plain-inside", "MACs, the plain network"),
        ("learnsfromthetest", "test-split-untouched", "backbone"),
        ("choosesonthetest", "test-split-untouched", "the operating points"),
        ("knowsthetest", "test-split-untouched", "the answers at full"),
        ("counts", "there-and-back", "full: another output"),
        ("keepsadapting", "nothing-changed", "running_mean"),
        ("remembers", "no-cached-answers", "repeated 0"),
        ("worksinplace", "nothing-changed", "changed: what step exit 1 is given"),
        ("looksatthebatch", "company-in-batch", "alone, logits differ"),
        ("looksback", "order-of-batch", "logits differ"),
        ("addsnoise", "global-random-untouched", "inference draws from torch"),
        ("addsnoise", "there-and-back", "another output"),
        ("drawsglobally", "same-seed-same-model", "differ"),
        ("drawsglobally", "global-random-untouched", "training draws from random"),
        ("forgets", "stored-and-loaded", "another output after loading"),
        ("notanumber", "points-are-data", "never holds a number that is not finite"),
        ("onesize", "odd-images", "full on 5 of 9x11: RuntimeError"),
        ("nevertrained", "everything-learns", "idle.weight gets no gradient"),
        ("unseen", "cost-is-recorded", "torch's profiler records"),
        ("unseen", "time-is-of-operators", "times the time of its operators"),
        pytest.param(
            "inathread", "cost-is-recorded", "torch's profiler records",
            marks=pytest.mark.skipif(not records_all_threads(), reason="this torch records one thread: next line"),
        ),
        ("inathread", "time-is-of-operators", "times the time of its operators"),
        ("onlargeimages", "cost-is-recorded", "on 32 x 32 pixels: counts"),
        ("onlargeimages", "time-is-of-operators", "on 32 x 32 pixels: takes"),
        ("wherenobodywatches", "cost-is-recorded", "other answers while it is watched"),
        ("wherenobodywatches", "time-is-of-operators", "times the time of its operators"),
        ("throughnumpy", "time-is-of-operators", "times the time of its operators"),
        ("spelled", "other-operators-few", "elements for a MAC"),
        ("asksscikitlearn", "nothing-else-asked", "while answering: open"),
        ("asksscikitlearn", "test-split-untouched", "the answers at full"),
        ("readsafileonce", "nothing-else-asked", "while answering: open"),
        ("knowsthefile", "nothing-else-asked", "while importing: open"),
        ("searchesmemory", "nothing-else-asked", "while answering: gc.get_objects"),
        ("forks", "nothing-else-asked", "while answering: os.fork"),
        ("asksaworker", "nothing-else-asked", "waits for another process or thread"),
        ("fromthethirdvisit", "visits-alike", "MACs, at visit 3 0"),
        ("gathersunsaid", "cost-is-executed", "MACs, executes"),
        ("wrongowner", "cost-is-executed", "MACs, executes"),
        ("decidesbythemean", "cost-is-executed", "MACs, executes"),
        ("decidesbythemean", "company-in-batch", "alone, logits differ"),
        ("decidesunseen", "decisions-are-seen", "no image's distance"),
    ],
)  # fmt: skip
def test_a_fault_is_caught(examined: Examined, fault: str, check: str, evidence: str) -> None:
    finding = guarded(CHECKS[check], examined(fault))
    assert finding.held is False
    assert evidence in finding.evidence


def test_a_sound_method_with_settings_of_its_own_keeps_every_rule() -> None:
    verdicts = checked("sound", TINY, {"temperature": "2"}, FAULTS)
    assert [verdict.name for verdict in verdicts] == ["trains", *CHECKS]
    assert [verdict.name for verdict in verdicts if not verdict.finding.held] == ["decisions-are-seen"]  # it makes none


@pytest.mark.parametrize("method", entries())
def test_methods_of_the_suite_keep_every_rule(method: str) -> None:
    verdicts = checked(method, TINY, {})
    assert [(v.name, v.finding.evidence) for v in verdicts if v.finding.held is False] == []
    apart = {v.name for v in verdicts if v.finding.held is None}
    assert ("everything-learns" in apart) == (method in ("static", "netselect"))
    assert ("plain-inside" in apart) == (method in ("plain", "earlyexit", "adaptiveexit", "dynres"))


@pytest.mark.parametrize("method", ["gated", "twoscales", "threewidths", "fractal", "averaging"])
def test_methods_whose_work_joins_or_depends_on_the_image_keep_every_rule(method: str) -> None:
    plugins.add(INVENTIONS)
    verdicts = checked(method, GATED, {}, INVENTIONS)
    assert [(v.name, v.finding.evidence) for v in verdicts if v.finding.held is False] == []


def test_refusing_other_images_in_one_line_is_no_fault(examined: Examined) -> None:
    finding = CHECKS["odd-images"](examined("refusesothersizes"))
    assert finding.held
    assert finding.evidence.startswith("refused: 9x11: give it images of 8 x 8 pixels")


def test_skipping_is_counted_where_images_really_part(tmp_path: Path) -> None:
    subject = Subject(brief("earlyexit"), None, tmp_path)
    finding = CHECKS["skipped-work-not-run"](subject)
    assert finding.held
    assert int(finding.evidence.split()[-6]) > 0  # `4 points, 2 of them with several trails`


def test_a_method_that_cannot_be_trained_is_told_where_it_broke() -> None:
    (verdict,) = checked("breaks", TINY, {}, FAULTS)
    assert verdict.finding.held is False
    assert verdict.finding.evidence.startswith("KeyError: 'loss' (")
    assert FAULTS.read_text().splitlines()[int(verdict.finding.evidence.split()[-1][:-1]) - 1].strip() == (
        'return table["loss"]'
    )


def test_every_check_says_what_it_means_in_one_sentence() -> None:
    meanings = [(check.__doc__ or "").partition("\n")[0] for check in CHECKS.values()]
    assert all(meaning.endswith(".") and len(meaning) > 30 for meaning in meanings)
    assert len(set(meanings)) == len(CHECKS)


def test_the_poison_reaches_every_door_and_leaves_nothing_behind() -> None:
    before = benchmarks.data.load("digits")
    with poisoned(None):
        after, direct, asked = benchmarks.data.load("digits"), module("digits").load(None), load_digits()
    assert after.train.fingerprint == before.train.fingerprint == benchmarks.data.load("digits").train.fingerprint
    assert after.test.fingerprint == direct.test.fingerprint != before.test.fingerprint
    assert benchmarks.data.load("digits").test.fingerprint == before.test.fingerprint
    assert not (asked.images == load_digits().images).all(axis=(1, 2)).any()
    assert (asked.target != load_digits().target).mean() > 0.8


def test_draws_from_global_generators_are_seen_and_put_back() -> None:
    torch.manual_seed(3)
    with seeded(0) as first:
        torch.rand(1)
    with seeded(0) as none:
        torch.rand(1, generator=torch.Generator())
    with seeded(0) as others:
        random.random()
        np.random.rand()  # noqa: NPY002
    assert (first, none, others) == (["torch"], [], ["random", "numpy"])
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
