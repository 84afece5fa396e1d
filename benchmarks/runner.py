"""A run: jobs done in order, each a record, each done once."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import outputs
from benchmarks.accumulated import with_kept
from benchmarks.core.environment import describe
from benchmarks.core.patience import Hung, patience
from benchmarks.core.progress import Job, Progress, drive
from benchmarks.evaluation.profiler import record
from benchmarks.jobs import MethodJobs
from benchmarks.models import Checked
from benchmarks.outcome import Outcome, Result, failure, of_the_machine
from benchmarks.plan import Candidate, Plan
from benchmarks.provenance import COUNTING, contents, sources
from benchmarks.store import Record, Store, Work
from benchmarks.timing.bench import KIND, Bench, machine
from benchmarks.timing.conditions import PROTOCOLS, conditions, usual_batches
from benchmarks.timing.subjects import Subject
from benchmarks.trainings import Trainings
from methods.backbones import build
from methods.cost import convolutional, ptflops_macs
from methods.counting import count

Show = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]
"""Opens a display for a job's description, which is told of its progress."""


class Runner:
    """Does the jobs of a plan, or finds them done, beside what lies in the folder; `say` is told of what stays there,
    what is left out, and what is damaged and made again, a line each."""

    def __init__(self, plan: Plan, show: Show, say: Callable[[str], None] = lambda line: None) -> None:
        self.store = Store(plan.folder, say)
        self.plan = plan = with_kept(plan, self.store, say)
        self.show = show
        self.place, self.parts = 0, len(list(plan.jobs())) + 1 + (plan.config.latency != "off")
        self.outcome = Outcome(environment=describe(plan.device))  # now: what is committed meanwhile did not run
        self.trainings = Trainings(plan, self._do, self.store.vouch, say)
        contents()  # read now: what is edited during the run is not what ran

    def run(self) -> Outcome:
        """All jobs, then the files of section "what a run leaves behind"; a failing method is reported."""
        self.store.prepare()
        for seed, candidate in self.plan.jobs():
            self.place += 1
            self._guarded(self._label(candidate, seed), lambda s=seed, c=candidate: self._method(c, s))  # type: ignore[misc]
        self.place += 1
        self._guarded("counters", self._counters)
        if self.plan.config.latency != "off" and self.outcome.results:
            self.place += 1
            self._guarded("latency", self._timing)
        outputs.write(self.plan, self.store, self.outcome)
        return self.outcome

    def _guarded(self, label: str, work: Callable[[], None]) -> None:
        """Do `work`; its failure is reported and is not the others', unless it is the machine's.

        A method that ends the process, as a plugin's may, has failed, and so has one that hangs.
        """
        try:
            with patience(self.plan.config.patience) as self.heard:
                work()
        except (Exception, SystemExit, Hung) as error:
            if of_the_machine(error):
                raise
            self.outcome.failures.append(failure(label, error))

    def _label(self, candidate: Candidate, seed: int) -> str:
        return candidate.label + (f" (seed {seed})" if len(self.plan.seeds) > 1 else "")

    def _method(self, candidate: Candidate, seed: int) -> None:
        label = self._label(candidate, seed)
        self.outcome.results.append(MethodJobs(self.trainings, candidate, seed, label).run())

    def _do(
        self, description: str, kind: str, name: str, inputs: dict[str, Any], work: Work, files: list[Path]
    ) -> Record:
        record = self.store.finished(kind, name, inputs, files)
        if record is None:
            with self.show(Job(description, self.place, self.parts)) as shown:

                def progress(step: Progress) -> None:
                    self.heard()
                    shown(step)

                record = drive(self.store.do(kind, name, inputs, work, files), progress)
        if all(record.key != other.key for other in self.outcome.records):  # variants may share a job
            self.outcome.records.append(record)
        return record

    def _counters(self) -> None:
        """The backbone's MACs by the count, by torch's profiler and by ptflops, which knows convolutional networks."""
        plan = self.plan
        inputs = {
            "backbone": plan.config.backbone,
            "classes": len(plan.data.classes),
            "image_shape": plan.image_shape,
            "versions": [torch.__version__, self.outcome.environment["ptflops"]],
            "sources": sources(COUNTING),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            with torch.random.fork_rng(devices=[]):
                backbone = build(plan.config.backbone, len(plan.data.classes)).eval()
            image = torch.zeros(1, *plan.image_shape)
            with torch.no_grad():
                counted, recorded = count(lambda: backbone(image)), record(lambda: backbone(image))
            yield Progress(1, 2)
            other = ptflops_macs(backbone, plan.image_shape) if convolutional(counted) else None
            yield Progress(2, 2)
            return {
                "torch": counted.macs,
                "profiler": None if recorded.untold | counted.unshaped else recorded.macs,
                "ptflops": other,
                "outside_per_mac": sum(counted.outside.values()) / counted.macs,
            }

        self.outcome.counters = self._do("MACs by three counters", "counters", "all", inputs, work, []).result

    def _timing(self) -> None:
        """Latency of every executed point of the lowest seed, all methods interleaved in one run."""
        plan = self.plan
        seed = min(result.seed for result in self.outcome.results)
        bench = Bench(
            tuple(_subject(result) for result in self.outcome.results if result.seed == seed),
            plan.test_images,
            plan.data.test.labels,
            plan.data.test.fingerprint,
            machine(self.outcome.environment),
            plan.config.plugin,
        )
        protocol = PROTOCOLS[plan.config.latency]
        batches = usual_batches(plan.image_shape[-1])
        for condition in conditions(protocol, batches, [torch.get_num_threads()], plan.device.type):
            inputs, label = bench.inputs(condition), condition.label
            self._do(f"latency: {label}", KIND, label, inputs, partial(bench.work, condition), [])


def _subject(result: Result) -> Subject:
    """The points whose execution was checked and agreed: others have no latency."""
    identity = {name: getattr(result.identity, name) for name in ("method", "variant", "backbone", "dataset", "seed")}
    points = tuple(point for point in result.points if point.name in result.executed)
    model = Checked(result.model, result.hashes["model"], bool(result.candidate.settings.files()))
    return Subject(result.job, identity, model, points, result.tables.test)
