"""What a run is asked to do: typed, validated, the same from the command line and from a TOML file."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator

from benchmarks.core.errors import UsageError
from benchmarks.core.patience import MINUTES
from benchmarks.store import safe
from methods.registry import entries, nearest

MOST_SEEDS = 1000
"""Seeds that a range may name: more is a slip of the hand."""


class MethodSpec(BaseModel):
    """A method and the settings it is trained with, from `sdpoint` or `sdpoint:bn=uniform:every=2`."""

    model_config = ConfigDict(frozen=True)
    name: str
    settings: dict[str, str] = {}

    @classmethod
    def parse(cls, text: str) -> "MethodSpec":
        name, *parts = text.strip().split(":")
        return cls(name=name, settings=_pairs(_rejoined(parts), text))


class RunConfig(BaseModel):
    """The configuration of one run, as recorded in run.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    methods: tuple[str, ...] = Field(("sdpoint", "earlyexit"), min_length=1)
    dataset: str = "shapes"
    data_root: Path | None = None
    dataset_name: str | None = None
    backbone: str = "resnet8"
    recipe: str = "smoke"
    epochs: int | None = Field(None, ge=1, le=100_000)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field((0,), min_length=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1, le=1024)
    points: int = Field(20, ge=2, le=1000)
    calibration_images: int | None = Field(None, ge=1)
    calibration: Path | None = None
    cross_fit: int | None = Field(None, ge=2, le=20)
    latency: Literal["quick", "full", "off"] = "quick"
    patience: float = Field(MINUTES, gt=0, le=100_000)
    routing: Literal["learned"] | None = None
    set: dict[str, str] = {}
    output: Path | None = None
    reference: bool = True
    plugin: tuple[Path, ...] = ()

    @field_validator("methods", mode="before")
    @classmethod
    def _list_of_methods(cls, value: Any) -> Any:
        return [part for part in value.split(",") if part] if isinstance(value, str) else value

    @field_validator("methods")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if not text.strip()[:1].isalpha():
                raise ValueError(f"'{text}' is no method; write the values of a setting as sdpoint:ratios=0.5/0.75")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _list_of_seeds(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [seed for part in value.split(",") if part.strip() for seed in _range(part.strip())]
        return [value] if isinstance(value, int) else value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is named twice: each is one training")
        return seeds

    @field_validator("set", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return {key: _text(v) for key, v in value.items()} if isinstance(value, dict) else value

    @field_serializer("plugin", when_used="json")
    def _names_only(self, files: tuple[Path, ...]) -> list[str]:
        """Folders of this machine are not recorded; what is in the files belongs to the keys of their jobs."""
        return [file.name for file in files]

    def specs(self) -> list[MethodSpec]:
        """The methods to run, the plain reference first; a method named twice is run once."""
        named = [MethodSpec.parse(text) for text in (("plain",) if self.reference else ()) + self.methods]
        full = [
            spec.model_copy(update={"settings": self._routing(spec.name) | self.group(spec.name) | spec.settings})
            for spec in named
        ]
        return [spec for i, spec in enumerate(full) if spec not in full[:i]]

    def _routing(self, name: str) -> dict[str, str]:
        """`--routing` as a setting of one method, where it has a choice."""
        options = entries()[name].options if name in entries() else ()
        chooses = any(option.startswith("routing=") for option in options)
        return {"routing": self.routing} if self.routing and chooses else {}

    def group(self, name: str) -> dict[str, str]:
        """The `--set NAME.key=value` settings of one method, data set or the recipe."""
        return {key.partition(".")[2]: value for key, value in self.set.items() if key.partition(".")[0] == name}

    def name(self) -> str:
        """The name of the run's folder: one for all that is compared on the same data, network and recipe.

        Asking for another method, seed or measurement goes on in the same folder and repeats no training.
        """
        same = {"dataset", "data_root", "dataset_name", "backbone", "recipe", "epochs", "set", "device", "threads"}
        asked = self.model_dump(mode="json", include=same)
        calibrating = self.model_dump(
            mode="json", include={"calibration", "calibration_images", "cross_fit"}, exclude_none=True
        )
        digest = hashlib.sha256(json.dumps(asked | calibrating, sort_keys=True).encode()).hexdigest()
        data = self.dataset_name or self.dataset
        network = self.backbone.replace(":", "-").replace("=", "")
        return f"{safe(f'{data}-{network}', 100)}-{digest[:8]}"

    def folder(self) -> Path:
        """Where the run is written."""
        return self.output or Path("runs") / self.name()


def configure(options: Mapping[str, Any], file: Path | None = None, trust: bool = False) -> RunConfig:
    """A configuration from given options and, below them, a TOML file with the same names.

    UsageError, in one line, for whatever does not fit, and for a Python file that the TOML file alone names: a run
    executes what its command line names, or with `trust` what the file names as well.
    """
    below = _read(file) if file else {}
    values = {**below, **options}
    if isinstance(below.get("set"), dict) and "set" in options:
        values["set"] = below["set"] | options["set"]
    if file and not trust:
        _check_named(file, below, options)
    for key in values:
        if key not in RunConfig.model_fields:
            raise UsageError(f"unknown setting '{key}'; {nearest(key, RunConfig.model_fields)}")
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise UsageError(found) from None


def _check_named(file: Path, below: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """UsageError where the run would execute a Python file that `file` names and no option does."""
    named = [] if "plugin" in options else [below.get("plugin") or ()]
    settings, given = below.get("set"), options.get("set", {})
    if isinstance(settings, dict):
        named += [text for key, text in settings.items() if key not in given and ".py:" in _text(text)]
    if files := ", ".join(_text(text) for text in named if text):
        raise UsageError(
            f"{file} names {files}, which would be executed: give it as an option of the command, or add --trust, if "
            "you trust it"
        )


def settings_from(pairs: list[str]) -> dict[str, str]:
    """`["sdpoint.ratios=0.5", ...]` as a dictionary; UsageError for anything else."""
    found = _pairs(pairs, "--set")
    for key in found:
        if "." not in key.strip("."):
            raise UsageError(f"--set {key}=...: say whose setting it is, for example sdpoint.{key}=...")
    return found


def _pairs(texts: Iterable[str], whole: str) -> dict[str, str]:
    """`key=value` texts as a dictionary; UsageError, with the `whole` they stand in, for anything else."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals):
            raise UsageError(f"{whole}: settings are written key=value, not '{text}'")
        if key in found:
            raise UsageError(f"{whole}: '{key}' is set twice")
        found[key] = value
    return found


def _rejoined(parts: Sequence[str]) -> list[str]:
    """What stands between colons, but for those within a value: of `resnet8:width=4` and `C:/FILE.py:FUNCTION`."""
    found: list[str] = []
    for place, part in enumerate(parts):
        of_a_path = "=" not in part and any(later.endswith(".py") for later in parts[place:])
        if found and (of_a_path or _continues(found[-1], part.partition("/")[0])):
            found[-1] += f":{part}"
        else:
            found.append(part)
    return found


def _continues(before: str, after: str) -> bool:
    """Whether a colon between these is one of a backbone's or one before a function."""
    from methods.backbones import known

    return (before.endswith(".py") and after.isidentifier()) or known(f"{before.split('=')[-1].split('/')[-1]}:{after}")


def _range(text: str) -> Sequence[str | int]:
    """The seeds of `3`, or of `0-4`, which is five; any other text is left for validation to refuse."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        return [text]
    if not 0 <= int(last) - int(first) < MOST_SEEDS:
        raise ValueError(f"{text} names no seeds, or more than {MOST_SEEDS:,}: write the first and the last, 0-4")
    return range(int(first), int(last) + 1)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply") from None
    if isinstance(nested := values.get("set"), dict):
        values["set"] = _flat(nested)
    return values


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    """[set.sdpoint] tables and "sdpoint.ratios" keys alike."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            flat[key] = value
    return flat
