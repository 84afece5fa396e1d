"""How a condition is measured: what worker processes are asked, with workers that only take notes."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.core.progress import Progress, drive
from benchmarks.models import Checked
from benchmarks.timing import measure as measuring
from benchmarks.timing.conditions import FULL, QUICK, Condition
from benchmarks.timing.measure import Measured, Task, measure
from benchmarks.timing.sampling import Session
from benchmarks.timing.subjects import Timed
from methods.routers import Constant, OperatingPoint

Log = list[tuple[int, str, dict[str, Any]]]


class Noting:
    """A worker that times nothing; its backend lacks the points called `lacking`."""

    def __init__(self, number: int, log: Log, lacking: Sequence[str]) -> None:
        self.number, self.log, self.lacking = number, log, lacking

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        return drive(self.follow(do, **arguments))

    def follow(self, do: str, **arguments: Any) -> Generator[Progress, None, dict[str, Any]]:
        self.log.append((self.number, do, arguments))
        yield Progress(1, 2)
        yield Progress(2, 2)
        points = [point["name"] for _, point in arguments.get("points", [])]
        match do:
            case "prepare":
                return {"unsupported": {str(k): "not here" for k, name in enumerate(points) if name in self.lacking}}
            case "session":
                return Session(np.ones((2, len(points), 1)), np.zeros((2, 1), dtype=np.int64)).json()
            case "peaks":
                return {"bytes": list(range(len(points)))}
            case "nodes":
                return {"models": [{"whole": [1.0], "fixed": None}]}
        return {}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return noting(monkeypatch, lacking=("b",))


def noting(monkeypatch: pytest.MonkeyPatch, lacking: Sequence[str]) -> Log:
    notes: Log = []
    count = iter(range(100))

    @contextmanager
    def started(codes: Sequence[Path]) -> Iterator[list[Noting]]:
        yield [Noting(next(count), notes, lacking)]

    monkeypatch.setattr(measuring, "started", started)
    monkeypatch.setattr(measuring, "quiet_cores", lambda count: tuple(range(7, 7 + count)))
    return notes


def measured(protocol: str, show: Any = lambda progress: None) -> Measured:
    timed = tuple(
        Timed({"point": name}, 0, OperatingPoint(name=name, router=Constant(answer=0)), np.array(macs))
        for name, macs in (("a", [1, 1, 9, 1]), ("b", [1, 1, 1, 1]), ("c", [9, 9, 1, 1]))
    )
    images = np.zeros((4, 3, 2, 2), dtype=np.float32)
    models, batches = (Checked(Path("m"), "0" * 64),), np.array([[0, 1], [2, 3]])
    task = Task(timed, models, lambda samples: images[samples], batches, (Path("mine.py"),))
    return drive(measure(task, Condition(2, 1, "cpu", protocol=protocol)), show)


def asked(log: Log, what: str) -> list[dict[str, Any]]:
    return [arguments for _, do, arguments in log if do == what]


def names(requests: list[dict[str, Any]]) -> list[list[str]]:
    return [[point["name"] for _, point in request["points"]] for request in requests]


def test_full_is_nine_fresh_processes_each_with_a_seed_of_its_own_and_quick_one(log: Log) -> None:
    assert len(measured(FULL.name).sessions) == 9
    assert [request["seed"] for request in asked(log, "session")] == list(range(9))
    assert len({number for number, _, _ in log}) == 9
    log.clear()
    assert len(measured(QUICK.name).sessions) == 1


def test_every_process_runs_on_quiet_cores_with_its_threads_and_knows_the_users_methods(log: Log) -> None:
    measured(QUICK.name)
    (request,) = asked(log, "load")
    assert (request["cores"], request["threads"], request["batch"]) == ((7,), 1, 2)
    assert [Path(file).name for file in request["plugins"]] == ["mine.py"]


def test_what_the_backend_lacks_is_left_out_with_the_reason_and_not_asked_again(log: Log) -> None:
    found = measured(FULL.name)
    assert [timed.point.name for timed in found.timed] == ["a", "c"]
    assert [(timed.point.name, reason) for timed, reason in found.unsupported] == [("b", "not here")]
    assert names(asked(log, "prepare")) == [["a", "b", "c"], *[["a", "c"]] * 8]
    assert names(asked(log, "session")) == [["a", "c"]] * 9


def test_memory_is_measured_once_after_timing_on_the_batch_that_costs_most(log: Log) -> None:
    assert measured(FULL.name).peaks == (0, 1)
    (request,) = asked(log, "peaks")
    assert request["batches"] == [1, 0]
    first = [do for number, do, _ in log if number == 0]
    assert first == ["load", "prepare", "session", "peaks", "nodes"]


def test_where_the_backend_has_no_point_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    log = noting(monkeypatch, lacking=("a", "b", "c"))
    found = measured(FULL.name)
    assert (found.timed, found.sessions) == ((), ())
    assert len(found.unsupported) == 3
    assert not asked(log, "session")


def test_progress_over_all_processes_never_goes_back_and_ends_at_its_total(log: Log) -> None:
    shown: list[Progress] = []
    measured(FULL.name, shown.append)
    done = [progress.done for progress in shown]
    assert done == sorted(done)
    assert shown[-1] == Progress(1000, 1000)
