"""How busy the machine is with others."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

_STAT = Path("/proc/stat")
_CPUS = Path("/sys/devices/system/cpu")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


def others_share(wait_s: float = 0.3) -> float:
    """Share of the machine's processor time that others used while this process slept; 0 if unknown."""
    before = _ticks()
    time.sleep(wait_s)
    return _shares(before, _ticks()).get("cpu", 0.0)


def busy_shares(wait_s: float = 0.3) -> dict[int, float]:
    """The same for every core; empty if unknown."""
    before = _ticks()
    time.sleep(wait_s)
    shares = _shares(before, _ticks())
    return {int(name.removeprefix("cpu")): share for name, share in shares.items() if name != "cpu"}


class Meter:
    """What others take of the cores that this process works on, from its making on.

    With one thread that never rests: the share of the time in which the thread did not run, to the microsecond, be
    it others of this machine or its host. With several: what the kernel counts as busy and is not this process.
    Beside it what the host took from these cores, where it says so, and the load of cores that share their execution
    units with one of these. A process that took 14% of a
    core was seen as 0.139-0.142 by both within 0.3 s, one that took half as 0.50.
    """

    def __init__(self, cores: Iterable[int], alone: bool) -> None:
        """`cores`: where this process may run; `alone`: it computes in the calling thread only, without rest."""
        self.cores, self.alone = sorted(cores), alone
        self.beside = sorted(siblings(self.cores) - set(self.cores))
        self.begun, self.used, self.ticks = time.perf_counter(), self._used(), _ticks()

    def share(self) -> float:
        """0 where nobody else was there, 1 where all was theirs; 0 if unknown."""
        wall, used, now = time.perf_counter() - self.begun, self._used() - self.used, _ticks()
        shares, spent = _shares(self.ticks, now), wall * max(len(self.cores), 1)
        near = max((shares.get(f"cpu{core}", 0.0) for core in self.beside), default=0.0)
        pairs = [(self.ticks[name], now[name]) for name in map("cpu{}".format, self.cores) if name in now]
        busy, stolen = (_TICK_S * sum(after[i] - before[i] for before, after in pairs) for i in (0, 2))
        theirs = spent - used if self.alone else busy - used
        return min(max(theirs / spent, stolen / spent, near, 0.0), 1.0) if spent > 0 else 0.0

    def _used(self) -> float:
        return time.thread_time() if self.alone else time.process_time()


def siblings(cores: Iterable[int]) -> set[int]:
    """All cores that share their execution units with these, themselves included where the machine says so."""
    found: set[int] = set()
    for core in cores:
        path = _CPUS / f"cpu{core}" / "topology" / "thread_siblings_list"
        text = path.read_text() if path.is_file() else ""
        for part in filter(None, text.strip().split(",")):
            first, _, last = part.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
    return found


_Ticks = dict[str, tuple[int, int, int]]


def _shares(before: _Ticks, after: _Ticks) -> dict[str, float]:
    both = before.keys() & after.keys()
    return {n: (after[n][0] - before[n][0]) / max(after[n][1] - before[n][1], 1) for n in both}


def _ticks() -> _Ticks:
    """Of all cores together ("cpu") and of each ("cpu0"): busy ticks, all, and those stolen by the host, which are
    busy."""
    if not _STAT.exists():
        return {}
    lines = (line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu"))
    times = {name: [int(field) for field in fields[:8]] for name, *fields in lines}
    return {name: (sum(t) - sum(t[3:5]), sum(t), sum(t[7:])) for name, t in times.items()}
