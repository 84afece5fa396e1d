"""What papers say of input sizes: dynamic ones beat static ones (DRNet), and training on several makes predictions
alike over test sizes (Kuen et al.)."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.claims.pairing import NO_SEED, Known, Models, mean_over, of, of_method, partners
from benchmarks.evaluation.per_image import Observed, between
from benchmarks.finding import AtPoint, Finding, OfSeed

OF_A_SIZE = re.compile(r"\d+px|full")
"""Points of the `static` family that are the backbone at one input size: its other networks are thinner or shorter."""


def beats_static(models: Models, known: Known) -> Iterator[Finding]:
    """A resolution chosen for each image against one for all, at the cost of each point of the former.

    Against the method's own answers, the multiscale network, and networks that were trained at one size.
    """
    claim, among = "dynamic resolution beats a static one at equal cost", "chosen on select, at most as dear"
    dynamic = of_method(models, "dynres")
    if not dynamic:
        yield Finding(claim, "dynres", "static resolution", among, (), "needs dynres")
    for label in dynamic:
        own = of(models, label)
        for against, others in _static(models, own):
            both = partners(own, others)
            seeds = [found for model, other in both if (found := _at_equal_cost(model, other))]
            lacking = len(both) - len(seeds) if seeds else 0
            why = "no point where 10 to 90% of the images go on" if both else NO_SEED
            yield Finding(claim, label, against, among, tuple(seeds), why, lacking=lacking)


def _static(models: Models, own: Models) -> Iterator[tuple[str, list[Observed]]]:
    """What has one resolution for all images, by its name."""
    yield "its own static answers", [model.fixed() for model in own]
    for label in of_method(models, "multiscale"):
        yield label, [model.fixed() for model in of(models, label)]
    for label in of_method(models, "static"):
        yield (
            f"{label}, one size each",
            [model.fixed(lambda name: bool(OF_A_SIZE.fullmatch(name))) for model in of(models, label)],
        )


def _at_equal_cost(model: Observed, other: Observed) -> OfSeed | None:
    """Mean over the points where the predictor decides of the difference to the best static point for its budget."""
    pairs = [(point, static) for point in between(model.per_sample) if (static := other.at(point.calibration_macs))]
    found = mean_over(model.seed, [(f"{a.name} | {b.name}", a.right.astype(float) - b.right) for a, b in pairs])
    if found is None:
        return None
    macs = tuple(float(np.mean([point.macs.mean() for point in side])) for side in zip(*pairs, strict=True))
    return replace(found, macs=(macs[0], macs[1]), training=model.train_macs / other.train_macs)


def alike(models: Models, known: Known) -> Iterator[Finding]:
    """Similarity of the full model's predictions over test sizes, above that of the plain network of the same seed."""
    claim = "predictions are more alike over test sizes"
    for method in ("sdpoint", "multiscale"):
        found = of_method(models, method)
        if not found:
            yield Finding(claim, method, "plain", "", (), f"needs {method}", "similarity")
        for label in found:
            rows = [
                row for row in known.alike if row.label == label and row.seed in {m.seed for m in of(models, label)}
            ]
            seeds = [
                OfSeed(row.seed, row.above, (AtPoint("all sizes", row.above.mean),), images=row.images)
                for row in rows
                if not math.isnan(row.above.mean)
            ]
            lacking = len(of(models, label)) - len(seeds) if seeds else 0
            why = "needs what scales RUN writes of a run with the plain network"
            where = f"at {rows[0].sides} px" if rows else ""
            yield Finding(claim, label, "plain", "", tuple(seeds), why, "similarity", where, lacking)
