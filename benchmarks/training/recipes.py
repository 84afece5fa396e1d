"""Training recipes: data, read from recipes.toml."""

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.core.errors import UsageError
from methods.registry import nearest


class Recipe(BaseModel):
    """How a network is trained. Rates are for the whole batch; `warmup` and `milestones` are in epochs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    title: str
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2)
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup: float = Field(ge=0)
    schedule: Literal["cosine", "steps", "constant"]
    milestones: tuple[float, ...] = ()
    gamma: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.optimizer == "sgd" and self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0: set recipe.nesterov=false as well")
        return self

    def with_epochs(self, epochs: int) -> "Recipe":
        """The same recipe stretched to `epochs`."""
        scale = epochs / self.epochs
        milestones = tuple(m * scale for m in self.milestones)
        return self.model_copy(update={"epochs": epochs, "warmup": self.warmup * scale, "milestones": milestones})

    def rate(self, epoch: float, epochs: float) -> float:
        """Learning rate at `epoch` (a fraction counts) of a stage of `epochs`."""
        scale = epochs / self.epochs
        warmup = self.warmup * scale
        if epoch < warmup:
            return self.lr * (epoch + 1e-8) / warmup
        match self.schedule:
            case "cosine":
                done = (epoch - warmup) / max(epochs - warmup, 1e-8)
                return self.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
            case "steps":
                return self.lr * self.gamma ** sum(epoch >= m * scale for m in self.milestones)
            case "constant":
                return self.lr


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    text = (Path(__file__).parent / "recipes.toml").read_text(encoding="utf-8")
    return {name: Recipe.model_validate(row) for name, row in tomllib.loads(text).items()}


def recipe(name: str) -> Recipe:
    """The recipe `name`; UsageError names the nearest known ones."""
    if name not in recipes():
        raise UsageError(f"unknown recipe '{name}'; {nearest(name, recipes())}")
    return recipes()[name]


def adjusted(name: str, epochs: int | None, given: Mapping[str, str]) -> Recipe:
    """The recipe `name`, stretched to `epochs`, with `--set recipe.key=value` applied; UsageError for what does not
    fit."""
    chosen, values = recipe(name), dict[str, Any](given)
    known = [key for key in Recipe.model_fields if key != "title"]
    for key in given:
        if key not in known:
            raise UsageError(f"recipes have no setting '{key}'; {nearest(key, dict.fromkeys(known))}")
    if "milestones" in given:
        values["milestones"] = [part for part in given["milestones"].replace("/", ",").split(",") if part]
    stretched = chosen if epochs is None else chosen.with_epochs(epochs)
    try:
        return Recipe.model_validate(stretched.model_dump() | values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(("recipe", *map(str, first["loc"][:1])))
        raise UsageError(f"--set {where}: {first['msg'].removeprefix('Value error, ')}") from None
