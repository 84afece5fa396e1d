"""`time`: what it refuses, and what it says of two measurements."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from harness import Finished

from benchmarks.cli.time import time
from benchmarks.core.errors import UsageError
from benchmarks.timing import bench
from benchmarks.timing.conditions import FULL, Condition
from benchmarks.timing.history import KEY
from benchmarks.timing.measure import Measured
from benchmarks.timing.sampling import Session


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "slow"}, "--protocol takes quick, full; not 'slow'"),
        ({"backends": "eager,gpu"}, "--backends takes eager, compile, onnx; not 'gpu'"),
        ({"precisions": ""}, "--precisions takes float32, bfloat16; not ''"),
        ({"device": "tpu"}, "--device takes cpu, cuda; not 'tpu'"),
        ({"threads": "0"}, "--threads takes comma-separated numbers from 1, not '0'"),
        ({"batch_sizes": "1,x"}, "--batch-sizes takes comma-separated numbers from 1, not '1,x'"),
        ({"batch_sizes": "64", "compose": 2}, "--compose: latencies are composed at batch 1 only"),
        ({"methods": "sdpiont"}, "--methods: the run has no 'sdpiont'; did you mean 'sdpoint'"),
        ({"compare": True}, "time takes one RUN, and with --compare two outputs"),
    ],
)
def test_what_cannot_be_timed_is_said_in_one_line(
    finished: Finished, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        time([finished.folder], output=tmp_path / "out", **options)
    assert "\n" not in str(caught.value)


def test_a_timing_prints_a_table_a_condition_and_what_was_left_out(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(task: Any, condition: Condition) -> Any:
        *others, last = (point for point in task.timed if not point.extra)
        timed = [*others, *(point for point in task.timed if point.extra)]
        seconds = 1e-3 * np.tile(1.0 + np.arange(len(timed))[None, :, None], (3, 1, 2))
        yield
        return Measured(
            tuple(timed),
            (Session(seconds, np.zeros((3, 2), dtype=np.int64)),),
            (1,) * len(timed),
            (),
            ((last, "no way"),),
        )

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr("benchmarks.timing.again.drive", lambda work, show: _end(work))
    assert time([finished.folder], methods="earlyexit", points=3, batch_sizes="1,4", output=tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert printed.count("quick-3") == 2 + 2  # titles, and remarks on what was left out
    assert "2.00" in printed
    assert "left out: 1 points" in printed
    assert "no way" in printed
    assert (tmp_path / "out" / "latency-samples.csv").is_file()


def _end(work: Any) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def written(folder: Path, ratios: list[float], points: int) -> Path:
    """Samples of as many processes as `ratios`, in which every point has these ratios to plain."""
    condition = Condition(1, 1, "cpu", protocol=FULL.name).columns()
    rows = [
        {**dict.fromkeys(KEY, "x"), "method": method, "variant": "default", "point": f"p{point}", **condition,
         "session": "s", "process": process, "round": 0, "calls_ms": f"{ratio if method == 'm' else 1.0} "}
        for process, ratio in enumerate(ratios)
        for method, count in (("plain", 1), ("m", points))
        for point in range(count)
    ]  # fmt: skip
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "latency-samples.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("second", "status", "share"), [([0.51, 0.49, 0.5], 0, "100.0%"), ([0.61, 0.59, 0.6], 1, "0.0%")]
)
def test_two_measurements_agree_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], second: list[float], status: int, share: str
) -> None:
    both = [written(tmp_path / "a", [0.5, 0.505, 0.495], 4), written(tmp_path / "b", second, 4)]
    assert time(both, compare=True) == status
    assert f"of {share} of 4 points" in " ".join(capsys.readouterr().out.split())
