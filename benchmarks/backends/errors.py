"""The error of what executes operating points."""


class Unsupported(Exception):  # noqa: N818  # no fault of anyone's
    """A point that a backend or precision does not have here; the message is one line that gives the reason."""
