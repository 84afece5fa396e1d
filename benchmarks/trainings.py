"""Training as jobs: each network is trained once a run and seed, whoever asks for it."""

import hashlib
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks.core.progress import Progress
from benchmarks.core.trust import sha256
from benchmarks.plan import Candidate, Plan
from benchmarks.provenance import TRAINING, data_set, source_of, sources
from benchmarks.store import Record, Work, key_of
from benchmarks.training.loop import TrainingSet, readable, train
from methods import plugins
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.foreign import Foreign, parted
from methods.storage import load_part, save


class Do(Protocol):
    """Does a job, or finds it done; gives its record."""

    def __call__(
        self, description: str, kind: str, name: str, inputs: dict[str, Any], work: Work, files: list[Path]
    ) -> Record: ...


@dataclass(frozen=True)
class Weights:
    """What a training left: its file with its SHA-256 where that is recorded, the key that identifies it, and the MACs
    it took, what it began with included.

    The MACs are NaN where a part was trained elsewhere.
    """

    path: Path
    sha256: str | None
    key: str
    macs: float


@dataclass(frozen=True)
class Training:
    """A training as a job: everything its result depends on, and where that lies."""

    inputs: dict[str, Any]
    name: str
    path: Path

    @property
    def key(self) -> str:
        """What identifies its result."""
        return key_of(self.inputs)

    @property
    def resume(self) -> Path:
        """The state after its last whole epoch."""
        return self.path.with_suffix(".epoch.safetensors")


def unvouched(record: Record, files: list[Path]) -> Record:
    """Vouch for nothing, where nothing is recorded."""
    return record


@dataclass
class Trainings:
    """The trained networks of a run, made when they are asked for.

    `vouch`: writes that a record's files are now others; `say`: told of what is damaged.
    """

    plan: Plan
    do: Do
    vouch: Callable[[Record, list[Path]], Record] = unvouched
    say: Callable[[str], None] = lambda line: None
    known: dict[tuple[str, int], Weights | Exception] = field(default_factory=dict)

    def weights(self, candidate: Candidate, seed: int) -> Weights:
        """The candidate trained with this seed. What failed once fails again, without another attempt."""
        asked = (candidate.trained_label, seed)
        if asked not in self.known:
            try:
                self.known[asked] = self._train(candidate, seed)
            except Exception as error:
                self.known[asked] = error
                raise
        found = self.known[asked]
        if isinstance(found, Exception):
            raise MethodError(f"the training of {candidate.trained_label} failed: {found}")
        return found

    def _train(self, candidate: Candidate, seed: int) -> Weights:
        plan, job = self.plan, training(self.plan, candidate, seed)
        starts = {part: self._start(start, seed) for part, start in candidate.starts.items()}

        def work() -> Generator[Progress, None, dict[str, Any]]:
            model = plan.model(candidate, seed)
            for part, start in starts.items():
                load_part(model, part, start.path, start.sha256)
            data = TrainingSet(plan.train_images, plan.parts.train, plan.data.flip, plan.data.crop)
            if job.resume.exists() and not readable(job.resume):
                self.say(f"made again: {job.resume} is damaged: the training starts over")
            trained = yield from train(model, data, plan.recipe, seed, job.resume)
            save(model, job.path, candidate.name, candidate.backbone)
            return {"images": trained.images, "seconds": trained.seconds, "losses": trained.losses}

        several = f" (seed {seed})" if len(plan.seeds) > 1 else ""
        what = candidate.trained_label.removesuffix(f" {plan.config.backbone}")
        record = self.do(f"{what}{several}: training", "train", job.name, job.inputs, work, [job.path])
        job.resume.unlink(missing_ok=True)  # not before the record says that the training is done
        macs = math.nan if candidate.settings.files() else candidate.training_macs * record.result["images"]
        whole = macs + sum(start.macs for start in starts.values())
        return Weights(job.path, record.files.get(f"checkpoints/{job.path.name}"), job.key, whole)

    def _start(self, start: Candidate | Path, seed: int) -> Weights:
        """Weights a part of a model begins with: of another training, or of a file whose training nobody counted."""
        if isinstance(start, Candidate):
            return self.weights(start, seed)
        digest = sha256(start)
        return Weights(start, digest, digest, math.nan)


def training(plan: Plan, candidate: Candidate, seed: int) -> Training:
    """The training of a candidate, which may or may not have been done."""

    def begins(start: Candidate | Path) -> str:
        return training(plan, start, seed).key if isinstance(start, Candidate) else sha256(start)

    inputs = {
        "method": candidate.name,
        "settings": candidate.trained_settings,
        "backbone": candidate.backbone,
        "classes": len(plan.data.classes),
        "image_shape": plan.image_shape,
        "seed": seed,
        "recipe": plan.recipe.model_dump(mode="json"),
        "starts": {part: begins(start) for part, start in candidate.starts.items()},
        "data": plan.split_keys() | {"flip": plan.data.flip, "crop": plan.data.crop},
        "data_sources": data_set(plan.config.dataset),
        "device": plan.device.type,
        "threads": plan.config.threads,
        "torch": torch.__version__,
        "sources": sources(TRAINING, (candidate.name,)),
    }
    if plugin := plugins.digest(candidate.name):
        inputs["plugin"] = plugin
    if candidate.settings.files():
        inputs["brought"] = brought(plan.model(candidate, seed))
    name = plan.job_name(candidate.name, candidate.trained_variant, candidate.backbone, seed, key_of(inputs))
    return Training(inputs, name, plan.folder / "checkpoints" / f"{name}.safetensors")


def brought(model: AdjustableModel) -> str:
    """What identifies the networks of the user's in a model: the files that make them, the weights they come with."""
    digest = hashlib.sha256()
    for location in model.settings.files():
        digest.update(source_of(parted(location)[0]).encode())
    for module in model.modules():
        for name, value in module.state_dict().items() if isinstance(module, Foreign) else ():
            digest.update(name.encode() + value.cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
