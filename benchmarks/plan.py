"""From a configuration to everything a run needs, with all that can be wrong found before any training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import benchmarks.data
from benchmarks.config import MethodSpec, RunConfig
from benchmarks.core.errors import UsageError
from benchmarks.data.base import DataSet, Split
from benchmarks.data.batches import Images
from benchmarks.data.splits import Partition, statistics_images
from benchmarks.held_out import divided, in_folds
from benchmarks.store import key_of, safe
from benchmarks.training.recipes import Recipe, adjusted
from methods import plugins
from methods.base import AdjustableModel, ImageShape, MethodSettings
from methods.cost import Costs
from methods.registry import create, method_class, nearest, parse_settings, variant
from methods.storage import load_part


@dataclass(frozen=True)
class Candidate:
    """One method with its settings on one backbone, checked: it can be built, and its costs are counted.

    `starts`: what parts of the model begin with, other trainings of the run or files; `training_macs`: mean MACs
    of its own training per image seen; `elsewhere`: whether a part was trained elsewhere, on images nobody knows.
    """

    name: str
    settings: MethodSettings
    backbone: str
    costs: Costs
    starts: Mapping[str, "Candidate | Path"]
    warnings: tuple[str, ...]
    training_macs: float
    elsewhere: bool = False

    @property
    def variant(self) -> str:
        """What differs from the method's defaults."""
        return variant(self.settings)

    @property
    def label(self) -> str:
        """The method as a user writes it: `sdpoint`, `sdpoint:bn=uniform`."""
        return self.name if self.variant == "default" else f"{self.name}:{self.variant}"

    @property
    def trained_variant(self) -> str:
        """The same without what training does not depend on."""
        return variant(self.settings.for_training())

    @property
    def trained_settings(self) -> dict[str, Any]:
        """The settings that training depends on; the others are at their defaults."""
        return self.settings.for_training().model_dump(mode="json")

    @property
    def trained_label(self) -> str:
        """What is trained, as a user writes it: `plain:size=16 resnet8`."""
        method = self.name if self.trained_variant == "default" else f"{self.name}:{self.trained_variant}"
        return f"{method} {self.backbone}"


@dataclass(frozen=True)
class Plan:
    """A checked run: what to train, on what, and where.

    `fold`: of every test image, [n], where points are cross-fitted; `kept`: seeds and candidates that lie in the folder
    and stay, where some are not asked for; `found`: its run.json.
    """

    config: RunConfig
    recipe: Recipe
    data: DataSet
    parts: Partition
    candidates: tuple[Candidate, ...]
    device: torch.device
    folder: Path
    fold: NDArray[np.int64] | None = None
    kept: tuple[tuple[int, Candidate], ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """The data set's name in all results."""
        return self.config.dataset_name or self.data.name

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height, width."""
        _, channels, height, width = self.data.train.images.shape
        return channels, height, width

    @cached_property
    def train_images(self) -> Images:
        """The training split, calibration images included, on the device."""
        return Images.of(self.data.train, self.data.mean, self.data.std, self.device)

    @cached_property
    def calibration_images(self) -> Images:
        """The split that `fit` and `select` of `parts` are positions in, on the device."""
        split = self.data.calibration
        return self.train_images if split is None else Images.of(split, self.data.mean, self.data.std, self.device)

    @property
    def calibrating(self) -> Split:
        """The split that `fit` and `select` of `parts` are positions in."""
        return self.data.train if self.data.calibration is None else self.data.calibration

    @cached_property
    def test_images(self) -> Images:
        """The test split on the device; without the half that calibrates, where one does."""
        return Images.of(self.data.test, self.data.mean, self.data.std, self.device)

    @cached_property
    def statistics_samples(self) -> NDArray[np.int64]:
        """The fixed list of unaugmented training images that batch-norm statistics come from."""
        return statistics_images(self.parts.train)

    def model(self, candidate: Candidate, seed: int) -> AdjustableModel:
        """A fresh model of a candidate."""
        classes = len(self.data.classes)
        model = create(candidate.name, candidate.settings, candidate.backbone, classes, self.image_shape, seed)
        model.mean, model.std = self.data.mean, self.data.std
        return model

    @property
    def everything(self) -> tuple[Candidate, ...]:
        """Every candidate that lies in the folder or was asked for, in this order, the reference first."""
        found: list[Candidate] = []
        for one in (*(kept for _, kept in self.kept), *self.candidates):
            if all((one.name, one.settings) != (other.name, other.settings) for other in found):
                found.append(one)
        return tuple(sorted(found, key=lambda one: bool(self.kept) and one.label != "plain"))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that lies in the folder or was asked for; where others lie there, in order."""
        found = {seed for seed, _ in self.kept} | {*self.config.seeds}
        return tuple(sorted(found)) if self.kept else self.config.seeds

    def jobs(self) -> Iterator[tuple[int, Candidate]]:
        """Seed by seed, every candidate in the order it was asked for, the reference first."""
        wanted = [(seed, one.name, one.settings) for seed in self.config.seeds for one in self.candidates]
        wanted += [(seed, one.name, one.settings) for seed, one in self.kept]
        for seed in self.seeds:
            for one in self.everything:
                if (seed, one.name, one.settings) in wanted:
                    yield seed, one

    def job_name(self, method: str, variant: str, backbone: str, seed: int, key: str) -> str:
        """`<method>-<variant>-<backbone>-<dataset>-s<seed>-<hash8>`, the name of a job's files."""
        return f"{safe(f'{method}-{variant}-{backbone}-{self.dataset}')}-s{seed}-{key[:8]}"

    @property
    def about_data(self) -> str:
        """One line on what is trained and tested on: a folder level too high or a swapped split is seen here."""
        data, parts = self.data, self.parts
        where = "other images" if data.calibration is not None else "of them"
        calibrate = f"{len(parts.fit) + len(parts.select):,} {where} to calibrate"
        _, height, width = self.image_shape
        names = ", ".join(data.classes[:3]) + (", ..." if len(data.classes) > 3 else "")
        return (
            f"{self.dataset}: {len(data.classes)} classes ({names}), {len(data.train):,} training images, "
            f"{calibrate}, {len(data.test):,} test images, {width} x {height} pixels"
        )

    def split_keys(self) -> dict[str, str]:
        """Hashes of what training may depend on: never of the test split, nor of other images that calibrate."""
        own = ("train", "fit", "select") if self.data.calibration is None else ("train",)
        lists = {part: getattr(self.parts, part).tolist() for part in own}
        return {"train": self.data.train.fingerprint, "partition": key_of(lists)}


def prepare(config: RunConfig, asks: bool = True) -> Plan:
    """Load the data and try every method on it without training anything.

    `asks`: whether it matters where networks were trained; who only looks how a method behaves calibrates on training
    images whatever they are.
    UsageError, DataError or MethodError, each one line, for whatever the user has to change.
    """
    chosen = adjusted(config.recipe, config.epochs, config.group("recipe"))
    device = _device(config)
    torch.set_num_threads(config.threads)
    for file in config.plugin:
        plugins.add(file)
    specs = config.specs()
    settings = {(spec.name, parse_settings(spec.name, spec.settings)): None for spec in specs}
    _check_owners(config, specs)
    data = benchmarks.data.load(config.dataset, config.data_root, config.group(config.dataset))
    shape = data.train.images.shape[1:]
    candidates = [
        _candidate(name, given, config.backbone, len(data.classes), (shape[0], shape[1], shape[2]))
        for name, given in settings  # two spellings of the same settings are one candidate
    ]
    foreign = [candidate.label for candidate in candidates if candidate.elsewhere] if asks else []
    data, parts = divided(data, config, foreign)
    data, fold = in_folds(data, config.cross_fit)
    return Plan(config, chosen, data, parts, tuple(candidates), device, config.folder(), fold)


def candidate(plan: Plan, name: str, settings: MethodSettings) -> Candidate:
    """Another method of a plan; MethodError where it cannot be built."""
    return _candidate(name, settings, plan.config.backbone, len(plan.data.classes), plan.image_shape)


def _candidate(name: str, settings: MethodSettings, backbone: str, classes: int, image_shape: ImageShape) -> Candidate:
    model = create(name, settings, backbone, classes, image_shape, seed=0)
    starts: dict[str, Candidate | Path] = {}
    for part, start in model.initial_weights().items():
        if isinstance(start, Path):
            load_part(model, part, start)
            starts[part] = start
        else:
            plain = method_class("plain").Settings.model_validate({"size": start.size})
            starts[part] = _candidate("plain", plain, start.backbone, classes, image_shape)
    costs = model.costs()
    warnings, macs = tuple(model.warnings(costs)), model.training_macs(costs)
    return Candidate(name, settings, model.backbone.spec, costs, starts, warnings, macs, _elsewhere(model, starts))


def _elsewhere(model: AdjustableModel, starts: Mapping[str, Candidate | Path]) -> bool:
    """Whether a part of a model was trained elsewhere: it begins with a file, or keeps weights that it came with."""
    begun = any(isinstance(start, Path) or start.elsewhere for start in starts.values())
    return begun or any(getattr(module, "keeps_statistics", False) for module in model.modules())


def _device(config: RunConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no CUDA device is available here; use --device cpu")
    # float32 is to mean float32: TF32 would differ by more than a threshold's margin across batch shapes
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(auto if config.device == "auto" else config.device)


def _check_owners(config: RunConfig, specs: list[MethodSpec]) -> None:
    """Every `--set` must belong to something that is part of the run."""
    owners = {spec.name: None for spec in specs} | {config.dataset: None, "recipe": None}
    for key in config.set:
        owner = key.partition(".")[0]
        if owner not in owners:
            raise UsageError(f"--set {key}: '{owner}' is not part of this run; {nearest(owner, owners)}")
