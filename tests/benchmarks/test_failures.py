"""Failures on the way: a method's failure is its own, the machine's ends the run and keeps what is done."""

import errno
import json
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import do, points, small

from benchmarks import cli, jobs
from benchmarks.timing import bench
from methods.earlyexit import EarlyExit
from methods.sdpoint import SDPoint
from methods.table import PathTable

ARGUMENTS = ["--dataset", "digits", "--epochs", "1", "--threads", "1", "--latency", "off"]


def command(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """The exit status of `python -m benchmarks run` into `folder`, in process."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", "run", *ARGUMENTS, "--output", str(folder), *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def not_a_number(self: Any, images: torch.Tensor, labels: Any, generator: Any) -> torch.Tensor:
    return next(self.parameters()).sum() * float("nan")


def raising(error: BaseException) -> Any:
    def call(*given: Any, **named: Any) -> Any:
        raise error

    return call


def test_one_failing_method_is_reported_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SDPoint, "loss", not_a_number)
    assert command(tmp_path, monkeypatch, "--methods", "sdpoint,earlyexit") == 1
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert failed[0].startswith("failed: sdpoint: the loss is not a finite number any more (epoch 1, step 1)")
    assert set(points(tmp_path)["method"]) == {"plain", "earlyexit"}
    (failure,) = json.loads((tmp_path / "run.json").read_text())["failures"]
    assert failure["name"] == "sdpoint"
    assert "trace" not in failure


def test_a_failed_method_is_tried_again_and_the_others_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SDPoint, "loss", not_a_number)
        do(small(tmp_path, methods="sdpoint,earlyexit"))
    runner, outcome = do(small(tmp_path, methods="sdpoint,earlyexit"))
    assert not outcome.failures
    done_now = {record.name for record in outcome.records if record.key not in runner.store.reused}
    assert {name.partition("-")[0] for name in done_now} == {"sdpoint"}


def test_a_defect_is_reported_with_its_trace_in_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SDPoint, "loss", raising(RuntimeError("a defect\nin two lines")))
    _, outcome = do(small(tmp_path, methods="sdpoint"))
    (failure,) = outcome.failures
    assert failure["message"] == "RuntimeError: a defect in two lines"
    assert "test_failures.py" in failure["trace"]
    assert [result.candidate.name for result in outcome.results] == ["plain"]


@pytest.mark.parametrize("hook", ["loss", "operating_points", "remarks"])
def test_a_method_that_ends_the_process_has_failed_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    monkeypatch.setattr(SDPoint, hook, raising(SystemExit(3)))
    _, outcome = do(small(tmp_path, methods="sdpoint", backbone="resnet8:width=2"))
    assert [(failure["name"], failure["message"]) for failure in outcome.failures] == [("sdpoint", "SystemExit: 3")]
    assert [result.candidate.name for result in outcome.results] == ["plain"]


def sleeping(*given: Any, **named: Any) -> Any:
    time.sleep(60)


def waiting(*given: Any, **named: Any) -> Any:
    threading.Event().wait()


def looping(*given: Any, **named: Any) -> Any:
    while True:
        with suppress(Exception):
            sleeping()
            return


@pytest.mark.parametrize("hang", [sleeping, waiting, looping])
@pytest.mark.parametrize("hook", ["loss", "operating_points"])
def test_a_method_that_hangs_has_failed_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str, hang: Any
) -> None:
    do(small(tmp_path, methods="plain", backbone="resnet8:width=2"))
    monkeypatch.setattr(SDPoint, hook, hang)
    began = time.perf_counter()
    _, outcome = do(small(tmp_path, methods="sdpoint", backbone="resnet8:width=2", patience=0.01))
    (failure,) = outcome.failures
    assert failure["name"] == "sdpoint"
    assert "nothing was heard of it for 0.01 minutes: it hangs" in failure["message"]
    assert [result.candidate.name for result in outcome.results] == ["plain"]
    assert time.perf_counter() - began < 30
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_says_what_is_not_finite_has_failed_and_has_no_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    own = SDPoint.step

    def step(self: SDPoint, step: Any, x: torch.Tensor) -> torch.Tensor:
        y = own(self, step, x)
        return y + value if step == ("head",) and not self.training else y

    monkeypatch.setattr(SDPoint, "step", step)
    _, outcome = do(small(tmp_path, methods="sdpoint", backbone="resnet8:width=2"))
    (failure,) = outcome.failures
    assert failure["name"] == "sdpoint"
    assert "says numbers that are not finite" in failure["message"]
    assert set(points(tmp_path)["method"]) == {"plain"}


def test_files_of_a_run_have_the_permissions_that_files_usually_have(tmp_path: Path) -> None:
    do(small(tmp_path / "run", methods="plain", reference=False, backbone="resnet8:width=2"))
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "run").rglob("*") if path.is_file()} == {usual}


def test_exits_that_start_from_a_failed_plain_network_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.plain.Plain.loss", not_a_number)
    _, outcome = do(small(tmp_path, methods="earlyexit:init=plain,sdpoint"))
    assert [failure["name"] for failure in outcome.failures] == ["plain", "earlyexit:init=plain"]
    assert "training of plain resnet8 failed" in outcome.failures[1]["message"]
    assert [result.candidate.name for result in outcome.results] == ["sdpoint"]


def test_where_every_method_fails_the_run_says_so_and_has_no_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("methods.plain.Plain.loss", not_a_number)
    assert command(tmp_path, monkeypatch, "--methods", "plain", "--latency", "quick") == 1
    assert points(tmp_path).empty


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("cannot write x: I/O error: No space left on device (os error 28)"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: out of memory"),
        MemoryError(),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_what_the_machine_lacks_ends_the_run_with_3_in_one_line(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("methods.plain.Plain.loss", raising(error))
    assert command(tmp_path, monkeypatch, "--methods", "sdpoint") == 3
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert not line.endswith((":", " "))
    assert not (tmp_path / "points.csv").exists()


@pytest.mark.parametrize("full", ["models", "tables"])
def test_a_disk_that_fills_keeps_finished_records_and_the_next_run_goes_on_from_them(
    full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_space = OSError(errno.ENOSPC, "No space left on device")
    save, table_save = jobs.save, PathTable.save

    def only_plain(write: Any, *given: Any) -> Any:
        """Writes what belongs to the plain network; then the disk is full."""
        if any("sdpoint-" in str(argument) for argument in given if isinstance(argument, Path)):
            raise no_space
        return write(*given)

    with monkeypatch.context() as patch:
        if full == "models":
            patch.setattr(jobs, "save", lambda *given: only_plain(save, *given))
        else:
            patch.setattr(PathTable, "save", lambda *given: only_plain(table_save, *given))
        assert command(tmp_path, patch, "--methods", "sdpoint") == 3
    assert {path.name.partition("-")[0] for path in (tmp_path / "paths").iterdir()} == {"plain"}
    runner, outcome = do(small(tmp_path, methods="sdpoint"))
    again = {record.name[:5] for record in outcome.records if record.key not in runner.store.reused}
    assert "plain" not in again
    assert len(outcome.results) == 2


def test_an_interruption_while_writing_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", raising(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            do(small(tmp_path, methods="plain"))
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    assert not list((tmp_path / "jobs").iterdir())


def test_control_c_ends_a_run_with_130_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*given: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(EarlyExit, "loss", interrupt)
    assert command(tmp_path, monkeypatch, "--methods", "earlyexit") == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: stopped")


def test_a_failing_timing_does_not_take_the_results_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "measure", raising(RuntimeError("no clock")))
    _, outcome = do(small(tmp_path, methods="plain", latency="quick"))
    assert [failure["name"] for failure in outcome.failures] == ["latency"]
    assert len(points(tmp_path)) == 1
