"""Solitude: an answer comes from the model and the image, and from nothing and nobody else."""

import sys
from collections.abc import Callable
from pathlib import Path

import sklearn

from benchmarks.conformance.listening import listening
from benchmarks.conformance.subject import BATCH, Finding, Subject, answered, counted, named
from benchmarks.data import cache
from methods import plugins
from methods.userfiles import forgotten

REPEATS, WAITS = 10, 2
"""Of so many executions, so many that wait are no accident: of 2,700 executions on a loaded machine none did."""


def nothing_else_is_asked(subject: Subject) -> Finding:
    """Answering opens no file, starts no process, searches no memory, waits for nobody; importing reads no data set."""
    model, images, heard = subject.model(), subject.images[:BATCH], list(subject.heard)
    waits = []
    for point in subject.points:
        with listening(heard):
            answered(model, point, images)
        if _waits(lambda point=point: answered(model, point, images)):  # type: ignore[misc]
            waits.append(f"{point.name} waits for another process or thread")
    wrong = [f"while answering: {what}" for what in dict.fromkeys(heard)]
    wrong += [*waits, *(f"while importing: {what}" for what in _imported(subject.file))]
    if wrong:
        return Finding(False, named(wrong, 1))
    return Finding(True, f"{counted(len(subject.points), 'point')}, and all of training and measuring: nothing heard")


def _waits(call: Callable[[], object]) -> bool:
    """Whether the thread gives its processor away by itself; where that cannot be told, it does not."""
    if sys.platform == "win32":
        return False
    import resource

    who, waits = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF), 0
    for _ in range(REPEATS):
        before = resource.getrusage(who).ru_nvcsw
        call()
        waits += resource.getrusage(who).ru_nvcsw > before
    return waits >= WAITS


def _imported(file: Path | None) -> list[str]:
    """What importing a plugin reads of the places where data sets lie."""
    if file is None:
        return []
    heard: list[str] = []
    with forgotten(), listening(heard):
        plugins.add(file)
    plugins.add(file)
    places = [str(Path(sklearn.__file__).parent), str(cache.folder())]
    return [what for what in dict.fromkeys(heard) if any(place in what for place in places)]
