"""Texts that others may have written, as they are shown."""

import re

_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """A text without what steers a terminal or turns the direction of what is read: such characters are written out.

    Control characters but tabs and line ends, separators of lines, overrides of direction, lone surrogates.
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
