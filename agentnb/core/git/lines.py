"""Lines of a difference, made fit to be shown: short, visible, and beside their counterparts."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LONGEST", "between", "paired", "shortened", "visible", "windows"]

LONGEST: Final = 400
"""Characters of a line that are shown."""

_BEFORE: Final = 80
_MOST_COMPARED: Final = 2000
_NO_END: Final = "\\ No newline at end of file"
_CHUNK: Final = 1 << 16
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Return a line in which nothing moves the cursor or turns text around."""
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def shortened(line: str, start: int = 0) -> str:
    """Return a line, or of a long one the part from a character on, with how much is left out.

    >>> shortened("x" * 1000)[390:]
    'xxxxxxxxxx … 600 more characters'
    """
    if len(line) <= LONGEST:
        return line
    start = max(0, min(start - _BEFORE, len(line) - LONGEST))
    left = len(line) - start - LONGEST
    before = f"{start:,} characters … " if start else ""
    return f"{before}{line[start : start + LONGEST]}" + (
        f" … {left:,} more characters" if left else ""
    )


def windows(old: str, new: str) -> tuple[str, str]:
    """Return two lines; of long ones the parts in which they begin to differ."""
    if len(old) <= LONGEST and len(new) <= LONGEST:
        return old, new
    start = _first_difference(old, new)
    return shortened(old, start), shortened(new, start)


def _first_difference(old: str, new: str) -> int:
    at, end = 0, min(len(old), len(new))
    while at < end and old[at : at + _CHUNK] == new[at : at + _CHUNK]:
        at += _CHUNK
    while at < end and old[at] == new[at]:
        at += 1
    return min(at, end)


def paired(lines: Sequence[str], signs: int = 1) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of a hunk, each with the one that it replaced or that replaced it.

    >>> list(paired([" a", "-b", "-c", "+d"]))
    [(' a', None), ('-b', '+d'), ('-c', None), ('+d', '-b')]
    """
    at = 0
    while at < len(lines):
        if signs > 1 or lines[at][:1] not in {"-", "+"}:
            yield lines[at], None
            at += 1
            continue
        middle = _end(lines, at, "-")
        # Where the last line of a file has no end, git says so behind each side.
        start = middle + (middle > at and lines[middle : middle + 1] == [_NO_END])
        end = _end(lines, start, "+")
        both = min(middle - at, end - start)
        for number in range(at, middle):
            yield lines[number], lines[start + number - at] if number - at < both else None
        for number in range(middle, start):
            yield lines[number], None
        for number in range(start, end):
            yield lines[number], lines[at + number - start] if number - start < both else None
        at = end


def _end(lines: Sequence[str], at: int, sign: str) -> int:
    while at < len(lines) and lines[at].startswith(sign):
        at += 1
    return at


def between(before: str, after: str) -> list[str]:
    """Return the lines in which two texts differ as a hunk has them, three around each change.

    Where there are too many to be compared, those between the equal ends are all taken as replaced.
    """
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _MOST_COMPARED:
        return _replaced(old, new)
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    return [line for line in found if not line.startswith("@@")]


def _replaced(old: Sequence[str], new: Sequence[str]) -> list[str]:
    start = end = 0
    most = min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    while end < most - start and old[-1 - end] == new[-1 - end]:
        end += 1
    removed, added = old[start : len(old) - end], new[start : len(new) - end]
    return [*(f"-{line}" for line in removed), *(f"+{line}" for line in added)]
