"""Families of plain networks at fixed cost: what a user would do without adjustable inference."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from methods.backbones.specification import relatives
from methods.base import MethodSettings, Network
from methods.family import Family


class Static(Family):
    """The backbone and its shallower and narrower relatives, and the backbone on smaller images, each trained
    on its own."""

    class Settings(MethodSettings):
        """`networks`: other backbones (default: shallower and narrower relatives); `sizes`: sides in pixels that
        the backbone sees images at (default: half and three quarters)."""

        networks: tuple[str, ...] | None = None
        sizes: tuple[Annotated[int, Field(ge=1)], ...] | None = None

    settings: Settings

    def smaller(self) -> Sequence[str | Network]:
        known, full = relatives(self.backbone.spec), min(self.image_shape[1:])
        networks = (*known.depths, *known.widths) if self.settings.networks is None else self.settings.networks
        sizes = (full // 2, full * 3 // 4) if self.settings.sizes is None else self.settings.sizes
        return [*(Network(spec) for spec in networks), *(Network(self.backbone.spec, size) for size in sizes)]
