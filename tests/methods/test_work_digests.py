"""The work of every method of the suite, pinned: names of nodes, MACs, who uses what, paths, owners.

Entries of the leaderboard and path tables hold these. Whoever changes them on purpose writes the new digests down:
`python tests/methods/test_work_digests.py`.
"""

import hashlib
import json
import tomllib
from pathlib import Path

import pytest

from methods.registry import create, parse_settings

PINNED = Path(__file__).with_name("work_digests.toml")
METHODS = (
    "plain", "sdpoint", "sdpoint:bn=uniform", "earlyexit", "earlyexit:heads=branchynet", "multiscale",
    "multiscale:bn=private", "adaptiveexit", "netselect", "dynres", "static",
)  # fmt: skip
BACKBONES = {
    "resnet14:width=4": 32, "preresnet8:width=4": 32, "wrn-10-1": 32, "densenet-bc-10-4": 32, "mobilenet_v2": 64,
}  # fmt: skip
"""By name, and the side of the images."""


def digests(backbone: str) -> dict[str, str]:
    """By method."""
    return {method: digest(method, backbone, BACKBONES[backbone]) for method in METHODS}


def digest(method: str, backbone: str, side: int) -> str:
    name, _, given = method.partition(":")
    settings = parse_settings(name, dict([given.split("=")]) if given else {})
    model = create(name, settings, backbone, 10, (3, side, side), 0).eval()
    costs, graph = model.costs(), model.graph
    about = [
        costs.work, costs.macs.tolist(), costs.uses.astype(int).tolist(), graph.paths, costs.uncounted,
        [node.owner for node in graph.nodes], [node.output for node in graph.nodes],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_work_of_every_method_is_what_it_was(backbone: str) -> None:
    assert digests(backbone) == tomllib.loads(PINNED.read_text(encoding="utf-8"))[backbone]


if __name__ == "__main__":
    lines = [
        line
        for backbone in BACKBONES
        for line in (f'["{backbone}"]', *(f'"{method}" = "{found}"' for method, found in digests(backbone).items()), "")
    ]
    PINNED.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
