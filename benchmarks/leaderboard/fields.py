"""The kinds of fields that entries of the leaderboard are made of."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""Of MACs or of bytes: sums of them are exact in every arithmetic here."""


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    if not all(math.isfinite(number) for number in _numbers(values)):
        raise ValueError("holds a number that is none")
    return values


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, float):
        yield value


Loose = Annotated[dict[str, Any], AfterValidator(_finite)]
"""What another part of the suite validates: as JSON has it, and every number a number."""


class Part(BaseModel):
    """A part of an entry: it does not change, and holds nothing that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
