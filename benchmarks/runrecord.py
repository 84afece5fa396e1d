"""What run.json holds, as types: whoever reads a run relies on them, and a run may be anybody's. Without torch.

A field that stands here is of this kind where it is there; which of them a verb needs is the verb's to say.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Side = Annotated[int, Field(gt=0, lt=2**16)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Figure = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Configuration(_Part):
    methods: list[str] | str = []
    dataset: str = ""
    data_root: str | None = None
    dataset_name: str | None = None
    backbone: str = ""
    recipe: str = ""
    epochs: Count | None = None
    seeds: list[int] | str = []
    device: str = ""
    threads: Count | None = None
    points: Count = 0
    calibration_images: Count | None = None
    calibration: str | None = None
    cross_fit: Count | None = None
    latency: str = ""
    routing: str | None = None
    set: dict[str, str] = {}
    reference: bool = True
    plugin: list[str] = []


class _Recipe(_Part):
    title: str = ""
    epochs: Count = 0
    optimizer: str = ""
    schedule: str = ""


class _Data(_Part):
    name: str = ""
    train_fingerprint: str = ""
    test_fingerprint: str = ""
    classes: list[str] | Count = 0
    train_images: Count = 0
    calibration_images: Count = 0
    split: Count | None = None
    calibration_source: str = ""
    calibration_fingerprint: str = ""
    fold: list[Count] = []
    commonest_class: str = ""
    chance: Figure | None = None
    test_images: Count = 0
    image_shape: list[Side] = Field([], max_length=3)


class _Executed(_Part):
    point: str
    batch: Count
    images: Count
    different: Count
    near: Count
    sample_ids: list[str]


class _Model(_Part):
    job: str
    weights_sha256: str
    tables_sha256: dict[str, str] = {}
    settings: dict[str, Any]
    points: list[dict[str, Any]]
    executed_against_simulated: list[_Executed]
    cross_fit: dict[str, list[dict[str, Any]]] = {}
    files: dict[str, str] = {}


class _Job(_Part):
    key: str
    kind: str
    name: str
    status: str
    seconds: Figure | None
    reused: bool


class _Failure(_Part):
    name: str
    message: str


class _Record(_Part):
    name: str | None = None
    configuration: _Configuration = _Configuration()
    recipe: _Recipe = _Recipe()
    environment: dict[str, str | bool | Figure | None] = {}
    timing_environment: dict[str, str | bool | Figure | None] = {}
    data: _Data = _Data()
    models: list[_Model] = []
    jobs: list[_Job] = []
    plain_macs: dict[str, Figure | None] = {}
    warnings: list[str] = []
    uncounted_operators: list[str] = []
    failures: list[_Failure] = []
    timing: list[dict[str, Any]] = []
    files: dict[str, str] = {}


def hash_of(record: Any, name: str) -> str | None:
    """The SHA-256 that run.json has of a table beside it; None where it has none, or is none."""
    files = record.get("files") if isinstance(record, dict) else None
    found = files.get(name) if isinstance(files, dict) else None
    return found if isinstance(found, str) else None


def check(record: Any) -> None:
    """ValueError, one line, where a field of run.json is of another kind than it is written as."""
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
