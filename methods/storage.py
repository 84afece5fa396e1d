"""Models on disk: safetensors, which hold numbers and text and cannot run code."""

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from methods.base import AdjustableModel, check_fit
from methods.errors import MethodError
from methods.registry import create, method_class
from methods.routers import Argmax, OperatingPoint


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


def load(path: Path, trust: bool = False) -> AdjustableModel:
    """The model that `save` wrote, in evaluation mode; MethodError if the file is corrupt or foreign.

    A model that takes networks from Python files of the user's runs those files: only if `trust` is given.
    """
    tensors, metadata = load_tensors(path)
    if "model" not in metadata:
        raise MethodError(f"{path} holds weights but no model description: it was not saved by this suite")
    try:
        described = Description.model_validate_json(metadata["model"])
        model = _built(described, trust)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise MethodError(f"{path} describes a model this version does not know: {reason}") from None
    except (RuntimeError, ArithmeticError, MethodError) as error:
        reason = str(error).splitlines()[0]
        raise MethodError(f"{path} describes a model that cannot be built: {reason}") from None
    model.load_tensors(tensors)
    return model.eval()


def _built(described: Description, trust: bool) -> AdjustableModel:
    """The model described, with weights that do not matter."""
    settings = method_class(described.method).Settings.model_validate(described.settings)
    if settings.files() and not trust:
        raise MethodError(f"building it runs {', '.join(settings.files())}: load it with trust=True if you trust that")
    model = create(described.method, settings, described.backbone, described.classes, described.image_shape, seed=0)
    answers, outputs = range(len(model.tree.names)), range(len(model.tree.outputs))
    for point in described.points:
        probes = {point.router.probe} if isinstance(point.router, Argmax) else set()
        if not probes <= set(outputs[len(answers) :]) or not set(point.router.outputs) - probes <= set(answers):
            raise MethodError(f"point '{point.name}' asks for an answer that the model does not have")
    model.points = tuple(described.points)
    model.mean, model.std = described.mean, described.std
    return model


def load_part(model: AdjustableModel, part: str, path: Path) -> None:
    """Start the sub-module `part` of `model` from a stored model's backbone, or from bare backbone weights."""
    tensors, _ = load_tensors(path)
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


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors beside `path` and rename, so that an interruption leaves nothing half-written."""
    partial = path.with_suffix(".partial")
    try:
        own = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
        save_file(own, partial, metadata)  # clones, as safetensors refuses what shares memory: tied weights
        partial.replace(path)
    except SafetensorError as error:
        raise OSError(f"cannot write {path}: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts of a safetensors file; MethodError if it is missing or not one."""
    if not path.is_file():
        raise MethodError(f"there is no weights file {path}")
    try:
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MethodError(f"{path} is not a readable safetensors file ({error}); pickles are never loaded") from None
