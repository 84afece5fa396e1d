"""Replaying an entry: its weights are executed on the images, and what they say is compared with what it says.

The weights have to be of the entry's seeds. One sweep computes every answer on every image; points are chosen again on
the *fit* half; the routers are followed through the answers; and every point is executed on some images, as a run does
it. Rounding differs across machines and batch shapes: an image may be decided otherwise
only within `execution.NEAR` of a threshold or a tie, and at most one in a thousand may.
"""

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.core.errors import UsageError
from benchmarks.core.progress import drive
from benchmarks.data.base import DataSet, Split
from benchmarks.data.batches import Images
from benchmarks.data.splits import Partition, partition, statistics_images
from benchmarks.evaluation import execution
from benchmarks.evaluation.collecting import collect
from benchmarks.leaderboard import executed_answers, origin
from benchmarks.leaderboard.bundle import machine_of, numbered
from benchmarks.leaderboard.entry import EXPLAINED, Entry, Replay, Seed
from benchmarks.leaderboard.packing import unpack, unpack_texts
from benchmarks.leaderboard.recount import cost_problems
from benchmarks.leaderboard.weight_files import stored_of
from benchmarks.store import key_of
from benchmarks.stored import places
from methods.base import AdjustableModel
from methods.registry import method_class
from methods.routers import OperatingPoint
from methods.routing import closest, simulate
from methods.storage import built
from methods.table import PathTable

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Replayed:
    """What a replay found: decisions compared, those that differ, and why it does not agree, if so."""

    compared: int
    different: int
    problems: tuple[str, ...]

    def record(self, entry: Entry, environment: Mapping[str, Any]) -> Replay:
        """What the entry carries of it."""
        return Replay(
            kind="replay",
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            suite_version=environment["suite_version"],
            torch=environment["torch"],
            device=environment["device"],
            machine=machine_of(environment),
            content=entry.digest,
            compared=self.compared,
            different=self.different,
        )


def weights_of(entry: Entry, folders: list[Path]) -> list[Path]:
    """The weights of every seed, found by their hash in these folders; UsageError says where they can be had."""
    files = {path for folder in folders for path in folder.glob("*.safetensors")}
    wanted = {seed.weights.sha256: seed for seed in entry.seeds}
    sizes = {seed.weights.bytes for seed in entry.seeds}
    hashes = {_sha256(path): path for path in sorted(files) if path.stat().st_size in sizes}
    for digest, seed in wanted.items():
        if digest not in hashes:
            where = (
                f"they are at {seed.weights.address}" if seed.weights.address else "name the run that has them, --run"
            )
            raise UsageError(f"the weights of seed {seed.seed}, {digest[:8]}, are not in {_names(folders)}: {where}")
    return [hashes[digest] for digest in wanted]


def replay(entry: Entry, weights: list[Path], data: DataSet, device: torch.device) -> Iterator[tuple[str, Replayed]]:
    """Replay every seed of an entry, giving what it found; UsageError if these are not the entry's images."""
    for split, own, said in (
        ("training", data.train.fingerprint, entry.dataset.train_fingerprint),
        ("test", data.test.fingerprint, entry.dataset.test_fingerprint),
    ):
        if own != said:
            raise UsageError(f"the {split} images are not those of the entry: their hashes differ")
    whole = (*cost_problems(entry), *_split(entry, data), *origin.problems(entry, weights))
    for seed, path in zip(entry.seeds, weights, strict=True):
        with torch.inference_mode():
            found = _seed(entry, seed, path, data, device)
        yield f"seed {seed.seed}", Replayed(found.compared, found.different, (*whole, *found.problems))


def _split(entry: Entry, data: DataSet) -> list[str]:
    """What of an entry's training is not as the data set says it: the parts of its training images, and how they are
    varied."""
    parts, trained = parts_of(entry, data), entry.training
    lists = {part: getattr(parts, part).tolist() for part in ("train", "fit", "select")}
    facts = {
        "partition of the training images": (trained.partition, key_of(lists)),
        "images that batch-norm statistics come from": (
            trained.statistics, key_of({"samples": statistics_images(parts.train).tolist()}),
        ),
        "mirroring of training images": (trained.flip, data.flip),
        "shift of training images": (trained.crop, data.crop),
    }  # fmt: skip
    return [f"the {what}: not the data set's" for what, (said, found) in facts.items() if said != found]


def parts_of(entry: Entry, data: DataSet) -> Partition:
    """The parts of the training images, by the version of the split that the entry was made under."""
    return partition(data.train.labels, version=entry.training.split)


def _seed(entry: Entry, seed: Seed, path: Path, data: DataSet, device: torch.device) -> Replayed:
    try:
        stored = stored_of(entry, path)
    except UsageError as error:
        return Replayed(0, 0, (str(error),))
    model = built(stored).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    points = [OperatingPoint.model_validate({"name": one.name, "router": one.router}) for one in seed.points]
    problems = _foreign(entry, model, points)
    if problems:
        return Replayed(0, 0, tuple(problems))
    test, images = _table(model, data.test, data, np.array(unpack_texts(entry.ids)), device)
    select, _ = _table(model, data.train, data, np.array(unpack_texts(entry.select_ids)), device)
    fit, _ = _table(model, data.train, data, data.train.ids[parts_of(entry, data).fit].astype(str), device)
    problems = executed_answers.problems(test, select, fit, seed)
    chosen = tuple(model.operating_points(fit, entry.configuration.points))
    problems += executed_answers.points_problems(seed, chosen, fit)
    compared, different = 0, 0
    for place, point in enumerate(points):
        for table, said_trail, said in (
            (test, seed.test_trail, unpack(seed.test_prediction)),
            (select, seed.select_trail, unpack(seed.select_right)),
        ):
            own = table.prediction.T if table is test else table.correct.T
            count, differ, unexplained = _compared(table, point, own, said, unpack(said_trail)[:, place], seed)
            compared, different = compared + count, different + differ
            if unexplained:
                problems.append(
                    f"seed {seed.seed}, {point.name}: {unexplained} of {count} images are decided otherwise"
                )
    problems += [
        f"seed {seed.seed}, {one.point}: executed in batches of {one.batch}, {one.different} images differ"
        for one in drive(execution.check(model, points, test, images), lambda _: None)
        if not one.holds
    ]
    return Replayed(compared, different, tuple(problems))


def _foreign(entry: Entry, model: AdjustableModel, points: list[OperatingPoint]) -> list[str]:
    """Why weights are not of the model that the entry describes."""
    problems = []
    outputs = tuple(output.name for output in model.graph.outputs)
    shown = (model.image_shape, model.backbone.classes)
    if type(model) is not method_class(entry.method) or shown != (entry.dataset.image_shape, entry.dataset.classes):
        problems.append("the weights' file is of another method, for other images or other classes than the entry")
    if outputs != entry.costs.outputs or tuple(points) != model.points:
        problems.append("the weights' file has other answers or operating points than the entry")
    if model.settings.model_dump(mode="json") != entry.settings or model.backbone.spec != entry.backbone:
        problems.append("the weights' file is of other settings or another backbone than the entry")
    return problems


def _table(
    model: AdjustableModel, split: Split, data: DataSet, names: NDArray[np.str_], device: torch.device
) -> tuple[PathTable, Images]:
    images = Images.of(split, data.mean, data.std, device)
    rows = places(split.ids.astype(str), names)
    return drive(collect(model, model.costs(), images, rows, split.ids[rows]), lambda _: None), images


def _compared(
    table: PathTable, point: OperatingPoint, own: Any, said: Whole, said_trail: Whole, seed: Seed
) -> tuple[int, int, int]:
    """Images, those that are decided otherwise, and those of these that rounding does not explain."""
    known = {trail: number for number, trail in enumerate(seed.trails)}
    trail, n = numbered(table, point, known), len(table.labels)
    samples = np.arange(n)
    routing = simulate(table, point.router)
    ends = np.array([trail[-1] for trail in seed.trails])[said_trail]
    differ = np.flatnonzero((trail != said_trail) | (own[samples, routing.answer] != said[samples, ends]))
    part, visited = table.part(differ), routing.visited[differ, : len(table.answers)].T
    tie = ((part.margin <= execution.NEAR) & visited).any(axis=0)
    near = int((tie | (closest(part, point.router) <= execution.NEAR)).sum())
    allowed = len(differ) == near <= max(1, EXPLAINED * n)
    return n, len(differ), 0 if allowed else len(differ)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _names(folders: list[Path]) -> str:
    return " or ".join(str(folder) for folder in folders)
