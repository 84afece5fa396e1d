"""The jobs of one method and seed: train, batch-norm statistics, tables, operating points, execution check."""

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from benchmarks import execution
from benchmarks.outcome import Result
from benchmarks.pathtable import collect, collect_statistics
from benchmarks.plan import Candidate, Plan
from benchmarks.points import Identity, Tables
from benchmarks.progress import Progress
from benchmarks.store import Record, key_of, sources
from benchmarks.training import TrainingSet, train
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.storage import load, load_backbone, load_tensors, save
from methods.table import PathTable

TRAINING_SOURCES = (
    "methods/**/*.py", "methods/backbones/registry.toml", "datasets/*.py",
    "benchmarks/training.py", "benchmarks/images.py", "benchmarks/recipes.py",
)  # fmt: skip
TABLE_SOURCES = (*TRAINING_SOURCES, "benchmarks/pathtable.py")
CHECK_SOURCES = (*TABLE_SOURCES, "benchmarks/execution.py")

Work = Callable[[], Generator[Progress, None, dict[str, Any]]]


class Do(Protocol):
    """Does a job, or finds it done; gives its record."""

    def __call__(
        self, description: str, kind: str, name: str, inputs: dict[str, Any], work: Work, files: list[Path]
    ) -> Record: ...


@dataclass(frozen=True)
class Weights:
    """What a training left: its file, the key that identifies it, and the MACs it took."""

    path: Path
    key: str
    macs: float


@dataclass(frozen=True)
class MethodJobs:
    """One candidate with one seed; `plain` is the trained plain network of that seed, if there is one."""

    plan: Plan
    do: Do
    candidate: Candidate
    seed: int
    label: str
    plain: Weights | None

    def run(self) -> tuple[Result, Weights]:
        """All jobs in order: what they found, and the weights others may start from."""
        trained = self._train()
        job = self.plan.job_name(self.candidate.name, self.candidate.variant, self.seed, trained.key)
        path = self.plan.folder / "models" / f"{job}.safetensors"
        statistics_key = self._statistics(job, trained, path)
        tables = self._tables(job, path, statistics_key)
        model = self._with_points(path, tables.fit)
        agreements, operators = self._check(job, model, tables.test, statistics_key)
        identity = self._identity(model, trained)
        found = Result(self.candidate, self.seed, job, path, tables, model.points, agreements, operators, identity)
        return found, trained

    def _identity(self, model: AdjustableModel, trained: Weights) -> Identity:
        return Identity(
            self.candidate.name,
            self.candidate.variant,
            self.plan.config.backbone,
            self.plan.dataset,
            self.seed,
            parameters=sum(p.numel() for p in model.parameters()),
            storage_bytes=sum(t.numel() * t.element_size() for t in model.tensors().values()),
            train_macs=trained.macs,
        )

    def _train(self) -> Weights:
        plan, candidate = self.plan, self.candidate
        initial = self._initial()
        inputs = {
            "method": candidate.name,
            "settings": candidate.trained_settings,
            "backbone": plan.config.backbone,
            "classes": len(plan.data.classes),
            "image_shape": plan.image_shape,
            "seed": self.seed,
            "recipe": plan.recipe.model_dump(mode="json"),
            "initial": initial[1] if initial else None,
            "data": plan.split_keys() | {"flip": plan.data.flip, "crop": plan.data.crop},
            "device": plan.device.type,
            "torch": torch.__version__,
            "sources": sources(*TRAINING_SOURCES),
        }
        key = key_of(inputs)
        job = plan.job_name(candidate.name, candidate.trained_variant, self.seed, key)
        weights = plan.folder / "checkpoints" / f"{job}.safetensors"
        resume = weights.with_suffix(".epoch.safetensors")

        def work() -> Generator[Progress, None, dict[str, Any]]:
            model = plan.model(candidate, self.seed)
            if initial:
                load_backbone(model, initial[0])
            data = TrainingSet(plan.train_images, plan.parts.train, plan.data.flip, plan.data.crop)
            trained = yield from train(model, data, plan.recipe, self.seed, resume)
            save(model, weights, candidate.name, plan.config.backbone)
            resume.unlink(missing_ok=True)
            return {"images": trained.images, "seconds": trained.seconds, "losses": trained.losses}

        record = self.do(f"{self.label}: training", "train", job, inputs, work, [weights])
        before = self.plain.macs if self.plain and candidate.initial == "plain" else 0.0
        return Weights(weights, key, before + candidate.training_macs * record.result["images"])

    def _initial(self) -> tuple[Path, str] | None:
        """The weights a training starts from, and what identifies them."""
        if self.candidate.initial is None:
            return None
        if self.candidate.initial == "plain":
            if self.plain is None:
                raise MethodError("it starts from the plain network, whose training failed")
            return self.plain.path, self.plain.key
        path = Path(self.candidate.initial)
        return path, hashlib.sha256(path.read_bytes()).hexdigest()

    def _statistics(self, job: str, trained: Weights, path: Path) -> str:
        """Weights with the statistics of every variant, in `path`; the key that identifies them."""
        plan, candidate = self.plan, self.candidate
        samples = plan.statistics_samples
        inputs = {
            "train": trained.key,
            "samples": key_of({"samples": samples.tolist()}),
            "settings": key_of(candidate.settings.model_dump(mode="json")),
            "sources": sources(*TABLE_SOURCES),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            model = plan.model(candidate, self.seed)
            model.load_tensors(load_tensors(trained.path)[0])
            model.to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            yield from collect_statistics(model, plan.train_images, samples)
            save(model, path, candidate.name, plan.config.backbone)
            return {"images": len(samples)}

        self.do(f"{self.label}: batch-norm statistics", "statistics", job, inputs, work, [path])
        return key_of(inputs)

    def _tables(self, job: str, model: Path, statistics_key: str) -> Tables:
        """Both path tables; that of the calibration images is stored with *fit* first, *select* behind it."""
        parts = self.plan.parts
        both = np.concatenate([parts.fit, parts.select])
        calibration = self._table(job, model, "calibration", both, statistics_key)
        everything = np.arange(len(self.plan.data.test.labels))
        test = self._table(job, model, "test", everything, statistics_key)
        fit, select = np.split(np.arange(len(both)), [len(parts.fit)])
        return Tables(calibration.part(fit), calibration.part(select), test)

    def _table(self, job: str, model: Path, split: str, samples: Any, statistics_key: str) -> PathTable:
        plan = self.plan
        path = plan.folder / "paths" / f"{job}.{split}.npz"
        data = plan.data.train if split == "calibration" else plan.data.test
        inputs = {"statistics": statistics_key, "split": split, "data": data.fingerprint}

        def work() -> Generator[Progress, None, dict[str, Any]]:
            images = plan.train_images if split == "calibration" else plan.test_images
            costs, ids = self.candidate.costs, data.ids[samples]
            table = yield from collect(loaded(plan, model), costs, images, samples, ids)
            table.save(path)
            return {"samples": len(samples), "answers": len(table.answers)}

        self.do(f"{self.label}: table of {split} images", f"table-{split}", job, inputs, work, [path])
        return PathTable.load(path)

    def _with_points(self, path: Path, fit: PathTable) -> AdjustableModel:
        """The model with its operating points, which are written into its file as well."""
        model = loaded(self.plan, path)
        chosen = tuple(model.operating_points(fit, self.plan.config.points))
        if model.points != chosen:
            model.points = chosen
            save(model, path, self.candidate.name, self.plan.config.backbone)
        return model

    def _check(
        self, job: str, model: AdjustableModel, test: PathTable, statistics_key: str
    ) -> tuple[list[execution.Agreement], list[str]]:
        """Execute every point on some test images (their labels play no part); what runs and is not counted."""
        inputs = {
            "statistics": statistics_key,
            "points": [point.model_dump(mode="json") for point in model.points],
            "test": self.plan.data.test.fingerprint,
            "sources": sources(*CHECK_SOURCES),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            found = yield from execution.check(model, model.points, test, self.plan.test_images)
            uncounted = execution.operators(model, model.points, self.plan.test_images)
            return {"agreements": [agreement.model_dump() for agreement in found], "uncounted_operators": uncounted}

        record = self.do(f"{self.label}: executed against simulated", "execution", job, inputs, work, [])
        found = record.result
        agreements = [execution.Agreement.model_validate(row) for row in found["agreements"]]
        return agreements, found["uncounted_operators"]


def loaded(plan: Plan, path: Path) -> AdjustableModel:
    """A stored model on the plan's device."""
    return load(path).to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
