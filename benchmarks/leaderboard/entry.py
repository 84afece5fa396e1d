"""One entry of the leaderboard: a JSON file from which every figure can be recomputed.

Shapes: n test images, m images of the *select* half, a answers, o outputs (answers, then probes), w units of work,
p operating points. Arrays hold one image a row.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)  # fmt: skip

from benchmarks.core.errors import UsageError
from benchmarks.core.written import write_text
from benchmarks.data import splits
from benchmarks.leaderboard import reading
from benchmarks.leaderboard.fields import Count, Loose, Part, Sha256
from benchmarks.leaderboard.packing import Packed
from benchmarks.store import safe
from methods.texts import visible

SCHEMA_VERSION = 1
PROTOCOL = 1
"""Of the measurement: raised when entries made before can no longer be compared with those made after."""
FOLDER = Path(__file__).parents[2] / "reports" / "leaderboard"
EXPLAINED = 0.001
"""Share of images that may be answered otherwise in other batches, all next to a threshold or a tie."""
MOST = 2**16
"""Outputs, units of work, points, trails or seeds that an entry has: SDPoint on DenseNet-BC-190-40 has 9,000 units."""
LOOKED_UP = 2**24
"""Trails by units of work and points, of all seeds together."""
Division = Literal["closed", "open"]
Tier = Literal["self-reported", "reproduced", "verified"]


class Data(Part):
    """What was trained and tested on; `classes` is their number, `image_shape` channels, height, width.

    `source`: the data set of the suite that reads it, with its `settings`, from a folder if it is `rooted`.
    """

    name: str
    source: str
    settings: dict[str, str]
    rooted: bool
    train_fingerprint: str = Sha256
    test_fingerprint: str = Sha256
    classes: int = Field(ge=2)
    train_images: int = Field(ge=1)
    calibration_images: int = Field(ge=1)
    test_images: int = Field(ge=1)
    image_shape: tuple[int, int, int]

    def facts(self) -> dict[str, Any]:
        """What the images are, wherever they are read from."""
        return self.model_dump(exclude={"name", "source", "settings", "rooted"})


class Training(Part):
    """What has to be the same for all of the closed division.

    `partition`, `statistics`: SHA-256 of the lists of images that train and calibrate, and that batch-norm statistics
    come from. `split`: the version of the split that made the lists.
    """

    recipe: Loose
    flip: bool
    crop: int
    precision: str
    partition: str = Sha256
    statistics: str = Sha256
    split: int = Field(1, ge=1, le=splits.VERSION)

    @model_serializer(mode="wrap")
    def _written(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As JSON has it, without the first version: entries made before there were two stay what they are."""
        content: dict[str, Any] = whole(self)
        return content if self.split > 1 else {key: one for key, one in content.items() if key != "split"}

    def facts(self) -> dict[str, Any]:
        """What was done. Two versions of the split may make the same lists: these are compared, not the number."""
        return self.model_dump(exclude={"split"})


class Asked(Part):
    """What of a run's configuration makes this method's part of it, as `run` takes it; a folder stands there only as
    the word DATA_ROOT, and no plugin: methods are the suite's."""

    methods: tuple[str, ...] = Field(min_length=1, max_length=1)
    dataset: str
    data_root: Literal["DATA_ROOT"] | None
    dataset_name: str | None
    backbone: str
    recipe: str
    epochs: int | None
    seeds: tuple[int, ...]
    points: int
    plugin: tuple[()]
    set: dict[str, str]


class Environment(Part):
    """Where it was made; `machine` is a hash of the platform, the processor and the device."""

    suite_version: str
    commit: str | None
    uncommitted_changes: bool
    python: str
    torch: str
    platform: str
    cpu: str
    gpu: str | None
    device: str
    threads: int
    machine: str


class Costs(Part):
    """What one image costs: MACs of every unit of work, and which output uses which, 0 or 1 [o, w]."""

    plain_macs: Count = Field(ge=1)
    outputs: tuple[str, ...] = Field(min_length=1, max_length=MOST)
    answers: int = Field(ge=1)
    work: tuple[str, ...] = Field(min_length=1, max_length=MOST)
    macs: tuple[Count, ...]
    uses: Packed
    parameters: Count
    storage_bytes: Count


class Check(Part):
    """A point executed on test images: how many were answered otherwise than stated, and how many of these lay
    next to a threshold or a tie."""

    batch: int = Field(ge=1)
    images: int = Field(ge=1)
    different: int = Field(ge=0)
    near: int = Field(ge=0)

    @property
    def holds(self) -> bool:
        """All differences are explained, and there are at most 0.1% of them (or one)."""
        return self.images > 0 and self.different == self.near <= max(1, EXPLAINED * self.images)


class Point(Part):
    """One operating point: its router as the suite stores it, and the checks that it was executed."""

    name: str
    router: Loose
    execution: Literal["executed", "simulated"]
    checks: tuple[Check, ...]


class Weights(Part):
    """The trained model's file: beside the entries under its hash (`inline`), at an address, or not published."""

    sha256: str = Sha256
    bytes: int = Field(ge=0)
    inline: bool
    address: str | None = None


class Fit(Part):
    """What points were chosen on: f images of the *fit* half, as far as the choice depends on them.

    `right` [f, a]; `columns`, signals and losses by name [f, a], and `probes`, what each said [f, m]: the bits of
    float32 numbers. What no choice depends on is left out, or NaN.
    """

    right: Packed
    columns: dict[str, Packed]
    probes: dict[str, Packed]


class Seed(Part):
    """One training: its points and what it says on every image.

    `trails`: the outputs an image can go through, the first one first; the last one is its answer. `test_prediction`
    and `test_top5` (1: the label is among the best five) [n, a], `test_trail` [n, p] positions in `trails`;
    `select_right` [m, a] and `select_trail` [m, p] are what the points that are shown were selected on, `fit` what all
    of them were chosen on; None where they depend on no image.
    """

    seed: int
    train_macs: float | None = Field(ge=0)
    weights: Weights
    points: tuple[Point, ...] = Field(min_length=1, max_length=MOST)
    trails: tuple[tuple[int, ...], ...] = Field(min_length=1, max_length=MOST)
    test_prediction: Packed
    test_top5: Packed
    test_trail: Packed
    select_right: Packed
    select_trail: Packed
    fit: Fit | None = None

    @model_serializer(mode="wrap")
    def _written(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As JSON has it, without a `fit` that is not there: entries made before there was one stay what they are."""
        content: dict[str, Any] = whole(self)
        return content if self.fit is not None else {key: one for key, one in content.items() if key != "fit"}


class PointFigures(Part):
    """The figures of one point and seed, under the names of points.csv."""

    seed: int
    point: str
    decision: Literal["static", "per-sample"]
    execution: Literal["executed", "simulated"]
    macs: float
    macs_low: float
    macs_high: float
    macs_max: float
    flops: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    accuracy_top5: float
    samples: int
    selected: bool
    on_frontier: bool
    calibration_macs: float
    calibration_accuracy: float


class BudgetFigures(Part):
    """Accuracy at a share of the plain MACs, mean, lowest and highest seed; None where a seed has no point so cheap."""

    share: float
    accuracy: float | None
    low: float | None
    high: float | None
    macs: float | None


class SummaryFigures(Part):
    """The summary of the frontier: mean over seeds with its t interval; one seed has none."""

    mean: float
    low: float | None
    high: float | None


class Figures(Part):
    """What an entry states; recomputed from its answers it has to be the same."""

    points: tuple[PointFigures, ...]
    budgets: tuple[BudgetFigures, ...]
    summary: SummaryFigures


class Replay(Part):
    """That the weights were executed again, or trained again: when, where, by which suite, and with what result.

    `content` is the digest of the entry that was replayed: whatever is changed afterwards was not. `different` of the
    `compared` decisions were not those of the entry, all within rounding of a threshold or a tie. Of a retraining
    figures are compared, each within the scatter of the entry's seeds.
    """

    kind: Literal["replay", "retraining"]
    date: str
    suite_version: str
    torch: str
    device: str
    machine: str
    content: str = Sha256
    compared: int
    different: int


class Entry(Part):
    """One method, variant, backbone and data set, under one protocol."""

    schema_version: Literal[1]
    protocol: int
    method: str
    variant: str
    method_version: int
    settings: Loose
    backbone: str
    dataset: Data
    division: Division
    tier: Tier
    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    configuration: Asked
    command: str
    tuning: str
    environment: Environment
    training: Training
    costs: Costs
    figures: Figures
    labels: Packed
    ids: Packed
    select_ids: Packed
    seeds: tuple[Seed, ...] = Field(min_length=1, max_length=MOST)
    replays: tuple[Replay, ...] = ()

    @model_validator(mode="after")
    def _of_a_size(self) -> "Entry":
        """What is looked up of every trail has to fit memory: the work it takes, and what it costs at each point."""
        wide = len(self.costs.work)
        if sum(len(seed.trails) * (wide + len(seed.points)) for seed in self.seeds) > LOOKED_UP:
            raise ValueError("too many trails, units of work or points")
        return self

    @property
    def label(self) -> str:
        """The method as a user writes it: `sdpoint`, `sdpoint:bn=uniform`."""
        return self.method if self.variant == "default" else f"{self.method}:{self.variant}"

    @property
    def about(self) -> tuple[str, str, str, str, int, str]:
        """What there is one entry of."""
        return self.method, self.variant, self.backbone, self.dataset.name, self.protocol, self.division

    @property
    def digest(self) -> str:
        """SHA-256 of all that a replay vouches for: everything but the tier and the replays themselves."""
        content = self.model_dump(mode="json", exclude={"tier", "replays"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def file(self) -> str:
        """`<dataset>-<backbone>-<method>-<variant>-p<protocol>-<hash8>.json`."""
        name = safe("-".join((self.dataset.name, self.backbone, self.method, self.variant)))
        return f"{name}-p{self.protocol}-{self.digest[:8]}.json"

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        return tuple(one.seed for one in self.seeds)


def agreed(checks: Sequence[Check]) -> bool:
    """Whether a point was executed and gave what is stated, in batches of every size."""
    return bool(checks) and all(check.holds for check in checks)


def read(path: Path) -> Entry:
    """The entry in a file; UsageError, one line, where it is none that this version can read."""
    try:
        content = reading.text_of(path)
        reading.check(content)
        return Entry.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where + ': ' if where else ''}{first['msg']}"
    except reading.ReadingError as error:
        reason = str(error)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    raise UsageError(f"{path} is no entry this version reads: {visible(reason)}")


def write(entry: Entry, folder: Path) -> Path:
    """Write an entry under its own name, one part a line; gives the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / entry.file
    write_text(path, text(entry))
    return path


def text(entry: Entry) -> str:
    """An entry as JSON: one field a line, and one line for each point and seed."""
    return _lines(entry.model_dump(mode="json"), deep=("figures", "points", "seeds")) + "\n"


def _lines(value: Any, deep: tuple[str, ...]) -> str:
    """JSON in which objects named in `deep` are opened, field by field, and all else stands on one line."""
    if isinstance(value, dict):
        fields = (f"{json.dumps(k)}: {_lines(v, deep) if k in deep else json.dumps(v)}" for k, v in value.items())
        return "{\n" + ",\n".join(fields) + "\n}"
    return "[\n" + ",\n".join(json.dumps(inner) for inner in value) + "\n]"
