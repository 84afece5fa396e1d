"""What Kuen et al. (CVPR 2018) say of SDPoint: its statistics, its best instance, its rivals, its ablations."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.claims.pairing import NO_SEED, Known, Models, labels, lacks, mean_over, of, of_method, pair, partners
from benchmarks.evaluation.per_image import Observed
from benchmarks.finding import AtPoint, Finding, OfSeed
from benchmarks.stats.inference import bootstrap, holm, mcnemar

BUDGETS = (0.35, 0.5, 0.75, 1.0)
"""Shares of the plain network's MACs at which methods are compared."""
NEAR_FULL = 0.9
"""Statistics per instance are compared up to this share of the full cost: beyond it, instances hardly differ."""
AT = "shares of the plain MACs"
STATIC_EXITS = "static exits"
"""Early exits as the paper compares with them: everybody leaves at the same one."""
ABLATED = ("every", "ratios")
"""The settings that say where and by how much SDPoint downsamples."""


def statistics(models: Models, known: Known) -> Iterator[Finding]:
    """Batch-norm statistics of an instance's own against the uniform ones of training, on the same weights."""
    claim = "statistics per instance beat uniform ones"
    pairs: dict[tuple[str, str], list[tuple[Observed, Observed]]] = {}
    for own in models:
        for uniform in models:
            if own.seed == uniform.seed and own.method == uniform.method and _differ_in_statistics(own, uniform):
                pairs.setdefault((own.label, uniform.label), []).append((own, uniform))
    if not any(own.startswith("sdpoint") for own, _ in pairs):
        yield Finding(claim, "sdpoint", "uniform", "", (), "needs sdpoint and sdpoint:bn=uniform")
    for (label, against), members in pairs.items():
        seeds = [_instances(own, uniform) for own, uniform in members]
        yield _finding(
            (claim, label, against, f"up to {NEAR_FULL:g} of full cost"),
            seeds,
            lacks("cheaper answer", (label, [seed is not None for seed in seeds])),
        )


def _finding(
    about: tuple[str, str, str, str],
    seeds: Sequence[OfSeed | None],
    whose: str,
    where: str = "",
    forfeits: bool = False,
) -> Finding:
    """A finding over the seeds that can be compared; None: one that cannot, and `whose` says by whose fault."""
    found = tuple(seed for seed in seeds if seed)
    lacking = len(seeds) - len(found) if found else 0
    why = whose if seeds else NO_SEED
    return Finding(*about, found, why, where=where, lacking=lacking, whose=whose, forfeits=forfeits and not found)


def _differ_in_statistics(own: Observed, uniform: Observed) -> bool:
    """Whether two models are one method with statistics per instance, and with uniform ones."""
    return own.settings.get("bn") == "instance" and uniform.settings == own.settings | {"bn": "uniform"}


def _instances(own: Observed, uniform: Observed) -> OfSeed | None:
    """Answer by answer on the same images: McNemar's test, and Holm over the answers."""
    cheap = np.flatnonzero(own.macs <= NEAR_FULL * own.macs[-1])
    pairs = [(own.answers[i], own.correct[i], uniform.correct[i]) for i in cheap]
    mean = mean_over(own.seed, [(name, a.astype(float) - b) for name, a, b in pairs])
    if mean is None:
        return None
    tests = [mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) for _, a, b in pairs]
    adjusted = holm(tests)
    points = [replace(point, p=p, p_holm=float(q)) for point, p, q in zip(mean.points, tests, adjusted, strict=True)]
    return replace(mean, points=tuple(points))


def best(models: Models, known: Known) -> Iterator[Finding]:
    """The best operating point of a method, chosen on *select*, against the plain network of the same seed."""
    claim = "the best point beats the plain network"
    plain, others = of(models, "plain"), labels(models, lambda model: model.label != "plain")
    if not plain or not others:
        why = "needs the plain network" if others else "needs a method beside the plain network"
        yield Finding(claim, "", "plain", "chosen on select", (), why)
        return
    for label in others:
        both = partners(of(models, label), plain)
        seeds = [pair(model, model.best(), reference, reference.best()) for model, reference in both]
        yield Finding(claim, label, "plain", "chosen on select", tuple(seeds), NO_SEED)


def budgets(models: Models, known: Known) -> Iterator[Finding]:
    """SDPoint against early exits and multiscale at shares of the plain network's cost."""
    claim = "sdpoint beats others at the same budget"
    own = _default_first(models)
    for method in ("earlyexit", "multiscale"):
        others = of_method(models, method)
        if not own or not others:
            yield Finding(claim, "sdpoint", method, AT, (), f"needs sdpoint and {method}")
        elif method == "earlyexit":
            exits = [model.fixed() for model in of(models, others[0])]
            yield from _at_budgets(claim, of(models, own), exits, f"{others[0]}, {STATIC_EXITS}", known)
        for other in others if own else ():
            yield from _at_budgets(claim, of(models, own), of(models, other), other, known)


def _default_first(models: Models) -> str:
    """SDPoint's label: the default variant's, else the first there is; empty where there is none."""
    found = of_method(models, "sdpoint")
    return "sdpoint" if "sdpoint" in found else next(iter(found), "")


def _at_budgets(claim: str, own: Models, others: Models, against: str, known: Known) -> Iterator[Finding]:
    for share in BUDGETS:
        budget = share * known.plain_macs
        both = [(model, model.at(budget), other, other.at(budget)) for model, other in partners(own, others)]
        seeds = [pair(model, ours, other, theirs) if ours and theirs else None for model, ours, other, theirs in both]
        we, they = [bool(ours) for _, ours, _, _ in both], [bool(theirs) for *_, theirs in both]
        yield _finding(
            (claim, own[0].label, against, AT),
            seeds,
            lacks("point so cheap", (own[0].label, we), (against, they)),
            f"at {share:.0%}",
            any(they),
        )


def ablations(models: Models, known: Known) -> Iterator[Finding]:
    """SDPoint with all its points and ratios against variants with fewer, over the budgets that both can meet."""
    claim, among = "all points and ratios beat fewer", "mean over budgets both meet, in octaves"
    own = of(models, "sdpoint")
    others = labels(models, lambda model: any(_fewer(model, full) for full in own))
    if not others:
        why = "needs sdpoint and variants such as sdpoint:every=2 and sdpoint:ratios=0.75"
        yield Finding(claim, "sdpoint", "fewer points or ratios", among, (), why)
    for label in others:
        both = partners(own, of(models, label))
        seeds = [_over_budgets(full, fewer, known.plain_macs) for full, fewer in both]
        we, they = ([_least(model) < known.plain_macs for model in side] for side in zip(*both, strict=True))
        whose = lacks("point below the plain MACs", ("sdpoint", we), (label, they))
        yield _finding((claim, "sdpoint", label, among), seeds, whose, forfeits=any(they))


def _least(model: Observed) -> float:
    """The cost of its cheapest point on *select*."""
    return min(point.calibration_macs for point in model.points)


def _fewer(model: Observed, full: Observed) -> bool:
    """Whether a model is `full` but for where and by how much it downsamples."""
    kept = {key: value for key, value in full.settings.items() if key not in ABLATED}
    same = kept == {key: value for key, value in model.settings.items() if key not in ABLATED}
    return model.method == "sdpoint" and same and model.settings != full.settings


def _over_budgets(own: Observed, other: Observed, plain_macs: float) -> OfSeed | None:
    """Two frontiers on the same images, averaged from the cheapest budget that buys a point of each to plain's."""
    low = max(_least(own), _least(other))
    if not low < plain_macs:
        return None
    difference = own.over(low, plain_macs) - other.over(low, plain_macs)
    each = [
        pair(own, ours, other, theirs).points[0]
        for share in BUDGETS
        if (ours := own.at(share * plain_macs)) and (theirs := other.at(share * plain_macs))
    ]
    adjusted = holm([point.p for point in each])
    points = tuple(replace(point, p_holm=float(q)) for point, q in zip(each, adjusted, strict=True))
    training = own.train_macs / other.train_macs
    whole = points or (AtPoint("from the cheapest budget to plain's", float(difference.mean())),)
    return OfSeed(own.seed, bootstrap(difference), whole, None, training, len(difference), difference)
