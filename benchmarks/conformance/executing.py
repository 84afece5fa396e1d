"""Execution: it is what the tables say, and what is not needed is not run."""

from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.conformance.subject import BATCH, Finding, Subject, answered, counted, named, same
from benchmarks.conformance.watching import rows_per_image, watched
from benchmarks.evaluation.execution import compare
from methods.routing import simulate

SIZES = ((1, 64), (7, 126), (64, 320))
"""Batch size, and how many test images are executed with it."""


@torch.no_grad()
def simulated_is_executed(subject: Subject) -> Finding:
    """At every point, answers and predictions of executed images are those that the tables give."""
    model, test = subject.model(), subject.world.plan.test_images
    order = np.random.default_rng(0).permutation(len(subject.table.labels))
    found = [
        compare(model, point, subject.table, test, batch, order[:count])
        for point in subject.points
        for batch, count in SIZES
    ]
    wrong = [f"{a.point} at batch {a.batch}: {a.different} of {a.images} images differ" for a in found if not a.holds]
    batch = subject.images[:BATCH]
    wrong += [
        f"{point.name}: calling the model is not executing the point"
        for point in subject.points
        if not same(answered(model, point, batch), model.execute(batch, point.router))
    ]
    if wrong:
        return Finding(False, named(wrong))
    images, near = sum(a.images for a in found), sum(a.near for a in found)
    close = f", {near} next to a threshold or tie" if near else ""
    points = counted(len(subject.points), "point")
    return Finding(True, f"{points}, {images:,} executions in batches of 1, 7, 64{close}")


def skipped_work_is_not_run(subject: Subject) -> Finding:
    """Every step and every module runs on exactly the images whose trail leads through it, not on masked ones."""
    model = subject.model()
    per_node = rows_per_image(model, subject.images, subject.table.costs.varying)
    known = set[str]().union(*per_node)
    wrong, stopped = [], 0
    for point in subject.points:
        rows = subject.clear(point)
        visited = simulate(subject.table, point.router).visited[rows]
        expected = _expected(per_node, visited, model.graph.uses)
        with watched(model) as seen:
            answered(model, point, subject.images[rows])
        wrong += [
            f"{point.name}: {name} ran on {seen[name]:,} images, {expected[name]:,} went there"
            for name in sorted(known)
            if seen[name] != expected[name]
        ]
        stopped += len(np.unique(visited, axis=0)) > 1
    if wrong:
        return Finding(False, named(wrong, 1))
    parting = f", {stopped} of them with several trails" if stopped else ""
    return Finding(True, f"{len(known)} steps and modules, {counted(len(subject.points), 'point')}{parting}")


def _expected(per_node: list[Counter[str]], visited: NDArray[np.bool_], uses: NDArray[np.bool_]) -> Counter[str]:
    """Rows by name for images that went through the answers `visited` [n, outputs]."""
    through = ((visited.astype(int) @ uses.astype(int)) > 0).sum(axis=0)
    total: Counter[str] = Counter()
    for images, rows in zip(through.tolist(), per_node, strict=True):
        for name, each in rows.items():
            total[name] += each * images
    return total
