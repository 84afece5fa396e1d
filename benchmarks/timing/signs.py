"""Signs that a process was not measured alone: they become flags of its figures."""

import os
from collections.abc import Collection

import torch

from benchmarks.core.throttle import Throttle, smi
from benchmarks.timing.load import Meter

LOAD = 0.10
"""Others may take this share of the cores a process is timed on."""


class Signs:
    """Watches from its making on; `look` between rounds, `flags` at the end."""

    def __init__(self, device: torch.device, threads: int, ours: Collection[int]) -> None:
        """`ours`: processes that may hold the GPU without being others."""
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        self.gpu = _name(device)
        self.ours = {os.getpid(), *ours}
        self.meter = Meter(cores, alone=threads == 1 and not self.gpu)
        self.throttle = Throttle(cores, self.gpu)

    def look(self) -> None:
        """Between two rounds."""
        self.throttle.look()

    def others(self) -> float:
        """The share others took."""
        return self.meter.share()

    def flags(self, others: float) -> list[str]:
        """`loaded`, `gpu-shared`, `throttled`, as it was."""
        found = ["loaded"] * (others > LOAD) + ["throttled"] * self.throttle.seen()
        return found + ["gpu-shared"] * (
            self.gpu is not None and shared(smi("pid", self.gpu, "compute-apps"), self.ours)
        )


def shared(pids: Collection[str], ours: Collection[int]) -> bool:
    """Whether a process that is not ours is on the GPU.

    In a container the numbers may be the host's: where this process is not among them, more than we are is others.
    """
    found = {int(pid) for pid in pids if pid.isdigit()}
    return len(found) > len(ours) or (bool(found & set(ours)) and not found <= set(ours))


def _name(device: torch.device) -> str | None:
    """A CUDA device as `nvidia-smi` knows it."""
    if device.type != "cuda":
        return None
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return f"GPU-{uuid}" if uuid else str(device.index or 0)
