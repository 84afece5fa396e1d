"""The settings of learned routing, shared by every method that offers it (Bolukbasi et al., ICML 2017)."""

from collections.abc import Callable, Sequence
from typing import Literal, Self

from pydantic import Field, field_validator

from methods.base import MethodSettings, OperatingPoint, PathTable
from methods.errors import MethodError
from methods.routers import Learned, Signal


class PolicySettings(MethodSettings):
    """`jumps`: whether a sample may go past the next answer; `features`: the signals that decide; `history`:
    those of every answer so far, not of the last only; `target`: the loss that is traded against cost."""

    jumps: bool = False
    features: tuple[Signal, ...] = Field(("max_prob", "margin", "entropy"), min_length=1)
    history: bool = False
    target: Literal["error", "cross_entropy"] = "error"

    @field_validator("features")
    @classmethod
    def _distinct(cls, features: tuple[Signal, ...]) -> tuple[Signal, ...]:
        if len(set(features)) != len(features):
            raise ValueError("features must differ from each other")
        return features

    @field_validator("history")
    @classmethod
    def _one_trail(cls, history: bool, info: object) -> bool:
        if history and getattr(info, "data", {}).get("jumps"):
            raise ValueError("a history needs the one trail that a cascade without jumps has: set jumps=false")
        return history

    def for_training(self) -> Self:
        own = type(self).model_fields
        return self.model_copy(update={name: own[name].default for name in PolicySettings.model_fields})


def policy_points(
    table: PathTable, cascade: Sequence[int], count: int, settings: PolicySettings
) -> list[OperatingPoint]:
    """At most `count` learned points over `cascade`, fitted on `table`."""
    from methods.learning import learned_points

    return learned_points(
        table,
        cascade,
        count,
        jumps=settings.jumps,
        features=settings.features,
        history=settings.history,
        loss=settings.target,
    )


def refitted(point: OperatingPoint, table: PathTable, settings: MethodSettings) -> OperatingPoint:
    """The point learned again on `table`, of the same family and at the trade-off that its name says.

    A constant answer, a threshold or a bias is all its trade-off: the point stays as it is. MethodError for a learned
    router whose name says none.
    """
    from methods.learning import fit_policies

    router = point.router
    if not isinstance(router, Learned):
        return point
    name, _, tradeoff = point.name.partition("=")
    if name != "lambda":
        raise MethodError(f"{point.name} is learned and does not say at which trade-off: name it lambda=...")
    learned = fit_policies(
        table, router.cascade, float(tradeoff), jumps=router.jumps, features=router.features, history=router.history,
        loss=getattr(settings, "target", "error"),
    )  # fmt: skip
    return point.model_copy(update={"router": learned})


def alone_and_routed(
    static: Callable[[PathTable, Sequence[int], int], Sequence[OperatingPoint]],
    table: PathTable, count: int, settings: PolicySettings,
) -> Sequence[OperatingPoint]:  # fmt: skip
    """At most half of `count` `static` points, and learned ones over all answers with the rest."""
    cascade = range(len(table.answers))
    alone = static(table, cascade, count // 2)
    return [*alone, *policy_points(table, cascade, count - len(alone), settings)]


def chained(
    static: Callable[[PathTable, int], Sequence[OperatingPoint]], table: PathTable, count: int, learned: bool
) -> Sequence[OperatingPoint]:
    """The `static` points alone, or half as many and learned cascades of the best answers of `table`."""
    if not learned:
        return static(table, count)
    from methods.learning import chain

    alone = static(table, count // 2)
    return [*alone, *policy_points(table, chain(table), count - len(alone), PolicySettings())]
