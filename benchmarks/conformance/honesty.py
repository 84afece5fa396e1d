"""Honesty: test images and labels touch nothing but the final figures."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.conformance.poison import poisoned
from benchmarks.conformance.subject import BATCH, Finding, Subject, World, answered, counted, named, same, world
from methods.storage import load_tensors
from methods.table import PER_ANSWER, PathTable


def test_split_is_untouched(subject: Subject) -> Finding:
    """With the test split poisoned, by every door to the data set, nothing is trained, measured or chosen otherwise."""
    images = subject.images[:BATCH]
    before = [answered(model, point, images) for model in [subject.model()] for point in subject.points]
    with poisoned(subject.file):
        other = world(subject.config, subject.folder / "poisoned")
        model = subject.model()
        after = [answered(model, point, images) for point in subject.points]
    changed = list(differences(subject.world, other))
    changed += [
        f"the answers at {point.name} to the same images"
        for point, one, two in zip(subject.points, before, after, strict=True)
        if not same(one, two)
    ]
    if changed:
        return Finding(False, f"changed: {named(changed)}")
    tensors = len(load_tensors(subject.world.result.model)[0])
    return Finding(
        True, f"{tensors} tensors, {counted(len(subject.points), 'point')}, 2 calibration tables: every bit the same"
    )


def differences(one: World, other: World) -> Iterator[str]:
    """What two trainings differ in: tensors, operating points, calibration tables."""
    tensors, others = (load_tensors(w.result.model)[0] for w in (one, other))
    for name in sorted(tensors.keys() | others.keys()):
        if not (name in tensors and name in others and torch.equal(tensors[name], others[name])):
            yield name
    if one.result.points != other.result.points:
        yield "the operating points"
    for half in ("fit", "select"):
        if not _same_table(getattr(one.result.tables, half), getattr(other.result.tables, half)):
            yield f"the table of the {half} images"


def _same_table(one: PathTable, other: PathTable) -> bool:
    columns = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in PER_ANSWER)
    costs = np.array_equal(one.costs.macs, other.costs.macs)
    return columns and costs and all(np.array_equal(said, other.probes[name]) for name, said in one.probes.items())
