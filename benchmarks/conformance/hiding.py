"""Hiding: no work passes the count by, and none is spelled as what the count leaves out.

The count rests on dispatch modes, torch's profiler does not, and neither may change what is answered.
"""

from collections.abc import Iterator

import torch

from benchmarks.conformance.larger import SIDE, Larger
from benchmarks.conformance.subject import Finding, Subject, named
from benchmarks.evaluation.second_opinion import Opinion, suspicious
from methods.base import ImageShape
from methods.counting import count
from methods.registry import create


def costs_are_recorded(subject: Subject) -> Finding:
    """Torch's profiler records the MACs that are counted, and watching changes no answer; on 32 x 32 pixels too."""
    wrong = [line for one in subject.opinions for line in _doubts(one.point, one)]
    large = subject.larger
    if isinstance(large, Larger):
        for claim, one in zip(large.claims, large.opinions, strict=True):
            what, claimed = f"{one.point} on {SIDE} x {SIDE} pixels", claim * one.images
            wrong += _doubts(what, one)
            wrong += [f"{what}: claims {claimed:,} MACs, executes {one.macs:,}"] * (claimed != one.macs)
    if wrong:
        return Finding(False, named(wrong, 1))
    untold = sorted({name for one in _all(subject) for name in one.untold})
    apart = f"; not cross-checked, the record has no formula: {named(untold)}" if untold else ""
    return Finding(True, f"{subject.extent}, no MAC more or less{apart}")


def _doubts(what: str, one: Opinion) -> Iterator[str]:
    if not one.alike:
        yield f"{what}: other answers while it is watched"
    if one.agrees is False:
        yield f"{what}: counts {one.macs:,} MACs, torch's profiler records {one.recorded:,}"


def _all(subject: Subject) -> list[Opinion]:
    large = subject.larger
    return [*subject.opinions, *(large.opinions if isinstance(large, Larger) else ())]


def other_operators_are_few(subject: Subject) -> Finding:
    """Operators outside the convention touch at most 0.25 elements for every MAC, or four times what plain's do."""
    wrong, shares = [], []
    for where, found in _by_size(subject).items():
        plain = _plain_share(subject, (3, where, where))
        for one in found:
            shares.append(one.share)
            if suspicious(one.share, plain):
                wrong.append(
                    f"{one.point} on {where} x {where} pixels: {one.share:.2f} elements for a MAC, plain {plain:.2f}"
                )
    return Finding(not wrong, named(wrong, 1) or f"{subject.extent}, at most {max(shares):.2f} elements for a MAC")


def _by_size(subject: Subject) -> dict[int, list[Opinion]]:
    large = subject.larger
    own = {subject.world.plan.image_shape[-1]: subject.opinions}
    return own | ({SIDE: large.opinions} if isinstance(large, Larger) else {})


@torch.no_grad()
def _plain_share(subject: Subject, shape: ImageShape) -> float:
    """Elements for a MAC in the plain network on an image of this shape."""
    plain, plan = subject.world.plan.candidates[0], subject.world.plan
    model = create(plain.name, plain.settings, plain.backbone, len(plan.data.classes), shape, seed=0).eval()
    found = count(lambda: model(torch.zeros(1, *shape)))
    return sum(found.outside.values()) / found.macs
