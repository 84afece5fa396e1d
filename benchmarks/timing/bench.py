"""A condition as a job: what it depends on, and its work. The same for `run` and for `time`."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.environment import version
from benchmarks.core.progress import Progress
from benchmarks.data.batches import Images
from benchmarks.provenance import TIMING, sources
from benchmarks.timing.causes import node_shares
from benchmarks.timing.composing import Composition, composition, outcome
from benchmarks.timing.conditions import VERSIONS, Condition
from benchmarks.timing.measure import Measured, Task, measure
from benchmarks.timing.subjects import Subject, Timed, in_batches, plain_again, timed_points, timing_images
from benchmarks.timing.summary import raw_rows, rows
from methods.routers import OperatingPoint

KIND = "timing"
BACKEND_PACKAGES = {"onnx": ("onnx", "onnxruntime", "onnxscript")}
"""What a backend's times depend on beside torch."""
MACHINE = ("cpu", "gpu", "platform", "torch")


def machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What of an environment makes a latency another's."""
    return {name: environment.get(name) for name in MACHINE}


@dataclass(frozen=True)
class Bench:
    """What all conditions share: models, test images with the hash of their split, and the machine.

    `further`: points to compose at batch 1, by the names of the models' jobs.
    """

    subjects: tuple[Subject, ...]
    images: Images
    labels: NDArray[np.int64]
    fingerprint: str
    machine: Mapping[str, Any]
    plugins: tuple[Path, ...] = ()
    further: Mapping[str, tuple[OperatingPoint, ...]] = field(default_factory=dict)

    def inputs(self, condition: Condition) -> dict[str, Any]:
        """What a measurement depends on."""
        further = {
            job: [point.model_dump(mode="json") for point in points]
            for job, points in self.further.items()
            if condition.batch_size == 1
        }
        methods = tuple(sorted({subject.identity["method"] for subject in self.subjects}))
        return {
            "models": [subject.describe() for subject in self.subjects],
            "further": further,
            "condition": condition.columns(),
            "protocol": VERSIONS[condition.protocol]._asdict(),
            "machine": dict(self.machine),
            "backend": {name: version(name) for name in BACKEND_PACKAGES.get(condition.backend, ())},
            "methods": methods,
            "sources": sources(TIMING, methods),
            "test": self.fingerprint,
        }

    def work(self, condition: Condition) -> Generator[Progress, None, dict[str, Any]]:
        """Measure; rows of latency.csv and of the samples, what the backend does not have, and how composition did."""
        made = self._compositions() if condition.batch_size == 1 else {}
        trails = [timed for place, one in made.items() for timed in one.timed(place)]
        height, width = self.images.size
        batches = in_batches(timing_images(self.labels, seed=0), condition.batch_size, 12 * height * width)
        points = timed_points(self.subjects)
        timed = (*points, *plain_again(points), *trails)
        models = tuple(subject.weights for subject in self.subjects)
        measured = yield from measure(Task(timed, models, self._pixels, batches, self.plugins), condition)
        sessions = measured.sessions
        kept = rows(measured.timed, condition, sessions, batches, measured.peaks) if sessions else []
        own = (timed for timed in measured.timed if not timed.extra)
        kept = [row | self._own_work(timed, measured) for row, timed in zip(kept, own, strict=True)]
        compositions = []
        for one in made.values() if sessions else ():
            more, validation = outcome(one, measured.timed, condition, sessions, batches)
            kept += more
            compositions.append(validation)
        return {
            "rows": kept,
            "raw": raw_rows(measured.timed, condition, sessions),
            "unsupported": [_reason(timed, reason) for timed, reason in measured.unsupported if not timed.extra],
            "compositions": compositions,
            "others": [session.others for session in sessions],
            "finished": datetime.now(UTC).isoformat(timespec="microseconds"),
        }

    def _own_work(self, timed: Timed, measured: Measured) -> dict[str, float | None]:
        """Mean milliseconds of a point's nodes, without routing, and what of them does not depend on the maps' size."""
        whole, fixed = None, None
        if measured.nodes:
            shares = node_shares(self.subjects[timed.model].test, timed.point.router)
            whole, fixed = measured.nodes[timed.model].of(shares)
        return {"nodes_ms": whole and 1e3 * whole, "fixed_ms": fixed and 1e3 * fixed}

    def _compositions(self) -> dict[int, Composition]:
        """By the positions of the models."""
        return {
            place: composition(subject, self.further[subject.job])
            for place, subject in enumerate(self.subjects)
            if self.further.get(subject.job)
        }

    def _pixels(self, samples: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs: NDArray[np.float32] = self.images.inputs(self.images.take(samples)).cpu().contiguous().numpy()
        return inputs


def _reason(timed: Timed, reason: str) -> dict[str, str]:
    return {**{name: str(timed.key[name]) for name in ("method", "variant", "point")}, "reason": reason}
