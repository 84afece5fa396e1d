"""A limit to how long code of anybody's may take between two signs of life: what hangs fails and holds nothing up."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MINUTES = 30.0
"""A run's limit by itself: the longest step between two of a method's own, fitting policies to 25,000 images and 17
answers, takes minutes."""


class Hung(BaseException):
    """What runs gave no sign of life for too long. No Exception, as those are caught where somebody tries again."""


@contextmanager
def patience(minutes: float) -> Iterator[Callable[[], None]]:
    """Raise Hung in what runs inside where `minutes` pass before the given function is called again.

    The error arises in Python code, sleeping or waiting included; compiled code that never returns is not interrupted,
    and neither is anything on systems without timers or outside the main thread.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def ring(*_: object) -> None:
        raise Hung(
            f"nothing was heard of it for {minutes:g} minutes: it hangs, or a step of it takes longer than --patience"
        )

    def heard() -> None:
        signal.setitimer(signal.ITIMER_REAL, minutes * 60)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        heard()
        yield heard
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
