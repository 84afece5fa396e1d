"""Network selection (Bolukbasi et al., ICML 2017, arXiv 1702.07811, section 4).

Separately trained networks of rising cost. The cheapest answers first; a learned policy stops, goes on to the
next, or jumps ahead. A sample pays for every network that ran on it.
"""

from collections.abc import Sequence

from methods.backbones.specification import relatives
from methods.base import Network, OperatingPoint, PathTable
from methods.errors import MethodError
from methods.family import Family
from methods.policies import PolicySettings, alone_and_routed


class NetSelect(Family):
    """A directed chain of networks with learned selection."""

    class Settings(PolicySettings):
        """`networks`: what comes before the backbone, networks of the suite or `FILE.py:FUNCTION` (a module of
        yours with its own weights and preprocessing, given images in 0..1); by default shallower relatives of
        the backbone, or narrower ones where there are none."""

        networks: tuple[str, ...] | None = None
        jumps: bool = True

        def files(self) -> tuple[str, ...]:
            return tuple(name for name in self.networks or () if _is_file(name))

    settings: Settings

    def smaller(self) -> Sequence[str | Network]:
        if self.settings.networks is not None:
            return [name if _is_file(name) else Network(name) for name in self.settings.networks]
        known = relatives(self.backbone.spec)
        found = known.depths or known.widths
        if not found:
            raise MethodError(
                f"no smaller relative of {self.backbone.spec} is known: name some, netselect:networks=..."
            )
        return [Network(spec) for spec in found]

    def operating_points(self, table: PathTable, count: int) -> Sequence[OperatingPoint]:
        """Every network alone, and learned selection with the rest of `count`."""
        return alone_and_routed(self.static_points, table, count, self.settings)


def _is_file(name: str) -> bool:
    return ".py:" in name
