"""The data sets that entries may be about, from reports/leaderboard/datasets.toml: the anchor against other images.

Hashes are of what an entry carries itself, so that it can be judged without the images.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.core.errors import UsageError
from benchmarks.leaderboard.entry import FOLDER, Entry
from benchmarks.leaderboard.fields import Sha256
from benchmarks.leaderboard.packing import unpack, unpack_texts

FILE = FOLDER / "datasets.toml"


class Parts(BaseModel):
    """What of a data set a version of the split decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train_images: int
    calibration_images: int
    select_ids_sha256: str = Sha256
    partition: str = Sha256
    statistics: str = Sha256


class Registered(BaseModel):
    """One data set: what an entry about it has to carry, and whether methods are ranked on it, with the reason.

    `split`: what was so under earlier versions of the split, by their number, where it was otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str
    ranked: bool
    reason: str
    public: bool
    source: str
    settings: dict[str, str] = {}
    rooted: bool
    train_fingerprint: str = Sha256
    test_fingerprint: str = Sha256
    labels_sha256: str = Sha256
    ids_sha256: str = Sha256
    select_ids_sha256: str = Sha256
    partition: str = Sha256
    statistics: str = Sha256
    flip: bool
    crop: int
    classes: int = Field(ge=2)
    train_images: int
    calibration_images: int
    test_images: int
    image_shape: tuple[int, int, int]
    split: dict[str, Parts] = {}

    def under(self, split: int) -> "Registered":
        """What an entry has to carry that was made under a version of the split."""
        parts = self.split.get(str(split))
        return self if parts is None else self.model_copy(update=parts.model_dump())


def registered(file: Path = FILE) -> dict[str, Registered]:
    """All registered data sets by name; UsageError where the file is damaged."""
    try:
        rows: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        return {name: Registered.model_validate(row) for name, row in rows.items()}
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{file} cannot be read: {' '.join(str(error).split())}") from None


def of_board(folder: Path) -> dict[str, Registered]:
    """The registered data sets of a leaderboard's folder; of one that has no such file, the suite's own."""
    file = folder / FILE.name
    return registered(file if file.exists() else FILE)


def hash_of_numbers(values: NDArray[np.int64]) -> str:
    """SHA-256 of whole numbers, the same on every platform."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i8").tobytes()).hexdigest()


def hash_of_texts(texts: Sequence[str]) -> str:
    """SHA-256 of texts in their order, one a line."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def carried(entry: Entry) -> dict[str, Any]:
    """What an entry says of its data set, in the words of datasets.toml."""
    hashes = {
        "labels_sha256": hash_of_numbers(unpack(entry.labels)),
        "ids_sha256": hash_of_texts(unpack_texts(entry.ids)),
        "select_ids_sha256": hash_of_texts(unpack_texts(entry.select_ids)),
        "partition": entry.training.partition,
        "statistics": entry.training.statistics,
    }
    return entry.dataset.facts() | augmented(entry) | hashes


def augmented(entry: Entry) -> dict[str, Any]:
    """How training images are varied: the data set says it, in both divisions."""
    return entry.training.model_dump(include={"flip", "crop"})


def block(name: str, facts: Mapping[str, Any]) -> str:
    """The lines that register a data set, for datasets.toml; its title and the reason are its author's to write."""
    about = {"title": "", "ranked": True, "reason": "", "public": True}
    return "\n".join([f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in (about | dict(facts)).items())])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {json.dumps(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)
