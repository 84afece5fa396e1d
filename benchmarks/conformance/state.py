"""State: an answer depends on the model and the image, not on what was asked before."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from benchmarks.conformance.subject import BATCH, Finding, Subject, answered, counted, named, same
from benchmarks.conformance.watching import watched, written
from methods.base import AdjustableModel
from methods.counting import count
from methods.routers import OperatingPoint

PAIRS, ATTEMPTS = 21, 3
VISITS, VISITED = 6, 8
"""How often images are shown, and how many: a memory may begin to serve late."""
FASTER = 0.75
"""A second call that takes less than this share of the first was answered from memory (a look-up takes a few
hundredths; what the processor still holds of an input saves a few hundredths)."""


def going_back_restores(subject: Subject) -> Finding:
    """After any other points, a point gives bit for bit what it gave before."""
    model, images = subject.model(), subject.images[:BATCH]
    there = {point.name: answered(model, point, images) for point in subject.points}
    wrong = [
        point.name for point in reversed(subject.points) if not same(there[point.name], answered(model, point, images))
    ]
    if wrong:
        return Finding(False, f"{named(wrong)}: another output the second time")
    return Finding(True, f"{counted(len(there), 'point')} forth and back, every bit the same")


def executing_changes_nothing(subject: Subject) -> Finding:
    """Executing changes no weight, buffer, statistic or mode of the model, no image, and nothing a step is given."""
    model, images = subject.model(), subject.images[:BATCH].clone()
    before, modes, given = _snapshot(model), [m.training for m in model.modules()], images.clone()
    with written(model) as into:
        for point in subject.points:
            answered(model, point, images)
    after = _snapshot(model)
    changed = [name for name in before.keys() | after.keys() if not _equal(before.get(name), after.get(name))]
    changed += [] if modes == [m.training for m in model.modules()] else ["training mode"]
    changed += [] if torch.equal(images, given) else ["the images"]
    changed += [f"what {step} is given" for step in dict.fromkeys(into)]
    return Finding(not changed, f"changed: {named(sorted(changed))}" if changed else f"{len(before)} tensors unchanged")


def _snapshot(model: AdjustableModel) -> dict[str, Tensor]:
    buffers = {f"buffer {name}": value for name, value in model.named_buffers()}
    return {name: value.detach().clone() for name, value in (model.tensors() | buffers).items()}


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)


def answers_are_not_cached(subject: Subject) -> Finding:
    """A repeated input executes the same MACs and modules as a new one, and takes as much processor time."""
    model, images, wrong = subject.model(), subject.images, []
    ratios = []
    for point in subject.points:
        first, second = (_executed(model, point, images[:BATCH]) for _ in range(2))
        if first != second:
            wrong.append(f"{point.name}: {first[0]:,} MACs, repeated {second[0]:,}")
        ratios.append(_confirmed(model, point, images[BATCH:]))
        if ratios[-1] < FASTER:
            wrong.append(f"{point.name}: a repeated image takes {ratios[-1]:.2f} of the time")
    if wrong:
        return Finding(False, named(wrong, 1))
    return Finding(True, f"the same work; time of a repeated image {min(ratios):.2f} to {max(ratios):.2f} of the first")


def visits_are_alike(subject: Subject) -> Finding:
    """Fresh random images execute the same MACs and modules at each of six visits, whatever points they come to."""
    model, draws, wrong = subject.model(), torch.Generator().manual_seed(0), []
    for point in subject.points:
        images = torch.randn(VISITED, *subject.images.shape[1:], generator=draws)
        visits = [_executed(model, point, images) for _ in range(VISITS)]
        wrong += [
            f"{point.name}: {visits[0][0]:,} MACs, at visit {place + 1} {visit[0]:,}"
            for place, visit in enumerate(visits)
            if visit != visits[0]
        ]
    if wrong:
        return Finding(False, named(wrong, 1))
    return Finding(True, f"{counted(len(subject.points), 'point')}, {VISITS} visits of {VISITED} new images each")


def _executed(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> tuple[int, Mapping[str, int]]:
    """MACs, and rows of every step and module."""
    with watched(model) as seen:
        macs = count(lambda: answered(model, point, images).logits).macs
    return macs, dict(seen)


def _confirmed(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> float:
    """`_ratio`, and where that is suspicious the largest of ATTEMPTS, each on images that were not seen before."""
    ratio = _ratio(model, point, images)
    for attempt in range(1, ATTEMPTS):
        if ratio < FASTER:
            ratio = max(ratio, _ratio(model, point, images + 1e-3 * attempt))
    return ratio


def _ratio(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> float:
    """Time of an image's second call over its first, the median of PAIRS new images, one after the other.

    Single images: in a batch, groups of a new size would be slower the first time for the kernels' own reasons.
    """
    ratios = []
    for row in range(PAIRS + 2):
        image = images[row : row + 1].clone()
        seconds = [_seconds(model, point, image) for _ in range(2)]
        ratios.append(seconds[1] / seconds[0])
    return float(torch.tensor(ratios[2:]).median())


def _seconds(model: AdjustableModel, point: OperatingPoint, image: Tensor) -> float:
    """Processor time of one call: on a shared machine wall-clock time tells when others had their turn."""
    started = time.process_time()
    answered(model, point, image)
    return time.process_time() - started
