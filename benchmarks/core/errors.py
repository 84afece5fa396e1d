"""Errors of the harness, and which errors are the machine's."""

import errno


class UsageError(ValueError):
    """A mistake in what the user asked for; the message is one line that says what to do. Exit status 2."""


class TrainingError(RuntimeError):
    """A training that cannot go on, for example because its loss is not a number any more."""


def disk_is_full(error: BaseException) -> bool:
    """Whether there is no space left; libraries put the system's words into errors of their own."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "No space left" in str(error)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, the processor's or the device's."""
    text = str(error).lower()  # torch's allocator on a CPU says it in its own words
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
