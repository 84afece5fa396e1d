"""Errors of the harness."""


class UsageError(ValueError):
    """A mistake in what the user asked for; the message is one line that says what to do. Exit status 2."""


class TrainingError(RuntimeError):
    """A training that cannot go on, for example because its loss is not a number any more."""
