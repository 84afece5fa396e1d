"""Signs that a machine was shared, slowed down or throttled, from faked counts of the kernel and of a GPU's tool."""

import time
from pathlib import Path

import pytest

from benchmarks.core import throttle
from benchmarks.core.throttle import Throttle, known
from benchmarks.timing import load, signs
from benchmarks.timing.load import Meter, others_share, siblings
from benchmarks.timing.signs import shared


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc/stat of two cores at rest, with ticks of 10 ms."""
    path = tmp_path / "stat"
    monkeypatch.setattr(load, "_STAT", path)
    monkeypatch.setattr(load, "_CPUS", tmp_path)
    monkeypatch.setattr(load, "_TICK_S", 0.01)
    ticks(path, (0, 0), (0, 0))
    return path


def ticks(path: Path, *cores: tuple[int, int], steal: int = 0) -> None:
    """Busy and idle ticks of each core; `steal` more were stolen from the first."""
    stolen = [steal] + [0] * (len(cores) - 1)
    lines = [f"cpu{i} {busy} 0 0 {idle} 0 0 0 {more} 0 0" for i, ((busy, idle), more) in enumerate(zip(cores, stolen))]  # noqa: B905
    every = f"cpu  {sum(b for b, _ in cores)} 0 0 {sum(i for _, i in cores)} 0 0 0 {steal} 0 0"
    path.write_text("\n".join([every, *lines, "intr 5"]))


class Hands(dict[str, float]):
    """Clocks that stand where they are put."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(perf_counter=0.0, thread_time=0.0, process_time=0.0)
        for name in self:
            monkeypatch.setattr(time, name, lambda name=name: self[name])


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_the_share_of_others_is_a_share() -> None:
    assert 0 <= others_share(0.02) <= 1


def test_the_share_of_others_is_counted_from_the_kernels_ticks(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: ticks(stat, (30, 20), (0, 50)))
    assert others_share() == pytest.approx(0.3)


def test_a_lone_thread_that_did_not_run_was_kept_waiting_by_others(stat: Path, hands: Hands) -> None:
    meter = Meter([0], alone=True)
    hands.update(perf_counter=2.0, thread_time=1.7)
    assert meter.share() == pytest.approx(0.15)
    hands.update(thread_time=2.0)
    assert meter.share() == 0


def test_of_several_threads_others_are_what_is_busy_and_not_this_process(stat: Path, hands: Hands) -> None:
    meter = Meter([0, 1], alone=False)
    hands.update(perf_counter=1.0, process_time=1.5)
    ticks(stat, (100, 0), (90, 10))  # 1.9 s busy on two cores, 1.5 s of them ours
    assert meter.share() == pytest.approx(0.2)


def test_time_stolen_by_the_host_counts_as_others_even_if_the_thread_thinks_it_ran(stat: Path, hands: Hands) -> None:
    meter = Meter([0], alone=True)
    hands.update(perf_counter=1.0, thread_time=1.0)
    ticks(stat, (75, 0), (0, 100), steal=25)
    assert meter.share() == pytest.approx(0.25)


def test_load_of_a_core_counts_where_it_shares_its_units_with_ours_and_not_elsewhere(stat: Path, hands: Hands) -> None:
    folder = stat.parent / "cpu0" / "topology"
    folder.mkdir(parents=True)
    shares = []
    for together in ("0-1", "0"):
        (folder / "thread_siblings_list").write_text(together + "\n")
        ticks(stat, (0, 0), (0, 0))
        meter = Meter([0], alone=True)
        hands.update(perf_counter=hands["perf_counter"] + 1, thread_time=hands["thread_time"] + 1)
        ticks(stat, (100, 0), (60, 40))
        shares.append(meter.share())
    assert shares == pytest.approx([0.6, 0])
    assert siblings([0]) == {0}


def test_where_the_kernel_counts_nothing_nothing_is_flagged(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_STAT", tmp_path / "none")
    meter = Meter([0, 1], alone=False)
    hands.update(perf_counter=1.0, process_time=0.5)
    assert meter.share() == 0


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A core's folder under /sys, with nothing in it."""
    monkeypatch.setattr(throttle, "_CPUS", tmp_path)
    (tmp_path / "cpu0").mkdir()
    return tmp_path / "cpu0"


def test_a_machine_that_tells_nothing_of_throttling_is_unknown_and_not_flagged(core: Path) -> None:
    watched = Throttle([0])
    watched.look()
    assert not watched.seen()
    assert known("cpu") == "unknown"


def test_a_thermal_event_during_timing_is_throttling_an_old_one_is_not(core: Path) -> None:
    counts = core / "thermal_throttle"
    counts.mkdir()
    (counts / "core_throttle_count").write_text("7\n")
    watched = Throttle([0])
    assert not watched.seen()
    (counts / "core_throttle_count").write_text("8\n")
    assert watched.seen()
    assert known("cpu") == "thermal counts"


@pytest.mark.parametrize(("clocks", "throttled"), [([3000, 2600, 2600], True), ([3000, 2600, 2950], False)])
def test_a_clock_that_is_down_most_of_the_time_is_throttling(core: Path, clocks: list[int], throttled: bool) -> None:
    (core / "cpufreq").mkdir()
    watched = Throttle([0])
    for clock in clocks:
        (core / "cpufreq" / "scaling_cur_freq").write_text(f"{clock}000\n")
        watched.look()
    assert watched.seen() == throttled
    assert known("cpu") == "clock frequency"


@pytest.mark.parametrize(
    ("reasons", "throttled"), [("0x0000000000000020", True), ("0x0000000000000004", False), ("[N/A]", False)]
)
def test_a_hot_gpu_is_throttled_one_at_its_power_limit_is_not(
    reasons: str, throttled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "smi", lambda *question: (reasons,))
    assert Throttle([], gpu="0").seen() == throttled


@pytest.mark.parametrize(
    ("pids", "others"),
    [
        ((), False),  # it does not say
        (("10",), False),
        (("10", "11"), False),
        (("10", "77"), True),
        (("501", "502"), False),  # a container's numbers differ: two are as many as we are
        (("501", "502", "503"), True),
    ],
)
def test_a_gpu_is_shared_if_a_process_of_neither_ours_is_on_it(pids: tuple[str, ...], others: bool) -> None:
    assert shared(pids, {10, 11}) == others


def test_signs_of_this_process_on_its_cores_are_shares_and_known_flags() -> None:
    import torch

    found = signs.Signs(torch.device("cpu"), 1, [])
    found.look()
    assert 0 <= found.others() <= 1
    assert found.flags(0.2)[0] == "loaded"
    assert "loaded" not in found.flags(0.05)
