"""Cost: what is claimed of a trail is what its execution counts."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.conformance.larger import along
from benchmarks.conformance.subject import Finding, Subject, answered, counted, named
from benchmarks.evaluation.execution import NEAR
from methods.base import AdjustableModel
from methods.counting import count
from methods.routers import OperatingPoint
from methods.routing import simulate, trail_macs

FULL = "full"
ALONE = 16
"""Images of a point that are counted alone."""


def cost_is_executed(subject: Subject) -> Finding:
    """The MACs claimed of every trail, the router's own included, are exactly those its execution counts."""
    model = subject.model()
    wrong, trails = [], 0
    for name, claimed, executed in (*_found(subject, model), *_forced(subject, model)):
        trails += 1
        if claimed != executed:
            wrong.append(f"{name}: claims {claimed:,} MACs, executes {executed:,}")
    if wrong:
        return Finding(False, named(wrong, 1))
    return Finding(True, f"{trails} trails and batches of {counted(len(subject.points), 'point')}, no MAC more or less")


def _found(subject: Subject, model: AdjustableModel) -> Iterator[tuple[str, int, int]]:
    """At every point, one image of each distinct trail alone, and a batch: name, claimed and executed MACs.

    Trails along which images spend differently are distinct, and ALONE of them are looked at.
    """
    for point in subject.points:
        rows = subject.clear(point)
        routing = simulate(subject.table, point.router)
        claimed = trail_macs(subject.table, routing)
        _, first = np.unique(np.column_stack([routing.visited, claimed])[rows], axis=0, return_index=True)
        for row in rows[_some(first)].tolist():
            answer = subject.table.answers[routing.answer[row]]
            yield f"{point.name}, to {answer}", int(claimed[row]), _executed(model, point, subject.images[[row]])
        yield f"{point.name}, a batch", int(claimed[rows].sum()), _executed(model, point, subject.images[rows])


def _some(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most ALONE of these, evenly spread."""
    some: NDArray[np.int64] = places[np.unique(np.linspace(0, len(places) - 1, ALONE).round().astype(int))]
    return some


@torch.no_grad()
def _forced(subject: Subject, model: AdjustableModel) -> Iterator[tuple[str, int, int]]:
    """Every trail that a router could take, whether or not a test image did, on one image."""
    names = [output.name for output in model.graph.outputs]
    for trail in sorted({trail for point in subject.points for trail in point.router.shortest}):
        name, router = " - ".join(names[at] for at in trail), along(trail)
        image = subject.clear(OperatingPoint(name=name, router=router), 1)
        executed = count(lambda image=image, router=router: model.execute(subject.images[image], router).logits).macs  # type: ignore[misc]
        yield name, int(subject.table.part(image).macs_along([trail]).sum()), executed


def _executed(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> int:
    return count(lambda: answered(model, point, images).logits).macs


def decisions_are_seen(subject: Subject) -> Finding:
    """Where work depends on the image, how near each came to another decision is known: it decides by `decides`."""
    table = subject.table
    if not table.costs.varying:
        return Finding(None, "its work does not depend on the image, but for the way")
    unseen = [
        table.costs.work[node]
        for node, distance in zip(table.costs.varying, table.distance, strict=True)
        if not np.isfinite(distance).any()
    ]
    if unseen:
        return Finding(False, f"{named(unseen)}: no image's distance to its thresholds is known")
    near = int((table.distance <= NEAR).any(axis=0).sum())
    return Finding(True, f"{counted(len(table.costs.varying), 'node')}, {counted(near, 'image')} next to a threshold")


def plain_is_inside(subject: Subject) -> Finding:
    """An answer called `full` is the plain network: it costs what that costs."""
    if subject.world.result.candidate.name == "plain":
        return Finding(None, "it is the plain network")
    if FULL not in subject.table.answers:
        return Finding(None, f"no answer is called {FULL}")
    own = int(subject.table.macs[subject.table.answers.index(FULL)])
    plain = int(subject.world.plan.candidates[0].costs.outputs()[-1])
    return Finding(own == plain, f"{own:,} MACs, the plain network {plain:,}")
