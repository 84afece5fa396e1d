"""What the rules look at: pure functions of an entry, each giving its problems, one line each. No torch.

Counting costs again needs torch and is in `recount`.
"""

import datetime
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaderboard import cross_checks
from benchmarks.leaderboard.contradictions import impossible
from benchmarks.leaderboard.entry import EXPLAINED, Entry, Replay, Seed, agreed
from benchmarks.leaderboard.figures import figures
from benchmarks.leaderboard.packing import unpack, unpack_texts
from benchmarks.leaderboard.registered import Registered, augmented, block, carried
from benchmarks.leaderboard.trails import possible

Problems = Sequence[str]
POINTS = 20
RANKED_SEEDS = 3
INLINE = 5 * 2**20
"""Bytes of weights that an entry may bring into the repository."""
READ = ("source", "settings", "rooted")
"""How a data set is read."""
_SHOWN = 3


def file_name(entry: Entry, name: str | None) -> Problems:
    """Whether the file bears the name that its content gives it."""
    return [f"it should be called {entry.file}"] if name not in (None, entry.file) else []


def alone(entry: Entry, others: Iterable[Entry]) -> Problems:
    """Whether nothing else is an entry of the same."""
    return [f"{other.file} is of the same: replace it" for other in others if other.about == entry.about]


def data(entry: Entry, known: Registered | None) -> Problems:
    """Whether the data set is registered under its name, with these images."""
    if known is None:
        facts = block(entry.dataset.name, entry.dataset.model_dump(include=set(READ)) | carried(entry))
        return [f"{entry.dataset.name} is not registered; a data set needs these lines in datasets.toml:\n{facts}"]
    own = entry.dataset.model_dump(include=set(READ)) | entry.dataset.facts() | augmented(entry)
    return [f"{key} is {value}, registered is {getattr(known, key)}" for key, value in own.items()
            if getattr(known, key) != value]  # fmt: skip


def labels(entry: Entry, known: Registered | None) -> Problems:
    """Whether labels and ids are those of the registered test images."""
    return _differing(entry, known, {"labels_sha256": "the labels", "ids_sha256": "the names of the test images"})


def calibration(entry: Entry, known: Registered | None) -> Problems:
    """Whether the *select* half is the registered one, and shares no image with the test split."""
    about = {
        "select_ids_sha256": "the calibration images", "partition": "the partition of the training images",
        "statistics": "the images that batch-norm statistics come from",
    }  # fmt: skip
    problems = list(_differing(entry, known, about))
    test, select = unpack_texts(entry.ids), unpack_texts(entry.select_ids)
    named = not all(name.isdecimal() for name in test[:_SHOWN])  # numbers are positions, each in a split of its own
    if named and (shared := set(test) & set(select)):
        problems.append(f"{len(shared)} images calibrate and are tested on, for example {min(shared)}")
    if entry.dataset.train_fingerprint == entry.dataset.test_fingerprint:
        problems.append("the training images are the test images")
    for what, names in (("test", test), ("calibration", select)):
        if more := len(names) - len(set(names)):
            problems.append(f"{more} {what} images stand there more than once")
    return problems


def _differing(entry: Entry, known: Registered | None, about: dict[str, str]) -> Problems:
    own = carried(entry)
    return [f"{what} are not the registered ones" for key, what in about.items() if own[key] != getattr(known, key)]


def answers(entry: Entry, _: object = None) -> Problems:
    """Whether every array has the shape and the values it has to have."""
    costs, n, m = entry.costs, entry.dataset.test_images, len(unpack_texts(entry.select_ids))
    a, o, w = costs.answers, len(costs.outputs), len(costs.work)
    problems = []
    if unpack(entry.labels).shape != (n,) or len(unpack_texts(entry.ids)) != n or a > o or len(costs.macs) != w:
        problems.append("labels, names of images, outputs or MACs are too few or too many")
    problems += _array("uses", costs.uses, (o, w), 2)
    if len(set(entry.seed_numbers)) < len(entry.seeds):
        problems.append("a seed stands there twice")
    if len({seed.weights.sha256 for seed in entry.seeds}) < len(entry.seeds):
        problems.append("two seeds have the same weights: one training is one seed")
    for seed in entry.seeds:
        p, t = len(seed.points), len(seed.trails)
        if any(not trail or not all(0 <= at < o for at in trail) or trail[-1] >= a for trail in seed.trails):
            problems.append(f"seed {seed.seed}: a trail is empty, unknown or does not end at an answer")
        for name, shape, below in (
            ("test_prediction", (n, a), entry.dataset.classes),
            ("test_top5", (n, a), 2),
            ("test_trail", (n, p), t),
            ("select_right", (m, a), 2),
            ("select_trail", (m, p), t),
        ):
            problems += [f"seed {seed.seed}: {line}" for line in _array(name, getattr(seed, name), shape, below)]
    return problems


def _array(name: str, packed: Any, shape: tuple[int, ...], below: int) -> Problems:
    values = unpack(packed)
    if values.shape != shape:
        return [f"{name} has the shape {list(values.shape)}, not {list(shape)}"]
    return [f"{name} has values above {below - 1}"] if values.size and values.max() >= below else []


def points(entry: Entry, _: object = None) -> Problems:
    """Whether there are no more points than anybody may show."""
    problems = []
    for seed in entry.seeds:
        names = Counter(point.name for point in seed.points)
        if len(seed.points) > POINTS:
            problems.append(f"seed {seed.seed} shows {len(seed.points)} points: run with --points {POINTS}")
        problems += [f"seed {seed.seed}: '{name}' stands there twice" for name, count in names.items() if count > 1]
    return problems


def trails(entry: Entry, _: object = None) -> Problems:
    """Whether every trail that was taken is one that the point's router allows, and all of an image's fit together."""
    problems = []
    for seed in entry.seeds:
        for place, point in enumerate(seed.points):
            taken = _taken(seed, place)
            bad = [trail for trail in taken if not possible(point.router, trail, entry.dataset.classes)]
            if bad:
                names = " > ".join(entry.costs.outputs[at] for at in bad[0])
                problems.append(f"seed {seed.seed}, {point.name}: no image can go {names}")
        routers = [point.router for point in seed.points]
        for split, packed in (("test", seed.test_trail), ("calibration", seed.select_trail)):
            if count := impossible(routers, seed.trails, unpack(packed)):
                problems.append(f"seed {seed.seed}: {count} {split} images go at one point as they cannot at another")
    return _few(problems)


def _taken(seed: Seed, place: int) -> list[tuple[int, ...]]:
    used = {*unpack(seed.test_trail)[:, place].tolist(), *unpack(seed.select_trail)[:, place].tolist()}
    return [seed.trails[number] for number in sorted(used)]


def chosen(entry: Entry, _: object = None) -> Problems:
    """Whether the points that are called selected are those that the *select* half selects."""
    found = figures(entry).points
    said = {(row.seed, row.point): row.selected for row in entry.figures.points}
    return _few([
        f"seed {row.seed}, {row.point}: calibration images {'choose it' if row.selected else 'do not choose it'}"
        for row in found
        if said.get((row.seed, row.point)) != row.selected
    ])  # fmt: skip


def stated(entry: Entry, _: object = None) -> Problems:
    """Whether the stated figures are the recomputed ones, to the last digits."""
    said, found = (one.model_dump() for one in (entry.figures, figures(entry)))
    problems = []
    for part in ("points", "budgets"):
        if len(said[part]) != len(found[part]):
            return [f"{len(said[part])} {part} are stated, {len(found[part])} follow from the answers"]
        for one, other in zip(said[part], found[part], strict=True):
            about = f"seed {other['seed']}, {other['point']}" if part == "points" else f"at {other['share']:.0%}"
            problems += [f"{about}: {line}" for line in _unequal(one, other)]
    return _few([*problems, *(f"summary: {line}" for line in _unequal(said["summary"], found["summary"]))])


def _unequal(said: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [f"{key} is {found[key]}, not {said[key]}" for key in found if not _same(said[key], found[key])]


def _same(said: Any, found: Any) -> bool:
    if isinstance(found, float) and isinstance(said, float | int):
        return bool(np.isclose(said, found, rtol=1e-9, atol=1e-12))
    return bool(said == found)


def executed(entry: Entry, sizes: Collection[tuple[int, int]]) -> Problems:
    """Whether every point says rightly if it was executed, and how: `sizes`, batches and the images of each."""
    n = entry.dataset.test_images
    asked = {(batch, min(images, n)) for batch, images in sizes}
    problems = []
    for seed in entry.seeds:
        for point in seed.points:
            if (point.execution == "executed") != agreed(point.checks):
                problems.append(f"seed {seed.seed}, {point.name} says {point.execution}, but its checks do not")
            elif {(check.batch, check.images) for check in point.checks} != asked and point.checks:
                batches = ", ".join(f"{images} images in batches of {batch}" for batch, images in sorted(asked))
                problems.append(f"seed {seed.seed}, {point.name} has to be executed on {batches}")
    return _few(problems)


def closed(entry: Entry, others: Iterable[Entry]) -> Problems:
    """What of an entry of the closed division is not as in the entry of the plain network, or as in all of them."""
    if entry.division == "open":
        return []
    if sorted(entry.seed_numbers) != list(range(len(entry.seeds))):
        return [f"its seeds are not 0 to {len(entry.seeds) - 1}: nobody chooses the best of many"]
    if entry.label == "plain":
        return []
    mine = ("plain", "default", *entry.about[2:])
    reference = next((other for other in others if other.about == mine), None)
    if reference is None:
        return [
            f"there is no entry of the plain {entry.backbone} on {entry.dataset.name}: submit it, or --division open"
        ]
    own, its = (_compared(one) for one in (entry, reference))
    problems = [f"{key} is {own[key]}, the plain network's {its[key]}" for key in own if own[key] != its[key]]
    return [line if len(line) < 400 else f"{line[:400]}..." for line in problems]


def _compared(entry: Entry) -> dict[str, Any]:
    """What has to be the same in the closed division."""
    chosen = {"seeds": sorted(entry.seed_numbers), "points": entry.configuration.points}
    return entry.training.facts() | entry.dataset.facts() | chosen


def weights(entry: Entry, folder: Path) -> Problems:
    """Whether weights lie where the entry says, with the hashes it says, in files that can hold them."""
    problems, inline = cross_checks.sizes(entry), [seed.weights for seed in entry.seeds if seed.weights.inline]
    if (total := sum(one.bytes for one in inline)) > INLINE:
        problems.append(f"{total:,} bytes of weights are more than {INLINE:,}: give an address")
    for one in inline:
        path = folder / f"{one.sha256}.safetensors"
        if not path.is_file():
            problems.append(f"weights/{path.name} is missing")
        elif path.stat().st_size != one.bytes or hashlib.sha256(path.read_bytes()).hexdigest() != one.sha256:
            problems.append(f"weights/{path.name} is not the file it is called after")
    addresses = {seed.seed: seed.weights.address for seed in entry.seeds if seed.weights.address}
    return problems + [
        f"seed {seed}: {address} is no https address"
        for seed, address in addresses.items()
        if not re.fullmatch(r"https://[^\s\"'<>]+", address)
    ]


def tier(entry: Entry, known: Registered | None) -> Problems:
    """Whether somebody replayed what the tier says was replayed."""
    kinds = {"self-reported": (), "reproduced": ("replay",), "verified": ("replay", "retraining")}[entry.tier]
    problems = []
    for kind in kinds:
        records = [replay for replay in entry.replays if replay.kind == kind]
        if not records:
            problems.append(f"{entry.tier} needs the record of a {kind}: `leaderboard {_VERBS[kind]}` makes it")
        elif all(record.content != entry.digest for record in records):
            problems.append(f"its {kind} was of other content: something was changed since")
        elif not any(_plausible(entry, record) for record in records if record.content == entry.digest):
            problems.append(f"the record of its {kind} is not one that a {kind} of this entry gives")
    if kinds and not all(seed.weights.inline or seed.weights.address for seed in entry.seeds):
        problems.append(f"{entry.tier} needs weights that anybody can have")
    if kinds and known is not None and not known.public:
        problems.append(f"the images of {entry.dataset.name} are not public: nobody else can replay it")
    return problems


def _plausible(entry: Entry, record: Replay) -> bool:
    """Whether a record can be one of this entry: its day, how much was compared, and how much of that differed."""
    try:
        day, made = (datetime.date.fromisoformat(one) for one in (record.date, entry.date))
    except ValueError:
        return False
    latest = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
    if record.kind == "retraining":
        return (record.machine, record.date) != (entry.environment.machine, entry.date) and day <= latest
    images = entry.dataset.test_images + len(unpack_texts(entry.select_ids))
    compared = images * sum(len(seed.points) for seed in entry.seeds)
    return made <= day <= latest and record.compared == compared and 0 <= record.different <= EXPLAINED * compared


_VERBS = {"replay": "replay", "retraining": "verify"}


def seeds(entry: Entry, _: object = None) -> Problems:
    """Whether there are enough seeds to be ranked."""
    count = len(entry.seeds)
    return [f"{count} seed{'s' if count > 1 else ''}: shown, not ranked"] if count < RANKED_SEEDS else []


def ranked_data(entry: Entry, known: Registered | None) -> Problems:
    """Whether the data set ranks methods at all."""
    return [] if known is None or known.ranked else [f"{entry.dataset.name}: {known.reason}"]


def _few(problems: list[str]) -> list[str]:
    """The first ones, and how many more there are."""
    more = len(problems) - _SHOWN
    return [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
