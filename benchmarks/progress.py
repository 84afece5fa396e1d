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


def drive(work: Generator[Progress, None, T], show: Callable[[Progress], None] = lambda _: None) -> T:
    """Run `work` to its end, handing every step to `show`, and return its result."""
    while True:
        try:
            show(next(work))
        except StopIteration as end:
            result: T = end.value
            return result
