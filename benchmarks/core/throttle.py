"""Whether a processor or GPU ran slower than it can, because it was hot or short of power."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
DROP = 0.9
"""A clock below this share of the fastest that was seen is a drop."""
HOT = 0x8 | 0x20 | 0x40 | 0x80
"""Bits of a GPU's clock event reasons: hardware slowdown, thermal by software, by hardware, power brake."""


class Throttle:
    """Looks at the clocks of some cores between rounds, and at the kernel's counts of thermal events."""

    def __init__(self, cores: Iterable[int], gpu: str | None = None) -> None:
        """`gpu`: the GPU as `nvidia-smi` knows it, if the work is done there."""
        self.folders, self.gpu = [_CPUS / f"cpu{core}" for core in cores], gpu
        self.events = self._events()
        self.clocks: list[int] = []

    def look(self) -> None:
        """To be called while the cores are at work or have just been."""
        found: list[int] = [_number(folder / "cpufreq" / "scaling_cur_freq") for folder in self.folders]
        self.clocks += [min(found)] if all(found) and found else []

    def seen(self) -> bool:
        """Whether thermal events were counted meanwhile, or most of the time the clock was down by a tenth."""
        if self.gpu:
            (reasons,) = smi("clocks_event_reasons.active", self.gpu) or ("0",)
            return bool(int(reasons, 16) & HOT) if reasons.startswith("0x") else False
        middle = sorted(self.clocks)[len(self.clocks) // 2] if self.clocks else 0
        return self._events() > self.events or middle < DROP * max(self.clocks, default=0)

    def _events(self) -> int:
        return sum(_number(path) for folder in self.folders for path in (folder / "thermal_throttle").glob("*_count"))


def known(device: str) -> str:
    """What throttling is recognised by on this machine; "unknown" where there is nothing."""
    if device == "cuda":
        return "clock event reasons" if smi("clocks_event_reasons.active") else "unknown"
    first = _CPUS / "cpu0"
    found = ["thermal counts"] * (first / "thermal_throttle").is_dir()
    found += ["clock frequency"] * (first / "cpufreq" / "scaling_cur_freq").is_file()
    return ", ".join(found) or "unknown"


def smi(question: str, gpu: str | None = None, about: str = "gpu") -> tuple[str, ...]:
    """Answers of `nvidia-smi`, one a GPU or process; nothing where there is none."""
    which = [f"--id={gpu}"] if gpu else []
    command = ["nvidia-smi", f"--query-{about}={question}", "--format=csv,noheader", *which]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
