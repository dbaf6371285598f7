"""Answers of tools cut to a size that a model can read, with a line about what was left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.format import cut
from agentnb.core.redact import MASK
from agentnb.core.trace.files import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["AROUND", "CELL", "CHARACTERS", "ROWS", "fit_rows", "fit_text", "mask_part"]

CHARACTERS = 60_000
"""The most that one answer has."""
ROWS = 1_000
"""The most rows that one answer has."""
CELL = 10_000
"""The most that one value of a row has."""
AROUND = 4_096
"""Bytes around a part of a text that are looked at for a secret which its edge cuts."""
_TRIED = 100
"""Ends of words from an edge on, one of which is behind the secret: a private key has 50 lines."""
_SPACE = re.compile(r"\s")
_ABOUT = 500
"""Characters that the line about what was left out may take."""


def fit_text(text: str, ask: str, *, redactor: Callable[[str], str], most: int = CHARACTERS) -> str:
    r"""Return a text with its secrets masked, and cut with a line about the rest.

    Parameters
    ----------
    text
        The text.
    ask
        The call that returns less.
    redactor
        Masks secrets; before the cut, which may go through one.
    most
        Characters at most.

    Examples
    --------
    >>> fit_text("one two three", "file_read(path, offset=0)", redactor=str, most=7)
    'one two\n[left out: 6 of 13 characters; ask for less: file_read(path, offset=0)]'
    """
    whole = redactor(text)
    if len(whole) <= most:
        return whole
    left = f"[left out: {len(whole) - most:,} of {len(whole):,} characters; ask for less: {ask}]"
    return f"{whole[:most]}\n{left}"


def mask_part(before: str, part: str, after: str, redactor: Callable[[str], str]) -> str:
    """Return a part of a text with its secrets masked, also one that an edge of it cuts.

    Else a secret could be read in two halves, neither of which looks like one.

    Parameters
    ----------
    before, after
        The text around it.
    part
        The part.
    redactor
        Masks secrets.

    Examples
    --------
    >>> from agentnb.core.redact import Redactor
    >>> mask_part("key: hun", "ter22, and", " more", Redactor(["hunter22"]))
    '•••••• and'
    """
    places = [0, *(one.start() for one in _SPACE.finditer(part)), len(part)]

    def whole(place: int) -> bool:
        """Return whether no secret goes through a place of the part."""
        left, right = (before + part[:place])[-AROUND:], (part[place:] + after)[:AROUND]
        return redactor(left + right) == redactor(left) + redactor(right)

    start = next(filter(whole, places[:_TRIED]), places[:_TRIED][-1])
    end = next(filter(whole, places[: -_TRIED - 1 : -1]), places[-_TRIED:][0])
    if start >= end:
        return MASK if part else part
    head, tail = MASK if start else "", MASK if end < len(part) else ""
    return f"{head}{redactor(part[start:end])}{tail}"


def fit_rows(
    name: str,
    rows: Iterable[Mapping[str, Any]],
    ask: str,
    *,
    redactor: Callable[[str], str],
    more: bool = False,
    most: int = CHARACTERS,
) -> dict[str, Any]:
    """Return rows as plain JSON under a name, as many as fit, and what was left out.

    Parameters
    ----------
    name
        The name.
    rows
        The rows.
    ask
        The call that returns less, or the rest.
    redactor
        Masks secrets.
    more
        Whether there are others that were not read.
    most
        Characters of JSON at most.

    Examples
    --------
    >>> fit_rows("rows", [{"n": 1}, {"n": 2}], "limit=1", redactor=str)
    {'rows': [{'n': 1}, {'n': 2}]}
    >>> fit_rows("rows", [{"n": 1}], "limit=1", redactor=str, more=True)["left_out"]
    'there are more than these 1: limit=1'
    """
    kept: list[Any] = []
    size = _ABOUT
    given = list(rows)
    for row in given:
        plain = clean({key: _short(value) for key, value in row.items()}, redactor, longest=CELL)
        size += len(msgspec.json.encode(plain))
        if size > most or len(kept) == ROWS:
            return {
                name: kept,
                "left_out": f"{len(given) - len(kept):,} of {len(given):,} that were read, which "
                f"are too much for one answer: {cut(ask, 200)}",
            }
        kept.append(plain)
    if more:
        return {name: kept, "left_out": f"there are more than these {len(kept):,}: {cut(ask, 200)}"}
    return {name: kept}


def _short(value: Any) -> Any:
    """Return the size in the place of bytes, which no model reads."""
    if isinstance(value, bytes | bytearray | memoryview):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        return f"<{size:,} bytes>"
    return value
