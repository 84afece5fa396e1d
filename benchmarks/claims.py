"""The papers' claims, checked on a finished run: what is higher than what, by how much, and how sure that is."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.evidence import Observed, Seen, between
from benchmarks.finding import AtPoint, Finding, OfSeed
from benchmarks.statistics import Interval, bootstrap, holm, mcnemar, spearman

BUDGETS = (0.35, 0.5, 0.75, 1.0)
"""Shares of the plain network's MACs at which methods are compared."""
NEAR_FULL = 0.9
"""Statistics per instance are compared up to this share of the full cost: beyond it, instances hardly differ."""
INNER, AT = "10-90% of images go on", "shares of the plain MACs"

Models = Sequence[Observed]


def findings(models: Models, plain_macs: float, difficulty: NDArray[np.floating] | None) -> list[Finding]:
    """Every claim on every method of a run; `difficulty [n]` of the test images where it is known."""
    groups = [
        list(_routers(models, "random")),
        list(_routers(models, "mixture")),
        list(_effort(models, difficulty)),
        list(_statistics(models)),
        list(_best(models)),
        list(_budgets(models, plain_macs)),
    ]
    return [finding for group in groups for finding in _adjusted(group)]


def _adjusted(group: Sequence[Finding]) -> Iterator[Finding]:
    """The findings of one claim, tested together."""
    for finding, p in zip(group, holm([finding.over_seeds[1] for finding in group]), strict=True):
        yield replace(finding, p_holm=float(p))


def _routers(models: Models, control: str) -> Iterator[Finding]:
    """A router against a control that does not look at the image, where 10 to 90% of the images go on."""
    claim = {
        "random": "routing beats a random draw of the same answers",
        "mixture": "routing beats the best mixture of static answers",
    }[control]
    labels = _labels(models, lambda model: bool(model.per_sample))
    if not labels:
        yield Finding(claim, "", control, INNER, (), "needs a per-sample method")
    for label in labels:
        seeds = [
            found
            for model in _of(models, label)
            if (found := _mean_over(model.seed, [(p.name, p.right - _control(p, control)) for p in _inner(model)]))
        ]
        why = "" if seeds else "no point where 10 to 90% of the images go on"
        lacking = len(_of(models, label)) - len(seeds) if seeds else 0
        yield Finding(claim, label, control, INNER, tuple(seeds), why, lacking=lacking)


def _inner(model: Observed) -> list[Seen]:
    return between(model.per_sample)


def _control(point: Seen, control: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = getattr(point, control)
    return found


def _mean_over(seed: int, differences: Sequence[tuple[str, NDArray[np.float64]]]) -> OfSeed | None:
    """Mean over points of paired differences [n], and its interval over the images they share."""
    if not differences:
        return None
    points = tuple(AtPoint(name, float(values.mean())) for name, values in differences)
    return OfSeed(seed, bootstrap(np.mean([values for _, values in differences], axis=0)), points)


def _effort(models: Models, difficulty: NDArray[np.floating] | None) -> Iterator[Finding]:
    """Rank correlation of the MACs spent on an image with its known difficulty, where 10 to 90% go on."""
    claim = "more compute is spent on harder images"
    labels = _labels(models, lambda model: bool(model.per_sample))
    if difficulty is None or not labels:
        why = "needs images of known difficulty" if labels else "needs a per-sample method"
        yield Finding(claim, "", "difficulty", INNER, (), why, "rho")
        return
    for label in labels:
        seeds = [found for model in _of(models, label) if (found := _correlation(model, difficulty))]
        why = "" if seeds else "no point where 10 to 90% of the images go on"
        lacking = len(_of(models, label)) - len(seeds) if seeds else 0
        yield Finding(claim, label, "difficulty", INNER, tuple(seeds), why, "rho", lacking=lacking)


def _correlation(model: Observed, difficulty: NDArray[np.floating]) -> OfSeed | None:
    """Mean over points, on Fisher's scale. Means of the points' bounds are bounds of the mean, if wide ones: the
    standard error of a mean is at most the mean of the standard errors."""
    found = [(point.name, spearman(point.macs, difficulty)) for point in _inner(model)]
    found = [(name, one) for name, one in found if math.isfinite(one.low) and abs(one.mean) < 1]
    if not found:
        return None
    mean, low, high = np.tanh(np.mean(np.arctanh([one for _, one in found]), axis=0)).tolist()
    return OfSeed(model.seed, Interval(mean, low, high), tuple(AtPoint(name, one.mean) for name, one in found))


def _statistics(models: Models) -> Iterator[Finding]:
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
        seeds = [found for own, uniform in members if (found := _instances(own, uniform))]
        yield Finding(claim, label, against, f"up to {NEAR_FULL:g} of full cost", tuple(seeds), "no cheaper answer")


def _differ_in_statistics(own: Observed, uniform: Observed) -> bool:
    """Whether two models are one method with statistics per instance, and with uniform ones."""
    return own.settings.get("bn") == "instance" and uniform.settings == own.settings | {"bn": "uniform"}


def _instances(own: Observed, uniform: Observed) -> OfSeed | None:
    """Answer by answer on the same images: McNemar's test, and Holm over the answers."""
    cheap = np.flatnonzero(own.macs <= NEAR_FULL * own.macs[-1])
    pairs = [(own.answers[i], own.correct[i], uniform.correct[i]) for i in cheap]
    mean = _mean_over(own.seed, [(name, a.astype(float) - b) for name, a, b in pairs])
    if mean is None:
        return None
    tests = [mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) for _, a, b in pairs]
    adjusted = holm(tests)
    points = [replace(point, p=p, p_holm=float(q)) for point, p, q in zip(mean.points, tests, adjusted, strict=True)]
    return replace(mean, points=tuple(points))


def _best(models: Models) -> Iterator[Finding]:
    """The best operating point of a method, chosen on *select*, against the plain network of the same seed."""
    claim = "the best point beats the plain network"
    plain = {model.seed: model for model in models if model.label == "plain"}
    labels = _labels(models, lambda model: model.label != "plain")
    if not plain or not labels:
        why = "needs the plain network" if labels else "needs a method beside the plain network"
        yield Finding(claim, "", "plain", "chosen on select", (), why)
        return
    for label in labels:
        of = [model for model in _of(models, label) if model.seed in plain]
        seeds = [_pair(model, model.best(), plain[model.seed], plain[model.seed].best()) for model in of]
        yield Finding(claim, label, "plain", "chosen on select", tuple(seeds), "no seed in common")


def _budgets(models: Models, plain_macs: float) -> Iterator[Finding]:
    """SDPoint against early exits and multiscale at shares of the plain network's cost."""
    claim = "sdpoint beats others at the same budget"
    own = sorted(_labels(models, lambda model: model.method == "sdpoint"), key=lambda label: label != "sdpoint")
    for method in ("earlyexit", "multiscale"):
        others = _labels(models, lambda model, method=method: model.method == method)  # type: ignore[misc]
        if not own or not others:
            yield Finding(claim, "sdpoint", method, AT, (), f"needs sdpoint and {method}")
            continue
        for other in others:
            for share in BUDGETS:
                yield _at_budget(claim, _of(models, own[0]), _of(models, other), share, share * plain_macs)


def _at_budget(claim: str, own: Models, others: Models, share: float, budget: float) -> Finding:
    against = {model.seed: model for model in others}
    seeds = []
    for model in own:
        other = against.get(model.seed)
        ours, theirs = model.at(budget), other.at(budget) if other else None
        if ours and other and theirs:
            seeds.append(_pair(model, ours, other, theirs))
    why = "" if seeds else "no point so cheap"
    return Finding(claim, own[0].label, others[0].label, AT, tuple(seeds), why, where=f"at {share:.0%}")


def _pair(model: Observed, ours: Seen, other: Observed, theirs: Seen) -> OfSeed:
    """Two operating points of models of one seed on the same images."""
    difference = ours.right.astype(np.float64) - theirs.right
    p = mcnemar(int((ours.right & ~theirs.right).sum()), int((theirs.right & ~ours.right).sum()))
    point = AtPoint(f"{ours.name} | {theirs.name}", float(difference.mean()), p)
    macs = (float(ours.macs.mean()), float(theirs.macs.mean()))
    return OfSeed(model.seed, bootstrap(difference), (point,), macs, model.train_macs / other.train_macs)


def _labels(models: Models, wanted: Callable[[Observed], bool]) -> list[str]:
    """The methods with their variants that have a wanted model, in the order of the run."""
    return list(dict.fromkeys(model.label for model in models if wanted(model)))


def _of(models: Models, label: str) -> list[Observed]:
    """The models of one label, one a seed."""
    return [model for model in models if model.label == label]
