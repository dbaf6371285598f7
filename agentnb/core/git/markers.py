"""Conflict markers that are left in a file."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["marked_lines"]

# Git writes seven of each, or as many as the attribute conflict-marker-size says.
_BEGIN: Final = re.compile(rb"^<{7,}(?: |\r?$)")
_MIDDLE: Final = re.compile(rb"^={7,}\r?$")
_END: Final = re.compile(rb"^>{7,}(?: |\r?$)")


def marked_lines(data: bytes) -> list[int]:
    r"""Return the numbers of the lines at which conflicts begin, from 1.

    Only a beginning that has its middle and its end counts, so that a text's heading that is
    underlined by ``=======`` is no marker.

    >>> marked_lines(b"a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n")
    [2]
    >>> marked_lines(b"Title\n=======\n")
    []
    """
    if b"<<<<<<<" not in data:
        return []
    found: list[int] = []
    begun, middle = 0, False
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not begun and _BEGIN.match(line):
            begun = number
        elif begun and _MIDDLE.match(line):
            middle = True
        elif middle and _END.match(line):
            found.append(begun)
            begun, middle = 0, False
    return found
