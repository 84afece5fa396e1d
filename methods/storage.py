"""Models on disk: safetensors, which hold numbers and text and cannot run code."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from methods.base import AdjustableModel, MethodSettings, check_fit
from methods.batchnorm import STATISTICS
from methods.errors import MethodError
from methods.received import DigestError, SizeError, content, metadata
from methods.registry import create, entries, method_class
from methods.routers import Argmax, OperatingPoint
from methods.sizes import outline
from methods.written import write


class Description(BaseModel):
    """What is needed to build a model again before its weights are filled in."""

    model_config = ConfigDict(extra="forbid")
    method: str
    settings: dict[str, Any]
    backbone: str
    classes: int
    image_shape: tuple[int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    points: list[OperatingPoint]


def save(model: AdjustableModel, path: Path, method: str, backbone: str) -> None:
    """Write a model, its statistics and its operating points; `path` is complete or absent."""
    description = Description(
        method=method,
        settings=model.settings.model_dump(),
        backbone=backbone,
        classes=model.backbone.classes,
        image_shape=model.image_shape,
        mean=model.mean,
        std=model.std,
        points=list(model.points),
    )
    save_tensors(model.tensors(), path, {"model": description.model_dump_json()})


@dataclass(frozen=True)
class Stored:
    """What a model's file holds: tensors by name, and the description of the model; nothing is built yet."""

    path: Path
    tensors: dict[str, Tensor]
    described: Description

    @cached_property
    def settings(self) -> MethodSettings:
        """The settings described; MethodError where the method is unknown, or these are none of it."""
        try:
            return method_class(self.described.method).Settings.model_validate(self.described.settings)
        except ValidationError as error:
            raise _unknown(self.path, error) from None
        except MethodError as error:
            raise _unbuildable(self.path, error) from None

    @property
    def files(self) -> tuple[str, ...]:
        """Python files of a user's, FILE.py:FUNCTION, that building the model runs."""
        return self.settings.files()

    def check_size(self) -> None:
        """MethodError where the model described has other weights than are stored, or too many: nothing is built.

        Models of a user's files and methods are not looked at: how large those are is theirs to say.
        """
        about = self.described
        if self.files or about.method not in entries():
            return
        try:
            wanted = outline(about.method, self.settings, about.backbone, about.classes, about.image_shape)
        except MethodError as error:
            raise _unbuildable(self.path, error) from None
        check_fit(wanted, {name: t for name, t in self.tensors.items() if not name.startswith(STATISTICS)})


def read(path: Path, sha256: str | None = None) -> Stored:
    """What `save` wrote, without building anything; MethodError if the file is corrupt, foreign, or not the one with
    this SHA-256."""
    tensors, texts = load_tensors(path, sha256)
    if "model" not in texts:
        raise MethodError(f"{path} holds weights but no model description: it was not saved by this suite")
    try:
        return Stored(path, tensors, Description.model_validate_json(texts["model"]))
    except ValidationError as error:
        raise _unknown(path, error) from None


def load(path: Path, trust: bool = False) -> AdjustableModel:
    """The model that `save` wrote, in evaluation mode; MethodError if the file is corrupt or foreign.

    A model that takes networks from Python files of the user's runs those files: only if `trust` is given.
    """
    stored = read(path)
    if stored.files and not trust:
        raise MethodError(
            f"{path} describes a model whose networks come from Python files: building it runs "
            f"{', '.join(stored.files)}: load it with trust=True if you trust that"
        )
    return built(stored)


def built(stored: Stored) -> AdjustableModel:
    """The model described, with its weights and points, in evaluation mode; it runs `stored.files`."""
    about = stored.described
    try:
        model = create(about.method, stored.settings, about.backbone, about.classes, about.image_shape, seed=0)
    except (RuntimeError, ArithmeticError, MethodError) as error:
        raise _unbuildable(stored.path, error) from None
    model.mean, model.std = about.mean, about.std
    return restore(model, stored)


def restore(model: AdjustableModel, stored: Stored) -> AdjustableModel:
    """`model` with the weights and points of a file, in evaluation mode; MethodError where they are of another."""
    answers, outputs = range(len(model.graph.names)), range(len(model.graph.outputs))
    for point in stored.described.points:
        probes = {point.router.probe} if isinstance(point.router, Argmax) else set()
        if not probes <= set(outputs[len(answers) :]) or not set(point.router.outputs) - probes <= set(answers):
            missing = MethodError(f"point '{point.name}' asks for an answer that the model does not have")
            raise _unbuildable(stored.path, missing)
    model.points = tuple(stored.described.points)
    model.load_tensors(stored.tensors)
    return model.eval()


def _unknown(path: Path, error: ValidationError) -> MethodError:
    return MethodError(f"{path} describes a model this version does not know: {error.errors()[0]['msg']}")


def _unbuildable(path: Path, error: Exception) -> MethodError:
    return MethodError(f"{path} describes a model that cannot be built: {str(error).partition(chr(10))[0]}")


def load_part(model: AdjustableModel, part: str, path: Path, sha256: str | None = None) -> None:
    """Start the sub-module `part` of `model` from a stored model's backbone, or from bare backbone weights.

    MethodError where they do not fit, or the file is not the one with this SHA-256.
    """
    tensors, _ = load_tensors(path, sha256)
    prefix = "backbone." if any(k.startswith("backbone.") for k in tensors) else ""
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    module = model.get_submodule(part)
    wrapped = {f"network.{name}": value for name, value in weights.items()}
    if wrapped.keys() == module.state_dict().keys():  # torchvision's own names
        weights = wrapped
    try:
        check_fit(module.state_dict(), weights)
    except MethodError as error:
        raise MethodError(f"{path}: {error}") from None
    module.load_state_dict(weights)


def save_tensors(tensors: dict[str, Tensor], path: Path, texts: dict[str, str]) -> None:
    """Write tensors and texts; `path` is whole or as it was before."""
    own = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    write(path, safetensors.save(own, texts))  # clones, as safetensors refuses what shares memory: tied weights


def load_tensors(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts of a safetensors file; MethodError if it is missing, not one, or not the one with this SHA-256.

    The file is opened once: the bytes that are hashed are those that are parsed.
    """
    if not path.is_file():
        raise MethodError(f"there is no weights file {path}")
    try:
        found = content(path, sha256)
        texts = metadata(found)
        return safetensors.load(found), texts
    except DigestError:
        raise MethodError(f"{path} is not the file that was recorded: its hash differs") from None
    except SizeError as error:
        raise MethodError(f"{path} is not read: {error}") from None
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise MethodError(f"{path} is not a readable safetensors file ({error}); pickles are never loaded") from None
