"""Cost: what is claimed of a trail is what its execution counts."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.conformance.larger import along
from benchmarks.conformance.subject import Finding, Subject, answered, counted, named
from methods.base import AdjustableModel
from methods.counting import count
from methods.routers import OperatingPoint
from methods.routing import simulate, trail_macs

FULL = "full"


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
    """At every point, one image of each distinct trail alone, and a batch: name, claimed and executed MACs."""
    for point in subject.points:
        rows = subject.clear(point)
        routing = simulate(subject.table, point.router)
        claimed = trail_macs(subject.table, routing)
        _, first = np.unique(routing.visited[rows], axis=0, return_index=True)
        for row in rows[first].tolist():
            answer = subject.table.answers[routing.answer[row]]
            yield f"{point.name}, to {answer}", int(claimed[row]), _executed(model, point, subject.images[[row]])
        yield f"{point.name}, a batch", int(claimed[rows].sum()), _executed(model, point, subject.images[rows])


@torch.no_grad()
def _forced(subject: Subject, model: AdjustableModel) -> Iterator[tuple[str, int, int]]:
    """Every trail that a router could take, whether or not a test image did."""
    costs, names = subject.table.costs, [output.name for output in model.tree.outputs]
    for trail in sorted({trail for point in subject.points for trail in point.router.shortest}):
        visited = np.zeros((1, len(costs.uses)), dtype=bool)
        visited[0, list(trail)] = True
        router = along(trail)
        executed = count(lambda router=router: model.execute(subject.images[:1], router).logits).macs  # type: ignore[misc]
        yield " - ".join(names[at] for at in trail), int(costs.trails(visited)[0]), executed


def _executed(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> int:
    return count(lambda: answered(model, point, images).logits).macs


def plain_is_inside(subject: Subject) -> Finding:
    """An answer called `full` is the plain network: it costs what that costs."""
    if subject.world.result.candidate.name == "plain":
        return Finding(None, "it is the plain network")
    if FULL not in subject.table.answers:
        return Finding(None, f"no answer is called {FULL}")
    own = int(subject.table.macs[subject.table.answers.index(FULL)])
    plain = int(subject.world.plan.candidates[0].costs.outputs()[-1])
    return Finding(own == plain, f"{own:,} MACs, the plain network {plain:,}")
