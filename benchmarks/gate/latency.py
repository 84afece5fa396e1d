"""The latency half of a gate: which points race, how a pair of workers is started, and what the race says."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.core.errors import UsageError
from benchmarks.core.trust import NOTHING, Trust
from benchmarks.data.base import DataSet
from benchmarks.data.batches import Images
from benchmarks.gate.duel import Duel, Fresh, Peer, Subject
from benchmarks.gate.exact import ModelKey, comparable
from benchmarks.gate.seen import key_of, recorded
from benchmarks.gate.shift import Shift
from benchmarks.gate.verdicts import Check
from benchmarks.models import checked
from benchmarks.stored import StoredRun, Trained
from benchmarks.timing.subjects import timing_images
from benchmarks.timing.workers import Worker, WorkerError, quiet_cores, started
from methods.thresholds import spread

POINTS = 8
"""Points of a model that are timed, at most: spread over cost, the cheapest and the dearest among them."""
IMAGES = 256


@dataclass(frozen=True)
class Side:
    """A version: the folder of its code, the run whose models it executes, the user's files with their methods, and
    the Python files that may be executed."""

    code: Path
    run: StoredRun
    plugins: tuple[Path, ...] = ()
    trust: Trust = NOTHING

    def models(self) -> list[Trained]:
        """The models of the lowest seed."""
        return [model for model in self.run.models if model.seed == self.run.seeds[0]]

    def requests(self) -> list[dict[str, str | bool]]:
        """Its models as a worker is told of them; UsageError or MethodError where one must not be built."""
        return [checked(self.run, model, self.trust).request() for model in self.models()]

    def load(self, worker: Worker, **arguments: Any) -> None:
        """Have a worker load the models; UsageError where this version's code cannot."""
        plugins = [str(file.resolve()) for file in self.plugins]
        try:
            worker.ask("load", plugins=plugins, **arguments)
        except WorkerError as error:
            raise UsageError(f"the code in {self.code} cannot load the models of {self.run.folder}: {error}") from None


@dataclass(frozen=True)
class Race:
    """Everything a pair of workers needs. `extra`: work inserted into head, a known slowdown."""

    base: Side
    head: Side
    images: Path
    batch: int
    threads: int
    points: int = POINTS
    extra: int = 0

    @cached_property
    def subjects(self) -> list[Subject]:
        """The points to time, model by model; both sides have them."""
        of_head = {key_of(model): place for place, model in enumerate(self.head.models())}
        base, head = recorded(self.base.run), recorded(self.head.run)
        return [
            Subject(f"{'-'.join(map(str, key_of(model)))} {name}", name, place, of_head[key_of(model)])
            for place, model in enumerate(self.base.models())
            for name in timed_points(model, comparable(base[key_of(model)], head[key_of(model)]), self.points)
        ]

    def dearest(self) -> Subject:
        """The timed point with the most MACs."""
        models = self.base.models()
        return max(self.subjects, key=lambda subject: models[subject.base].said[subject.point][0])

    @contextmanager
    def start(self) -> Iterator[Fresh]:
        """Workers of both versions; each pair of fresh processes shares the cores that are quietest then.

        UsageError or MethodError, before any process is started, where a model must not be built.
        """
        sides = (self.base, self.head)
        models = [side.requests() for side in sides]
        with started([self.base.code, self.head.code]) as workers:

            @contextmanager
            def pair() -> Iterator[Sequence[Peer]]:
                cores = list(quiet_cores(self.threads))
                with ExitStack() as ends:
                    for worker, side, told, extra in zip(workers, sides, models, (0, self.extra), strict=True):
                        ends.enter_context(worker.fresh())
                        side.load(
                            worker, models=told, images=str(self.images), batch=self.batch, threads=self.threads,
                            cores=cores, extra=extra,
                        )  # fmt: skip
                    yield workers

            yield pair


def timed_points(model: Trained, names: Sequence[str], limit: int) -> list[str]:
    """Up to `limit` of a model's points `names`, evenly spread over what they cost, cheapest first."""
    costs = np.array([model.said[name][0] for name in names])
    keep = range(len(costs)) if len(costs) <= limit else spread(costs, limit)
    return [names[place] for place in sorted(keep, key=lambda place: float(costs[place]))]


def write_images(data: DataSet, batch: int, path: Path) -> None:
    """A stratified choice of test images, standardised, float32 [n, c, h, w], as .npy."""
    images = Images.of(data.test, data.mean, data.std, torch.device("cpu"))
    order = timing_images(data.test.labels, seed=0, limit=max(IMAGES, batch))
    if len(order) < batch:
        raise UsageError(f"--batch-size {batch}: the data set has {len(order)} test images")
    np.save(path, images.inputs(images.take(order)).contiguous().numpy())


def checks(race: Race, shifts: Mapping[str, Shift], duel: Duel, tolerance: float) -> list[Check]:
    """One check a timed point, in milliseconds a call."""
    keys = {"-".join(map(str, key_of(model))): key_of(model) for model in race.base.models()}
    metric = f"latency ms, batch {race.batch}"
    return [
        check(keys[subject.name.rpartition(" ")[0]], subject, metric, shifts[subject.name], duel, tolerance)
        for subject in race.subjects
    ]


def check(key: ModelKey, subject: Subject, metric: str, shift: Shift, duel: Duel, tolerance: float) -> Check:
    """What the duel found at one subject, in milliseconds a call."""
    calls = [block[0] for pair in duel.pairs for block in pair.get(subject.name, ())]
    base = 1e3 * float(np.median(np.concatenate(calls)))
    low, high = (f"{100 * (value - 1):+.1f}" for value in shift.estimate[1:])
    pairs = len(shift.fresh) or len(shift.screening)
    note = f"{100 * (shift.estimate.mean - 1):+.1f}% ({low} to {high}) in {pairs} pairs, tolerance {tolerance:.1%}"
    return Check(*key, subject.point, metric, base, base * shift.estimate.mean, shift.verdict, note)
