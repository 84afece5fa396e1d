"""A run: jobs done in order, each a record, each done once."""

import hashlib
import traceback
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import execution, latency, outputs
from benchmarks.errors import TrainingError
from benchmarks.pathtable import collect, collect_statistics
from benchmarks.plan import Candidate, Plan
from benchmarks.points import Identity, Tables
from benchmarks.progress import Progress, drive
from benchmarks.store import Record, Store, key_of, sources
from benchmarks.training import TrainingSet, train
from methods.backbones import build
from methods.base import AdjustableModel
from methods.cost import count, ptflops_macs
from methods.errors import MethodError
from methods.routers import Constant, OperatingPoint, simulate
from methods.storage import load, load_backbone, load_tensors, save
from methods.table import PathTable

Show = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]
"""Opens a display for a job's description, which is told of its progress."""

TRAINING_SOURCES = ("methods/**/*.py", "datasets/*.py", "benchmarks/training.py", "benchmarks/images.py")
TABLE_SOURCES = (*TRAINING_SOURCES, "benchmarks/pathtable.py")
TIMING_SOURCES = (*TABLE_SOURCES, "benchmarks/latency.py")
CHECKED_IMAGES = 512


@dataclass(frozen=True)
class Weights:
    """What a training left: its file, the key that identifies it, and the MACs it took."""

    path: Path
    key: str
    macs: float


@dataclass
class Result:
    """One trained and tabled method of one seed."""

    candidate: Candidate
    seed: int
    job: str
    model: Path
    tables: Tables
    points: tuple[OperatingPoint, ...]
    agreements: list[execution.Agreement]
    identity: Identity


@dataclass
class Outcome:
    """What a run produced, and what failed on the way."""

    results: list[Result] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    counters: dict[str, Any] = field(default_factory=dict)
    latencies: list[dict[str, Any]] = field(default_factory=list)
    raw_latencies: list[dict[str, Any]] = field(default_factory=list)


def of_the_machine(error: Exception) -> bool:
    """Whether an error would meet every other job as well: a full disk, no memory, no permission."""
    return isinstance(error, OSError | MemoryError) or "out of memory" in str(error).lower()


def _failure(label: str, error: Exception) -> dict[str, str]:
    """What is reported of a failed method; a trace only where the error is not one we explain."""
    if isinstance(error, MethodError | TrainingError):
        return {"name": label, "message": str(error)}
    message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return {"name": label, "message": message, "trace": "".join(traceback.format_exception(error))}


class Runner:
    """Does the jobs of a plan, or finds them done."""

    def __init__(self, plan: Plan, show: Show) -> None:
        self.plan = plan
        self.show = show
        self.store = Store(plan.folder)
        self.outcome = Outcome()
        self._plain: dict[int, Weights] = {}
        for patterns in (TRAINING_SOURCES, TABLE_SOURCES, TIMING_SOURCES):
            sources(*patterns)

    def run(self) -> Outcome:
        """All jobs, then the files of section "what a run leaves behind"; a failing method is reported."""
        self.store.prepare()
        for seed, candidate in self.plan.jobs():
            label = self._label(candidate, seed)

            def method(candidate: Candidate = candidate, seed: int = seed, label: str = label) -> None:
                self.outcome.results.append(self._method(candidate, seed, label))

            self._guarded(label, method)
        self._counters()
        if self.plan.config.latency == "quick" and self.outcome.results:
            self._guarded("latency", self._timing)
        outputs.write(self.plan, self.store, self.outcome)
        return self.outcome

    def _guarded(self, label: str, work: Callable[[], None]) -> None:
        """Do `work`; its failure is reported and is not the others', unless it is the machine's."""
        try:
            work()
        except Exception as error:
            if of_the_machine(error):
                raise
            self.outcome.failures.append(_failure(label, error))

    def _label(self, candidate: Candidate, seed: int) -> str:
        variant = "" if candidate.variant == "default" else f":{candidate.variant}"
        return f"{candidate.name}{variant}" + (f" (seed {seed})" if len(self.plan.config.seeds) > 1 else "")

    def _do(
        self, description: str, kind: str, name: str, inputs: dict[str, Any],
        work: Callable[[], Generator[Progress, None, dict[str, Any]]], files: list[Path],
    ) -> Record:  # fmt: skip
        record = self.store.finished(kind, name, inputs, files)
        if record is None:
            with self.show(description) as progress:
                record = drive(self.store.do(kind, name, inputs, work, files), progress)
        if all(record.key != other.key for other in self.outcome.records):  # variants may share a job
            self.outcome.records.append(record)
        return record

    def _method(self, candidate: Candidate, seed: int, label: str) -> Result:
        trained = self._train(candidate, seed, label)
        job = self.plan.job_name(candidate.name, candidate.variant, seed, trained.key)
        path = self.store.root / "models" / f"{job}.safetensors"
        statistics_key = self._statistics(candidate, seed, label, job, trained, path)
        calibration = self._table(candidate, label, job, path, "calibration", statistics_key)
        test = self._table(candidate, label, job, path, "test", statistics_key)
        halves = self._halves(calibration)
        chosen = tuple(self._loaded(path).operating_points(halves[0], self.plan.config.points))
        model = self._with_points(path, chosen, candidate)
        agreements = self._check(label, job, model, chosen, test, statistics_key)
        return Result(
            candidate, seed, job, path, Tables(*halves, test), chosen, agreements,
            Identity(
                candidate.name, candidate.variant, self.plan.config.backbone, self.plan.dataset, seed,
                parameters=sum(p.numel() for p in model.parameters()),
                storage_bytes=sum(t.numel() * t.element_size() for t in model.tensors().values()),
                train_macs=trained.macs,
            ),
        )  # fmt: skip

    def _train(self, candidate: Candidate, seed: int, label: str) -> Weights:
        plan = self.plan
        initial = self._initial(candidate, seed)
        inputs = {
            "method": candidate.name,
            "settings": candidate.trained_settings,
            "backbone": plan.config.backbone,
            "classes": len(plan.data.classes),
            "image_shape": plan.image_shape,
            "seed": seed,
            "recipe": plan.recipe.model_dump(mode="json"),
            "initial": initial[1] if initial else None,
            "data": plan.split_keys() | {"flip": plan.data.flip, "crop": plan.data.crop},
            "device": plan.device.type,
            "torch": torch.__version__,
            "sources": sources(*TRAINING_SOURCES),
        }
        key = key_of(inputs)
        job = plan.job_name(candidate.name, candidate.trained_variant, seed, key)
        weights = self.store.root / "checkpoints" / f"{job}.safetensors"
        resume = weights.with_suffix(".epoch.safetensors")

        def work() -> Generator[Progress, None, dict[str, Any]]:
            model = plan.model(candidate, seed)
            if initial:
                load_backbone(model, initial[0])
            data = TrainingSet(plan.train_images, plan.parts.train, plan.data.flip, plan.data.crop)
            trained = yield from train(model, data, plan.recipe, seed, resume)
            save(model, weights, candidate.name, plan.config.backbone)
            resume.unlink(missing_ok=True)
            return {"images": trained.images, "seconds": trained.seconds, "losses": trained.losses}

        record = self._do(f"{label}: training", "train", job, inputs, work, [weights])
        before = self._plain[seed].macs if candidate.initial == "plain" else 0.0
        macs = before + candidate.training_macs * record.result["images"]
        trained = Weights(weights, key, macs)
        if candidate.name == "plain":
            self._plain[seed] = trained
        return trained

    def _initial(self, candidate: Candidate, seed: int) -> tuple[Path, str] | None:
        """The weights a training starts from, and what identifies them."""
        if candidate.initial is None:
            return None
        if candidate.initial == "plain":
            if seed not in self._plain:
                raise MethodError("it starts from the plain network, whose training failed")
            return self._plain[seed].path, self._plain[seed].key
        path = Path(candidate.initial)
        return path, hashlib.sha256(path.read_bytes()).hexdigest()

    def _statistics(self, candidate: Candidate, seed: int, label: str, job: str, trained: Weights, path: Path) -> str:
        plan = self.plan
        samples = plan.statistics_samples
        inputs = {"train": trained.key, "samples": key_of({"samples": samples.tolist()})}
        inputs |= {"settings": key_of(candidate.settings.model_dump(mode="json"))}
        inputs |= {"sources": sources(*TABLE_SOURCES)}

        def work() -> Generator[Progress, None, dict[str, Any]]:
            model = plan.model(candidate, seed)
            model.load_tensors(load_tensors(trained.path)[0])
            model.to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            yield from collect_statistics(model, plan.train_images, samples)
            save(model, path, candidate.name, plan.config.backbone)
            return {"images": len(samples)}

        self._do(f"{label}: batch-norm statistics", "statistics", job, inputs, work, [path])
        return key_of(inputs)

    def _table(
        self, candidate: Candidate, label: str, job: str, model: Path, split: str, statistics_key: str
    ) -> PathTable:
        plan = self.plan
        path = self.store.root / "paths" / f"{job}.{split}.npz"
        of_training = split == "calibration"
        data = plan.data.train if of_training else plan.data.test
        samples = np.concatenate([plan.parts.fit, plan.parts.select]) if of_training else np.arange(len(data.labels))
        inputs = {"statistics": statistics_key, "split": split, "data": data.fingerprint}

        def work() -> Generator[Progress, None, dict[str, Any]]:
            images = plan.train_images if of_training else plan.test_images
            table = yield from collect(self._loaded(model), candidate.costs, images, samples, data.ids[samples])
            table.save(path)
            return {"samples": len(samples), "answers": len(table.answers)}

        self._do(f"{label}: table of {split} images", f"table-{split}", job, inputs, work, [path])
        return PathTable.load(path)

    def _halves(self, calibration: PathTable) -> tuple[PathTable, PathTable]:
        """The calibration table is stored with *fit* first, *select* behind it."""
        fit = np.arange(len(self.plan.parts.fit))
        return calibration.part(fit), calibration.part(np.arange(len(fit), len(calibration.labels)))

    def _loaded(self, path: Path) -> AdjustableModel:
        return load(path).to(device=self.plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _with_points(self, path: Path, chosen: tuple[OperatingPoint, ...], candidate: Candidate) -> AdjustableModel:
        """The model with its operating points, in the file as well."""
        model = self._loaded(path)
        if model.points != chosen:
            model.points = chosen
            save(model, path, candidate.name, self.plan.config.backbone)
        return model

    def _check(
        self, label: str, job: str, model: AdjustableModel, chosen: tuple[OperatingPoint, ...],
        test: PathTable, statistics_key: str,
    ) -> list[execution.Agreement]:  # fmt: skip
        """Execute the per-sample points on some test images; their labels play no part."""
        if all(isinstance(point.router, Constant) for point in chosen):
            return []
        samples = np.arange(min(CHECKED_IMAGES, len(test.labels)))
        inputs = {
            "statistics": statistics_key,
            "points": [point.model_dump(mode="json") for point in chosen],
            "test": self.plan.data.test.fingerprint,
            "images": len(samples),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            found = yield from execution.check(model, chosen, test, self.plan.test_images, samples)
            return {"agreements": [agreement.model_dump() for agreement in found]}

        record = self._do(f"{label}: executed against simulated", "execution", job, inputs, work, [])
        return [execution.Agreement.model_validate(row) for row in record.result["agreements"]]

    def _counters(self) -> None:
        """The backbone's MACs by torch's counter and by ptflops: two counters, one convention."""
        plan = self.plan
        inputs = {
            "backbone": plan.config.backbone,
            "classes": len(plan.data.classes),
            "image_shape": plan.image_shape,
            "versions": [torch.__version__, metadata.version("ptflops")],
            "sources": sources("methods/cost.py", "methods/backbones/*.py"),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            with torch.random.fork_rng(devices=[]):
                backbone = build(plan.config.backbone, len(plan.data.classes)).eval()
            _, macs, _ = count(lambda: backbone(torch.zeros(1, *plan.image_shape)))
            yield Progress(1, 2)
            other = ptflops_macs(backbone, plan.image_shape)
            yield Progress(2, 2)
            return {"torch": macs, "ptflops": other}

        self.outcome.counters = self._do("MACs by two counters", "counters", "all", inputs, work, []).result

    def _timing(self) -> None:
        """Latency of every point of the first seed that has any, all methods interleaved in one run."""
        plan = self.plan
        seed = self.outcome.results[0].seed
        first = [result for result in self.outcome.results if result.seed == seed]
        inputs = {
            "models": [[result.job, [p.model_dump(mode="json") for p in result.points]] for result in first],
            "protocol": latency.PROTOCOL,
            "threads": torch.get_num_threads(),
            "device": plan.device.type,
            "sources": sources(*TIMING_SOURCES),
            "test": plan.data.test.fingerprint,
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            timed = [point for result in first for point in self._timed(result)]
            samples = latency.timing_images(plan.data.test.labels, seed=0)
            pixels = plan.test_images

            def inputs_of(chunk: Any) -> torch.Tensor:
                return pixels.inputs(pixels.pixels[torch.from_numpy(chunk).to(plan.device)])

            rows, raw = yield from latency.quick(timed, inputs_of, samples, seed=0)
            return {"rows": rows, "raw": raw}

        record = self._do("latency, all points interleaved", "timing", "all", inputs, work, [])
        self.outcome.latencies, self.outcome.raw_latencies = record.result["rows"], record.result["raw"]

    def _timed(self, result: Result) -> list[latency.Timed]:
        model = self._loaded(result.model)
        identity = {name: getattr(result.identity, name) for name in latency.KEY if name != "point"}
        return [
            latency.Timed(
                key={**identity, "point": point.name},
                model=model,
                point=point,
                macs=result.tables.test.costs.trails(simulate(result.tables.test, point.router).visited),
                plain=result.candidate.name == "plain" and point.decision == "static",
            )
            for point in result.points
        ]
