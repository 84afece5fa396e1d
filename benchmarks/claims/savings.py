"""What is saved at nearly the same accuracy: by learned selection (Bolukbasi et al.), and by exits in time
(Teerapittayanon et al.).

The point is the cheapest that *select* sees within a hundredth of the reference's accuracy. What it loses and saves is
measured on test, so that a lucky choice shows.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.claims.pairing import Known, Models, Timed, labels, of, of_method, pair, partners
from benchmarks.evaluation.per_image import Observed, Seen, cheapest, selective
from benchmarks.finding import AtPoint, Finding, OfSeed
from benchmarks.stats.inference import Interval, bootstrap

LOSS = 0.01
"""The accuracy that may be lost."""
SAME = 1e-3
"""Up to this relative difference of MACs a static point is the plain network."""
ACCURACY, MACS, TIME = "loses under 1 point", "MACs saved", "time saved, executed"
UNTIMED = "needs timings: run --latency full, or time RUN"
AMONG = "cheapest point within 1 point on select"
SELECTIVE = f"{AMONG}, no answer for over 90% of images"
NO_POINT = "no point within 1 point of it on select"

Choice = tuple[Observed, Seen, Observed, Seen]
"""A model and its point, the reference and its point."""


def selection(models: Models, known: Known) -> Iterator[Finding]:
    """Learned policies against the dearest of their own networks or exits, which they would else have to use.

    Only where they select: a policy that sends all images to a small network saves what that network alone saves.
    """
    claim = "learned selection saves at under 1% loss"
    learned = labels(models, lambda model: any(point.learned for point in model.points))
    if not learned:
        yield Finding(
            claim, "", "its dearest answer", SELECTIVE, (), "needs netselect, adaptiveexit or routing=learned"
        )
    for label in learned:
        own = of(models, label)
        chosen = [_chosen(model, selective(_learned(model)), model, _dearest(model)) for model in own]
        yield from _lines((claim, label, "its dearest answer", SELECTIVE), chosen, known)


def _learned(model: Observed) -> list[Seen]:
    return [point for point in model.points if point.learned]


def _dearest(model: Observed) -> Seen:
    """The dearest answer alone, as a static point."""
    last = int(np.argmax(model.macs))
    right, macs = model.correct[last], int(model.macs[last])
    return Seen(model.answers[last], right, np.full(len(right), macs), 0.0, macs, float(model.calibrated[last]))


def exits(models: Models, known: Known) -> Iterator[Finding]:
    """Per-sample early exits against the plain network, in executed time."""
    claim = "early exits are faster at equal accuracy"
    plain, others = of(models, "plain"), of_method(models, "earlyexit")
    if not plain or not others:
        yield Finding(claim, "earlyexit", "plain", AMONG, (), "needs earlyexit and the plain network")
        return
    for label in others:
        both = partners(of(models, label), plain)
        chosen = [_chosen(model, model.per_sample, reference, reference.best()) for model, reference in both]
        yield from _lines((claim, label, "plain", AMONG), chosen, known)


def _chosen(model: Observed, points: Sequence[Seen], other: Observed, reference: Seen) -> Choice | None:
    point = cheapest(points, reference.calibration_accuracy - LOSS)
    return None if point is None else (model, point, other, reference)


def _lines(about: tuple[str, str, str, str], chosen: Sequence[Choice | None], known: Known) -> Iterator[Finding]:
    """What is lost, what is saved in MACs and what in time; `about`: claim, subject, against, among."""
    found = [choice for choice in chosen if choice]
    lost, why = len(chosen) - len(found), "" if found else NO_POINT
    pairs = tuple(pair(*choice) for choice in found)
    yield Finding(*about, pairs, why, where=ACCURACY, lacking=lost if found else 0, margin=LOSS)
    saved = tuple(_macs_saved(*choice) for choice in found)
    yield Finding(*about, saved, why, "share", MACS, lost if found else 0)
    times = [_time_saved(choice, known) for choice in found]
    timed = tuple(time for time in times if isinstance(time, OfSeed))
    doubts = [time for time in times if isinstance(time, str)]
    untimed = len(found) - len(timed) if timed else 0
    yield Finding(*about, timed, why or "".join(doubts[:1]), "share", TIME, lost if timed else 0, untimed=untimed)


def _macs_saved(model: Observed, point: Seen, other: Observed, reference: Seen) -> OfSeed:
    share = 1 - point.macs / reference.macs.mean()
    saved = bootstrap(share)
    macs = (float(point.macs.mean()), float(reference.macs.mean()))
    points = (AtPoint(f"{point.name} | {reference.name}", saved.mean),)
    return OfSeed(model.seed, saved, points, macs, model.train_macs / other.train_macs, len(share), share)


def _time_saved(choice: Choice, known: Known) -> OfSeed | str:
    """The share of the reference's time that executing the point saves, or why that is not known.

    The interval is that of the ratio to plain, over repetitions.
    """
    model, point, other, reference = choice
    if not known.times:
        return UNTIMED
    own, theirs = _timed(model, point, known), _timed(other, reference, known)
    if own.doubt or theirs.doubt:
        return own.doubt or theirs.doubt
    saved = Interval(1 - own.ratio / theirs.ratio, 1 - own.high / theirs.low, 1 - own.low / theirs.high)
    macs = (float(point.macs.mean()), float(reference.macs.mean()))
    points = (AtPoint(f"{point.name} | {reference.name}", saved.mean),)
    return OfSeed(model.seed, saved, points, macs, model.train_macs / other.train_macs, len(point.macs))


def _timed(model: Observed, point: Seen, known: Known) -> Timed:
    """What a point takes; what costs as much as the plain network, without a router, takes as long."""
    if point.random is None and abs(point.macs.mean() / known.plain_macs - 1) < SAME:
        return Timed(1, 1, 1)
    nothing = Timed(0, 0, 0, f"{model.label} {point.name} was not timed")
    return (known.times or {}).get((model.label, model.seed, point.name), nothing)
