"""Learned routing: policies fitted by backward induction (Bolukbasi et al., ICML 2017, arXiv 1702.07811).

The paper weighs cost against loss by a trade-off lambda and reduces the search for all policies at once to one
weighted binary classification after the other. A sample that stands at an answer k of a cascade may

    stop:     V_stop = lambda * loss_k
    go to j:  V_j = cost of the work of j that is not paid yet + what is paid from j on,

where "from j on" means under the policies already fitted: the last decision is fitted first. The label of a
sample is the cheaper side (ties stop), its weight the difference. The recipe follows the paper's published
reduction; it was not verified line by line against its full text, so loss, features and classifier are arguments.

Costs are MACs as a share of the dearest answer, the router's own included, so that lambda has no unit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from methods.cost import Costs, measured
from methods.errors import MethodError
from methods.routers import Learned, OperatingPoint, Policy, Signal
from methods.routing import simulate, trail_macs
from methods.table import PathTable
from methods.thresholds import short, spread

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Losses = Callable[[PathTable], NDArray[np.floating[Any]]]
Loss = Literal["error", "cross_entropy"] | Losses
Row = tuple[tuple[float, ...], float]
"""Weights and bias of one decision."""
R = TypeVar("R")
Decide = Callable[[Floats, Floats], tuple[R, Bools]]
"""From features [n, f] and what going on gains [n] to a rule, and whom this rule lets go on [n]."""

_LOSSES: dict[str, Losses] = {
    "error": lambda table: 1.0 - table.correct,
    "cross_entropy": lambda table: table.loss,
}
_CLEAR = 1e-6  # signals of the same images differ by rounding in another batch shape
_CONSTANT = 1e-6  # a feature that varies less, or a direction that is shorter, says nothing
_FIRST_LOOK = 6  # trade-offs tried over the whole range before looking closer where the cost changes
_FINEST = 1.01  # ratio of two trade-offs between which a third is not worth its time


def logistic() -> Any:
    """Logistic regression with a weak L2 penalty (on standardised features, weights of mean one).

    Of C from 0.003 to 10, 0.1 was the best or close to it on synthetic tables of 250 to 5,000 samples.
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="newton-cholesky", C=0.1)


class Options(TypedDict, total=False):
    """How policies are fitted.

    `jumps`: a sample may go past the next answer; then the state of a decision is the last answer alone, which is
    exact where a later answer repeats the work that earlier ones share with it (exits) or none (separate networks).
    `history`: decide on the features of every answer so far, oldest first; only without jumps.
    `features`: signals of an answer. `loss`: `error` (0 or 1), `cross_entropy` or a function of the table that
    gives the loss of every answer on every sample [a, n].
    `classifier`: makes an unfitted scikit-learn classifier with `fit(X, y, sample_weight)`, `coef_` and
    `intercept_`. Only a linear one becomes data that is stored without pickles and whose MACs are counted.
    """

    jumps: bool
    history: bool
    features: tuple[Signal, ...]
    loss: Loss
    classifier: Callable[[], Any]


@dataclass(frozen=True)
class Problem:
    """A cascade of k answers on n samples, as the fitting sees it. Costs are shares of the dearest answer."""

    cascade: tuple[int, ...]
    signals: tuple[Signal, ...]
    jumps: bool
    history: bool
    classifier: Callable[[], Any]
    features: tuple[Floats, ...]  # of each place but the last, [n, f]
    losses: Floats  # [k, n]
    steps: Floats  # [k, k, n] or [k, k, 1]; cost of going from one place to another
    mac: float  # cost of one MAC


def pose(
    table: PathTable,
    cascade: Sequence[int],
    *,
    jumps: bool = False,
    history: bool = False,
    features: tuple[Signal, ...] = ("max_prob", "margin", "entropy"),
    loss: Loss = "error",
    classifier: Callable[[], Any] = logistic,
) -> Problem:
    """What there is to decide along `cascade` on the samples of `table`; MethodError if it cannot be decided so."""
    from sklearn.utils.validation import has_fit_parameter

    if jumps and history:
        raise MethodError("history needs the one trail of a cascade without jumps: choose history or jumps")
    if not has_fit_parameter(classifier(), "sample_weight"):
        raise MethodError(f"{type(classifier()).__name__} takes no sample weights: choose a classifier that does")
    values = np.stack([getattr(table, name)[list(cascade)] for name in features], axis=-1).astype(np.float64)
    seen = [values[: k + 1] if history else values[k : k + 1] for k in range(len(cascade) - 1)]
    losses = (_LOSSES[loss] if isinstance(loss, str) else loss)(table)[list(cascade)].astype(np.float64)
    if not (np.isfinite(values).all() and np.isfinite(losses).all()):
        raise MethodError("signals or losses are not finite, nothing can be learned from them: did training diverge?")
    mac = 1.0 / float(table.macs.max())
    return Problem(
        tuple(cascade), features, jumps, history, classifier,
        features=tuple(np.concatenate(list(answers), axis=1) for answers in seen),
        losses=losses,
        steps=np.multiply(mac, step_macs(table.costs, cascade, table.spent, jumps=jumps), dtype=np.float64),
        mac=mac,
    )  # fmt: skip


def step_macs(
    costs: Costs, cascade: Sequence[int], spent: NDArray[np.int64] | None = None, *, jumps: bool
) -> NDArray[np.int64]:  # fmt: skip
    """MACs of going from each place of the cascade to each other, [k, k, n] or [k, k, 1] where they are the same for
    all images: work that is not paid yet.

    Without jumps all answers up to a place are paid there, with jumps that place's answer alone is known to be.
    """
    uses = costs.uses[list(cascade)]
    paid = uses if jumps else np.logical_or.accumulate(uses)
    unpaid = (uses[None] & ~paid[:, None]).astype(np.int64)
    macs: NDArray[np.int64] = (unpaid @ costs.macs)[..., None]
    varying = unpaid[..., list(costs.varying)]
    return macs + varying @ measured(spent) if varying.any() else macs


def induction(problem: Problem, tradeoff: float, decide: Decide[R]) -> list[list[R]]:
    """The rules of every place but the last, made from the last decision to the first.

    At one place, too, the last option comes first: row i weighs option i against the best that the rows behind it
    lead to. What a place is worth is what its rules lead to, not what the best rules would.
    """
    stop = tradeoff * problem.losses
    rules: list[list[R]] = []
    ahead = [stop[-1]]  # what is paid from each place on that can be gone to, nearest first
    for place in reversed(range(len(stop) - 1)):
        costs = problem.steps[place, place + 1 :]
        options = [stop[place], *(cost + value for cost, value in zip(costs, ahead, strict=False))]
        value = options.pop()
        rows: list[R] = []
        for option in reversed(options):
            row, later = decide(problem.features[place], option - value)
            value = np.where(later, value, option)
            rows.insert(0, row)
        rules.insert(0, rows)
        value = value + problem.mac * len(rows) * problem.features[place].shape[1]
        ahead = [value, *ahead] if problem.jumps else [value]
    return rules


def fit_row(features: Floats, gain: Floats, classifier: Callable[[], Any] = logistic) -> tuple[Row, Bools]:
    """A linear decision between stopping and going on, and whom it lets go on, [n].

    `features` [n, f]; `gain` [n] is what going on saves: its sign is the label, its size the weight. The weights of
    the result sum to one in absolute value, so a score is a distance to the boundary in units of the features.
    Where all agree the decision is constant. MethodError if the classifier is not linear.
    """
    counts, goes = gain != 0, gain > 0
    if not goes.any() or not (gain < 0).any():
        return _constant(features, goes=bool(goes.any()))
    weights, bias = _separate(features[counts], goes[counts], np.abs(gain[counts]), classifier)
    size = np.abs(weights).sum()
    if size < _CONSTANT:
        return _constant(features, goes=bias > 0)
    scores = (features @ weights + bias) / size
    return (tuple((weights / size).tolist()), float(bias / size - _between(scores))), scores > 0


def _constant(features: Floats, *, goes: bool) -> tuple[Row, Bools]:
    return ((0.0,) * features.shape[1], 1.0 if goes else -1.0), np.full(len(features), goes)


def _separate(features: Floats, goes: Bools, weight: Floats, classifier: Callable[[], Any]) -> tuple[Floats, float]:
    """Weights [f] and bias of the classifier, fitted on standardised features and weights of mean one."""
    weight = weight / weight.mean()
    centre = weight @ features / len(features)
    scale = np.sqrt(weight @ (features - centre) ** 2 / len(features))
    scale[scale < _CONSTANT] = 1.0
    model = classifier()
    model.fit((features - centre) / scale, goes, sample_weight=weight)
    if not hasattr(model, "coef_"):
        raise MethodError(f"{type(model).__name__} has no coef_: a policy needs a linear classifier of scikit-learn")
    weights = np.ravel(model.coef_) / scale
    return weights, float(np.ravel(model.intercept_)[0] - weights @ centre)


def _between(scores: Floats) -> float:
    """A boundary that parts the scores as zero does: midway between its neighbours, or clear of the only one."""
    below, above = scores[scores <= 0], scores[scores > 0]
    if len(below) and len(above):
        return float(below.max() + above.min()) / 2
    return float(max(0.0, below.max() + _CLEAR) if len(below) else min(0.0, above.min() - _CLEAR))


def fit_policies(table: PathTable, cascade: Sequence[int], tradeoff: float, **options: Unpack[Options]) -> Learned:
    """The router for `cascade` that the samples of `table` teach at this trade-off (lambda: what one unit of loss is
    worth, in passes through the dearest answer).

    `table` must be of the *fit* half of the calibration split: its labels are looked at. Every sample teaches every
    decision, whether or not it would come so far. MethodError if the trade-off is negative, if options exclude each
    other or if the classifier cannot be used.
    """
    return _fit(pose(table, cascade, **options), tradeoff)


def _fit(problem: Problem, tradeoff: float) -> Learned:
    if not 0 <= tradeoff < np.inf:
        raise MethodError(f"a trade-off is a number from 0 on, got {tradeoff}")
    rules = induction(problem, tradeoff, lambda features, gain: fit_row(features, gain, problem.classifier))
    policies = [Policy(weights=tuple(w for w, _ in rows), bias=tuple(b for _, b in rows)) for rows in rules]
    return Learned(cascade=problem.cascade, features=problem.signals, history=problem.history, policies=tuple(policies))


def learned_points(
    table: PathTable, cascade: Sequence[int], count: int, **options: Unpack[Options]
) -> list[OperatingPoint]:
    """At most `count` learned points of rising trade-off, spread evenly over the mean cost they reach on `table`.

    No two cost the same. Trade-offs at which everybody stops at the first answer are left out: that is a static point.
    """
    if count < 1 or len(cascade) < 2:
        return []
    problem = pose(table, cascade, **options)
    routers: dict[float, Learned] = {}

    def cost(tradeoff: float) -> float:
        routers[tradeoff] = _fit(problem, tradeoff)
        return float(trail_macs(table, simulate(table, routers[tradeoff])).mean())

    costs = explore(cost, *worthwhile(problem), count + _FIRST_LOOK)
    cheap_end = float(table.macs[cascade[0]] + routers[min(routers)].macs(cascade[0]))
    tradeoffs = [t for t in sorted(costs) if costs[t] > cheap_end]
    chosen = spread(np.array([*(costs[t] for t in tradeoffs), cheap_end]), count + 1)
    values = [tradeoffs[i] for i in chosen if i < len(tradeoffs)]
    return [
        OperatingPoint(name=f"lambda={name}", router=routers[value])
        for name, value in zip(short(values), values, strict=True)
    ]


def worthwhile(problem: Problem) -> tuple[float, float]:
    """The trade-offs between which something happens.

    Up to the low one nobody has reason to leave the first answer; at the high one the largest gain of one sample
    outweighs the cost of all of them.
    """
    steps = problem.steps.mean(axis=-1)
    costs = steps[0, 1:] if problem.jumps else np.cumsum(np.diagonal(steps, 1))
    gains = (problem.losses[0] - problem.losses[1:]).max(axis=1)
    useful = (gains > 0) & (costs > 0)
    if not useful.any():
        return 1.0, 1.0
    samples = problem.losses.shape[1]
    return float((costs[useful] / gains[useful]).min()), float(samples * costs.max() / gains.max())


def explore(cost: Callable[[float], float], low: float, high: float, most: int) -> dict[float, float]:
    """What trade-offs from `low` to `high` cost, at most `most` of them, close together where the cost changes fast."""
    found = {t: cost(t) for t in np.geomspace(low, high, min(most, _FIRST_LOOK)).tolist()}
    while len(found) < most:
        tradeoffs = sorted(found)
        ratios = np.divide(tradeoffs[1:], tradeoffs[:-1])
        gaps = np.abs(np.diff([found[t] for t in tradeoffs])) * (ratios > _FINEST)
        if not gaps.any():
            break
        place = int(gaps.argmax())
        middle = (tradeoffs[place] * tradeoffs[place + 1]) ** 0.5
        found[middle] = cost(middle)
    return found


def chain(table: PathTable, count: int = 5) -> tuple[int, ...]:
    """A cascade of at most `count` answers for methods that have many, by rising cost.

    Answers that another one beats on cost and accuracy on `table` are left out, the rest are thinned evenly over
    cost. The full answer (the last of the table) stays in where it is not beaten, or is dearer than all that are not.
    """
    macs, accuracy = table.macs.astype(np.float64), table.correct.mean(axis=1)
    as_good = (macs <= macs[:, None]) & (accuracy >= accuracy[:, None])
    beaten = as_good & ((macs < macs[:, None]) | (accuracy > accuracy[:, None]))
    frontier = np.flatnonzero(~beaten.any(axis=1))
    full = len(macs) - 1
    if macs[full] > macs[frontier].max():
        frontier = np.append(frontier, full)
    answers = frontier[np.argsort(macs[frontier], kind="stable")]
    chosen = answers[spread(macs[answers], count)]
    if full in answers:
        chosen[np.abs(macs[chosen] - macs[full]).argmin()] = full
    return tuple(chosen.tolist())
