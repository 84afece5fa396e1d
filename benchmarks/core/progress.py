"""Long work is a generator: it yields how far it is and returns its result.

So no terminal object passes through any signature, and a caller may show the progress or ignore it.
"""

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Progress(NamedTuple):
    """`done` of `total` units of work."""

    done: int
    total: int


class Job(str):
    """What a job does, in a few words, and its place: it belongs to number `place` of all `parts` of the work."""

    place: int
    parts: int

    def __new__(cls, text: str, place: int, parts: int) -> "Job":
        job = super().__new__(cls, text)
        job.place, job.parts = place, parts
        return job


def drive(work: Generator[Progress, None, T], show: Callable[[Progress], None] = lambda _: None) -> T:
    """Run `work` to its end, handing every step to `show`, and return its result."""
    while True:
        try:
            show(next(work))
        except StopIteration as end:
            result: T = end.value
            return result
