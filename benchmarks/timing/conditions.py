"""Under which conditions latency is measured: each is timed on its own, and figures of two are never mixed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, NamedTuple


class Protocol(NamedTuple):
    """How often and how long is measured: `budget_s` seconds of rounds in each of `processes` fresh processes.

    `rounds`: how many there are at least, whatever they take, and at most.
    """

    name: str
    processes: int
    budget_s: float
    rounds: tuple[int, int]


QUICK = Protocol("quick-3", processes=1, budget_s=10.0, rounds=(9, 31))
"""One process: its intervals come from rounds and describe that process, not the machine."""
FULL = Protocol("full-2", processes=9, budget_s=15.0, rounds=(5, 101))
"""Several processes, each one sample. Of nine, the second smallest and the second largest hold the median of all
processes with 96%, so that one disturbed process at either end moves no bound; below six there is no 95% interval."""
PROTOCOLS = {"quick": QUICK, "full": FULL}
VERSIONS = {protocol.name: protocol for protocol in PROTOCOLS.values()}


@dataclass(frozen=True)
class Condition:
    """What is fixed while a set of points is timed; `protocol` is a name with its version."""

    batch_size: int
    threads: int
    device: str
    backend: str = "eager"
    precision: str = "float32"
    protocol: str = QUICK.name

    @property
    def scenario(self) -> str:
        """One image at a time, or batches."""
        return "single" if self.batch_size == 1 else "batched"

    @property
    def label(self) -> str:
        """For people: `batch 1, 1 thread, cpu, eager float32, full-2`."""
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"batch {self.batch_size}, {threads}, {self.device}, {self.backend} {self.precision}, {self.protocol}"

    def columns(self) -> dict[str, Any]:
        """Its columns in latency.csv."""
        return {"scenario": self.scenario, **asdict(self)}


COLUMNS = ("scenario", "backend", "precision", "device", "threads", "batch_size", "protocol")


def conditions(
    protocol: Protocol, batch_sizes: Sequence[int], threads: Sequence[int], device: str,
    backends: Sequence[str] = ("eager",), precisions: Sequence[str] = ("float32",),
) -> list[Condition]:  # fmt: skip
    """Every combination once, in the order given."""
    every = product(backends, precisions, threads, batch_sizes)
    found = [
        Condition(batch, count, device, backend, precision, protocol.name) for backend, precision, count, batch in every
    ]
    return list(dict.fromkeys(found))


def usual_batches(side: int) -> tuple[int, ...]:
    """One image at a time, and a batch: 64 images, or 8 of more than 64 pixels a side."""
    return 1, 64 if side <= 64 else 8
