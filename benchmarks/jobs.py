"""The jobs of one method and seed: training, batch-norm statistics, tables, operating points, execution check."""

from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.core.progress import Progress
from benchmarks.evaluation import execution
from benchmarks.evaluation.collecting import collect, collect_statistics
from benchmarks.evaluation.cross_fit import CrossFit, fitted
from benchmarks.evaluation.points import Identity, Tables
from benchmarks.evaluation.second_opinion import Opinion, opinions
from benchmarks.outcome import Result
from benchmarks.plan import Candidate, Plan
from benchmarks.provenance import EXECUTION, TABLE, sources
from benchmarks.store import Record, key_of
from benchmarks.trainings import Trainings, Weights
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.metering import drawn
from methods.routers import OperatingPoint
from methods.storage import load_tensors, read, restore, save
from methods.table import PathTable


@dataclass(frozen=True)
class MethodJobs:
    """One candidate with one seed."""

    trainings: Trainings
    candidate: Candidate
    seed: int
    label: str

    @property
    def plan(self) -> Plan:
        return self.trainings.plan

    def run(self) -> Result:
        """All jobs in order, and what they found."""
        candidate = self.candidate
        trained = self.trainings.weights(candidate, self.seed)
        job = self.plan.job_name(candidate.name, candidate.variant, candidate.backbone, self.seed, trained.key)
        path = self.plan.folder / "models" / f"{job}.safetensors"
        statistics = self._statistics(job, trained, path)
        tables, hashes = self._tables(job, path, statistics)
        model, vouching, cross_fit = self._with_points(path, tables, statistics)
        more = [] if cross_fit is None else cross_fit.points()
        agreements, costs = self._check(job, model, more, tables.test, statistics.key)
        identity = self._identity(model, trained)
        remarks = tuple(model.remarks(tables.fit))
        about = (candidate, self.seed, job, path, hashes | {"model": _written(vouching)}, tables, model.points)
        return Result(*about, agreements, costs, identity, remarks, cross_fit)

    def _identity(self, model: AdjustableModel, trained: Weights) -> Identity:
        return Identity(
            self.candidate.name,
            self.candidate.variant,
            self.candidate.backbone,
            self.plan.dataset,
            self.seed,
            parameters=sum(p.numel() for p in model.parameters()),
            storage_bytes=sum(t.numel() * t.element_size() for t in model.tensors().values()),
            train_macs=trained.macs,
        )

    def _statistics(self, job: str, trained: Weights, path: Path) -> Record:
        """Weights with the statistics of every variant, in `path`; the record that vouches for them."""
        plan, candidate = self.plan, self.candidate
        samples = plan.statistics_samples
        inputs = {
            "train": trained.key,
            "samples": key_of({"samples": samples.tolist()}),
            "settings": key_of(candidate.settings.model_dump(mode="json")),
            "sources": sources(TABLE, (candidate.name,)),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            model = plan.model(candidate, self.seed)
            model.load_tensors(load_tensors(trained.path, trained.sha256)[0])
            model.to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            yield from collect_statistics(model, plan.train_images, samples)
            save(model, path, candidate.name, candidate.backbone)
            return {"images": len(samples)}

        return self.trainings.do(f"{self.label}: batch-norm statistics", "statistics", job, inputs, work, [path])

    def _tables(self, job: str, model: Path, statistics: Record) -> tuple[Tables, dict[str, str]]:
        """All path tables and their hashes; that of the calibration images is stored with *fit* first, *select*
        behind it. Where the work of answers depends on the image, that of decisions at random is among them."""
        parts = self.plan.parts
        both = np.concatenate([parts.fit, parts.select])
        calibration, one = self._table(job, model, "calibration", both, statistics.key)
        everything = np.arange(len(self.plan.data.test.labels))
        test, other = self._table(job, model, "test", everything, statistics.key)
        fit, select = np.split(np.arange(len(both)), [len(parts.fit)])
        hashes = {"calibration": one, "test": other}
        random = None
        if self.candidate.costs.varying:
            random, hashes["random"] = self._table(job, model, "random", everything, statistics.key)
        return Tables(calibration.part(fit), calibration.part(select), test, random), hashes

    def _table(
        self, job: str, model: Path, split: str, samples: NDArray[np.int64], statistics_key: str
    ) -> tuple[PathTable, str]:
        plan = self.plan
        path = plan.folder / "paths" / f"{job}.{split}.npz"
        data = plan.calibrating if split == "calibration" else plan.data.test
        inputs = {"statistics": statistics_key, "split": split, "data": data.fingerprint}
        if split == "calibration" and plan.data.calibration is not None:
            inputs["samples"] = key_of({"samples": samples.tolist()})  # of training images the training depends on them

        def work() -> Generator[Progress, None, dict[str, Any]]:
            images = plan.calibration_images if split == "calibration" else plan.test_images
            costs, ids = self.candidate.costs, data.ids[samples]
            network = loaded(plan, self.candidate, self.seed, model)
            with drawn(torch.Generator().manual_seed(0)) if split == "random" else nullcontext():
                table = yield from collect(network, costs, images, samples, ids)
            table.save(path)
            return {"samples": len(samples), "answers": len(table.answers)}

        label = f"{self.label}: table of {'test images, decided at random' if split == 'random' else f'{split} images'}"
        record = self.trainings.do(label, f"table-{split}", job, inputs, work, [path])
        return PathTable.load(path, _written(record) or None), _written(record)

    def _with_points(
        self, path: Path, tables: Tables, statistics: Record
    ) -> tuple[AdjustableModel, Record, CrossFit | None]:
        """The model with its operating points, which are written into its file as well; its record then vouches for
        that. And the routers of folds."""
        model, cross_fit = loaded(self.plan, self.candidate, self.seed, path), None
        chosen = tuple(model.operating_points(tables.fit, self.plan.config.points))
        if self.plan.fold is not None:
            chosen, cross_fit = fitted(model, chosen, tables.test, self.plan.fold)
        if model.points != chosen:
            model.points = chosen
            save(model, path, self.candidate.name, self.candidate.backbone)
            statistics = self.trainings.vouch(statistics, [path])
        return model, statistics, cross_fit

    def _check(
        self, job: str, model: AdjustableModel, more: list[OperatingPoint], test: PathTable, statistics_key: str
    ) -> tuple[list[execution.Agreement], list[Opinion]]:
        """Execute every point on some test images (their labels play no part), and count what that takes twice.

        `more`: points that are executed beside those of the model.
        """
        points = [*model.points, *more]
        inputs = {
            "statistics": statistics_key,
            "points": [point.model_dump(mode="json") for point in points],
            "test": self.plan.data.test.fingerprint,
            "sources": sources(EXECUTION, (self.candidate.name,)),
        }

        def work() -> Generator[Progress, None, dict[str, Any]]:
            found = yield from execution.check(model, points, test, self.plan.test_images)
            costs = opinions(model, model.points, test, self.plan.test_images)
            return {"agreements": [one.model_dump() for one in found], "opinions": [one.model_dump() for one in costs]}

        record = self.trainings.do(f"{self.label}: executed against simulated", "execution", job, inputs, work, [])
        found = record.result
        agreements = [execution.Agreement.model_validate(row) for row in found["agreements"]]
        return agreements, [Opinion.model_validate(row) for row in found["opinions"]]


def _written(record: Record) -> str:
    """The hash of the one file that a job wrote; empty where nothing is recorded."""
    return next(iter(record.files.values()), "")


def loaded(plan: Plan, candidate: Candidate, seed: int, path: Path) -> AdjustableModel:
    """A candidate with the weights and points of a file, on the plan's device.

    It is built as this call's configuration says; what the file says of itself only has to agree. MethodError where it
    does not.
    """
    stored = read(path)
    about = stored.described
    own = candidate.name, candidate.settings.model_dump(mode="json"), candidate.backbone
    if (about.method, about.settings, about.backbone) != own:
        raise MethodError(f"{path} describes another model than {candidate.label}: delete it and run again")
    model = restore(plan.model(candidate, seed), stored)
    return model.to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
