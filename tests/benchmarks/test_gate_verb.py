"""The gate as a maintainer meets it: two runs, another commit's code, a known slowdown."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness import Finished, unsealed

from benchmarks import stored
from benchmarks.cli.gate import gate
from benchmarks.core.errors import UsageError
from benchmarks.core.progress import drive
from benchmarks.gate import calibration as calibration_module
from benchmarks.gate import checkout, duel
from benchmarks.gate.calibration import Calibration, Pilot, caught, read_trials, summary, tolerance
from benchmarks.gate.exact import compare
from benchmarks.gate.latency import Race, Side, timed_points, write_images
from benchmarks.gate.seen import executed, recorded
from benchmarks.gate.tolerance import calibrated, remember
from benchmarks.gate.tolerance import tolerance as used
from benchmarks.timing.workers import HERE
from methods.base import AdjustableModel
from methods.routers import Constant, Threshold

Table = dict[str, Any]


def changed(finished: Finished, folder: Path, change: Callable[[Table], None], job: str = "sdpoint-default") -> Path:
    """A copy of a run whose test table of one model is changed, as if its code had said so."""
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("checkpoints"))
    unsealed(folder)
    (path,) = (folder / "paths").glob(f"{job}-*.test.npz")
    with np.load(path) as stored_table:
        table = dict(stored_table)
    change(table)
    np.savez(path, **table)
    points = pd.read_csv(folder / "points.csv")
    for key, seen in recorded(stored.read(folder)).items():
        for name, point in seen.points.items():
            place = (points[list(key._fields)] == list(key)).all(axis=1) & (points["point"] == name)
            points.loc[place & (points["kind"] == "point"), "macs"] = point.macs.mean()
            points.loc[place & (points["kind"] == "point"), "accuracy"] = point.correct.mean()
    points.to_csv(folder / "points.csv", index=False)
    return folder


def judged(base: Path, head: Path, tmp_path: Path) -> tuple[int, dict[str, Any]]:
    status = gate(base, head, latency=False, json=tmp_path / "gate.json")
    return status, json.loads((tmp_path / "gate.json").read_text())


def found(record: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(c["point"], c["metric"]): c["verdict"] for c in record["checks"] if c["verdict"] != "pass"}


def test_a_run_passes_against_itself_and_says_that_there_is_nothing_to_time(finished: Finished, tmp_path: Path) -> None:
    files = {"markdown": tmp_path / "g.md", "junit": tmp_path / "g.xml", "json": tmp_path / "g.json"}
    assert gate(finished.folder, finished.folder, **files) == 0
    record = json.loads(files["json"].read_text())
    assert record["verdict"] == "pass"
    assert record["latency"].startswith("not timed: the same models and the same code")
    assert {c["metric"] for c in record["checks"]} == {
        "parameters", "MACs", "mean MACs", "routing", "execution", "accuracy",
    }  # fmt: skip
    assert files["markdown"].read_text().startswith("### ✔")
    assert files["junit"].read_text().count("<testcase") == len(record["checks"])


def test_a_wrong_cost_in_head_is_a_regression(finished: Finished, tmp_path: Path) -> None:
    def dearer(table: Table) -> None:
        last_of_the_first_answer = np.flatnonzero(table["uses"][0])[-1]
        table["work_macs"][last_of_the_first_answer] += 1

    status, record = judged(finished.folder, changed(finished, tmp_path / "head", dearer), tmp_path)
    assert status == 1
    assert set(found(record).values()) == {"regression"}
    assert ("p1_r0.5", "MACs") in found(record)


def test_a_saving_is_an_improvement_and_passes(finished: Finished, tmp_path: Path) -> None:
    def cheaper(table: Table) -> None:
        table["work_macs"][np.flatnonzero(table["uses"][0])[-1]] -= 1

    status, record = judged(finished.folder, changed(finished, tmp_path / "head", cheaper), tmp_path)
    assert (status, record["verdict"]) == (0, "improvement")


def test_an_answer_that_got_worse_is_a_regression(finished: Finished, tmp_path: Path) -> None:
    def wrong(table: Table) -> None:
        full = list(table["answers"]).index("full")
        some = np.arange(0, len(table["labels"]), 5)
        table["prediction"][full, some] = (table["labels"][some] + 1) % 10

    status, record = judged(finished.folder, changed(finished, tmp_path / "head", wrong), tmp_path)
    assert status == 1
    assert found(record) == {("full", "accuracy"): "regression"}


def test_other_test_images_are_an_error(finished: Finished, tmp_path: Path) -> None:
    def other(table: Table) -> None:
        table["sample_id"] = table["sample_id"][::-1].copy()

    with pytest.raises(UsageError, match="not tested on the same images"):
        judged(finished.folder, changed(finished, tmp_path / "head", other), tmp_path)


def test_no_baseline_is_an_error_of_one_line(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no finished run"):
        gate(tmp_path / "nothing", finished.folder)


@pytest.mark.parametrize("asked", [{}, {"base": Path("a")}, {"base": Path("a"), "base_ref": "x"}, {"calibrate": True}])
def test_the_verb_takes_one_of_three_forms(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="gate takes two runs"):
        gate(**asked)


@pytest.mark.parametrize("option", ["markdown", "json", "junit"])
def test_a_missing_folder_of_a_report_is_an_error_before_anything_is_measured(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere to write report into: make it first"):
        gate(tmp_path / "base", tmp_path / "head", **{option: tmp_path / "nowhere" / "report"})  # type: ignore[arg-type]


def test_an_unknown_commit_is_an_error_of_one_line() -> None:
    with pytest.raises(UsageError, match="no such commit, branch or tag here"), checkout.checkout("no-such-ref"):
        pass


def test_a_commit_is_checked_out_beside_the_working_tree_and_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=tmp_path, check=True)

    git("init", "--quiet")
    (tmp_path / "file").write_text("first")
    git("add", "file")
    git("commit", "--quiet", "-m", "first")
    (tmp_path / "file").write_text("second")
    monkeypatch.setattr(checkout, "HERE", tmp_path)
    with checkout.checkout("HEAD") as tree:
        assert (tree / "file").read_text() == "first"
    assert not tree.exists()
    assert (tmp_path / "file").read_text() == "second"


def test_a_run_that_fails_says_why_in_its_own_last_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the baseline could not be made: .*unknown method 'nix'"):
        checkout.run_by(HERE, ["--methods", "nix", "--output", str(tmp_path / "run")])


def test_executing_a_runs_weights_again_gives_what_was_recorded(finished: Finished) -> None:
    run = stored.read(finished.folder)
    again = drive(executed(run, run.data(None)))
    assert {check.verdict for check in compare(recorded(run), again)} == {"pass"}


def test_a_router_that_decides_otherwise_is_a_regression(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head's router would move both sides, as it reads both tables: what base wrote down does not move."""
    run = stored.read(finished.folder)
    monkeypatch.setattr(Threshold, "decide", lambda self, at, heard, n: None)  # everybody leaves at the first exit
    verdicts = {check.metric for check in compare(recorded(run), recorded(run)) if check.verdict == "regression"}
    assert verdicts == {"routing"}


def test_execution_that_drops_work_is_a_regression(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stored.read(finished.folder)
    base, original = recorded(run), AdjustableModel.execute
    monkeypatch.setattr(AdjustableModel, "execute", lambda self, x, router: original(self, x, Constant(answer=0)))
    verdicts = {
        check.metric for check in compare(base, drive(executed(run, run.data(None)))) if check.verdict != "pass"
    }
    assert verdicts == {"execution"}


def test_points_are_spread_over_cost_with_both_ends(finished: Finished) -> None:
    model = next(m for m in stored.read(finished.folder).models if m.label == "earlyexit")
    names = [point.name for point in model.points]
    assert timed_points(model, names, 2) == ["exit1", timed_points(model, names, 100)[-1]]
    assert len(timed_points(model, names, 5)) == 5
    assert set(timed_points(model, names, 100)) == set(names)


@pytest.fixture
def race(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Race:
    """The plain network of the run against itself, quickly."""
    monkeypatch.setattr(calibration_module, "PILOT_PAIRS", 2)
    monkeypatch.setattr(duel, "PAIR_S", 0.02)
    monkeypatch.setattr(duel, "BLOCK_S", 0.004)
    run = stored.read(finished.folder)
    plain = stored.StoredRun(run.folder, run.record, run.plain_macs, run.models[:1])
    write_images(run.data(None), 1, tmp_path / "images.npy")
    return Race(Side(HERE, plain), Side(HERE, plain), tmp_path / "images.npy", batch=1, threads=1)


def test_models_that_are_gone_are_an_error_of_one_line(race: Race) -> None:
    for path in {model.weights for model in race.head.models()}:
        gone = path.rename(path.with_suffix(".gone"))
        try:
            with pytest.raises(UsageError, match="is missing: the run's models were not kept"):
                drive(duel.Duel(race.start, np.random.default_rng(0)).run(race.subjects, 0.05))
        finally:
            gone.rename(path)


def test_a_pilot_is_made_once_and_only_gone_on_with_as_it_was(race: Race, tmp_path: Path) -> None:
    calibration = Calibration(race, tmp_path / "calibration", asked=0.2)
    pilot = drive(calibration.pilot())
    assert pilot.tolerance == 0.2
    assert pilot.extra_per_percent > 0
    assert drive(calibration.pilot()) == pilot
    with pytest.raises(UsageError, match="holds a calibration with other batch, tolerance: choose another"):
        drive(Calibration(replace(race, batch=4), calibration.folder, asked=0.1).pilot())


@pytest.mark.perf
def test_a_slowdown_by_inserted_work_is_caught_on_real_processes_and_the_trial_is_not_repeated(
    race: Race, tmp_path: Path
) -> None:
    calibration = Calibration(race, tmp_path / "calibration", asked=0.2)
    pilot = drive(calibration.pilot())
    trials = drive(calibration.trials(pilot, 1, 3.0))
    (name,) = trials[0].verdicts
    assert trials[0].verdicts[name] == "regression"
    assert name.endswith(" full")
    assert caught(trials, pilot.dearest)["caught"] == 1
    assert caught(trials, pilot.dearest)["slowdown_measured"] > 1
    assert drive(calibration.trials(pilot, 1, 3.0)) == trials == read_trials(tmp_path / "calibration/gates-300.jsonl")


def test_a_trial_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    whole = '{"screening": {"a": [0]}, "fresh": {}, "verdicts": {"a": "pass"}, "measured_s": 1, "total_s": 2}\n'
    (tmp_path / "t").write_text(whole + whole[:30])
    assert len(read_trials(tmp_path / "t")) == 1


def test_the_summary_counts_false_alarms_and_bounds_their_rate(tmp_path: Path) -> None:
    line = (
        '{"screening": {"a": [0.01, -0.01, 0.002, 0]}, "fresh": {}, "verdicts": {"a": "pass"}, '
        '"measured_s": 8, "total_s": 9}\n'
    )
    (tmp_path / "t").write_text(line * 99 + line.replace("pass", "regression"))
    pilot = Pilot(about={}, shifts={}, tolerance=0.05, dearest="a", extra_per_percent=1)
    found_ = summary(read_trials(tmp_path / "t"), pilot)
    assert (found_["gates"], found_["false_alarms"]) == (100, 1)
    assert found_["rate_at_most"] == pytest.approx(0.0466, abs=1e-4)
    assert found_["measured_s_most"] == 8
    assert 0.05 < found_["smallest_slowdown"] <= 0.08


def test_the_tolerance_is_four_deviations_of_a_pair_in_half_percents_and_no_less_than_three_percent() -> None:
    assert tolerance({"a": [0.001, -0.001, 0.002]}) == 0.03
    assert tolerance({"a": [0.001], "b": [0.01, -0.01, 0.01, 5.0]}) == pytest.approx(0.065)  # 4 x 1.4826% is 6.1%


def test_a_calibration_is_remembered_for_its_batch_and_threads(cache: Path) -> None:
    assert used(1, 1, None) == (0.05, "default, not calibrated here")
    assert cache in remember(1, 1, {"tolerance": 0.04}).parents
    assert used(1, 1, None) == (0.04, "calibrated here")
    assert used(1, 1, 0.2) == (0.2, "given")
    assert calibrated(64, 1) is None
