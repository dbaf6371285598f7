"""One value as the text of one cell."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Final, TypeAlias

from agentnb.core.format import cut, formatted
from agentnb.panels.base.indicators import Indicator
from agentnb.panels.base.saved import absolute
from agentnb.panels.base.units import Left

__all__ = ["MAX_CELL", "Shown", "cell", "plain", "saved", "sort_key"]

Shown: TypeAlias = "str | dict[str, object] | None"
"""A cell as the page is sent it: its text, or its text and how it is drawn, or NULL."""

MAX_CELL: Final = 300
"""Characters of a cell that are shown; the rest is cut off, marked by an ellipsis."""

_BYTES_SHOWN = 24
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SHOWN_AS = {"\n": "↵", "\t": " ", "\r": ""}


def plain(value: object, kind: str | None = None) -> str:
    r"""Return the whole value as one line of text, in the form of its column's kind.

    >>> plain("a\nb"), plain(None), plain(b"\x01\x02"), plain({"a": 1}), plain(1_234, "size")
    ('a↵b', 'NULL', '0x0102 (2 B)', '{"a": 1}', '1.2 kB')
    """
    try:
        form = formatted(value, kind)
        text = _text(value) if form is None else form
    except Exception as error:  # noqa: BLE001 - a value's own str() may raise anything
        text = f"<{type(value).__name__}: {type(error).__name__}>"
    if not text.isprintable():
        text = _CONTROL.sub(
            lambda found: _SHOWN_AS.get(found[0], "\N{REPLACEMENT CHARACTER}"), text
        )
        # A lone surrogate cannot be sent as JSON in UTF-8.
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "NULL"
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        more = "…" if len(raw) > _BYTES_SHOWN else ""
        return f"0x{raw[:_BYTES_SHOWN].hex()}{more} ({len(raw):,} B)"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def cell(value: object, kind: str | None = None) -> Shown:
    """Return what is shown for the value: None for NULL, else at most `MAX_CELL` characters.

    >>> cell(None), cell(1.5), len(cell("x" * 1000))
    (None, '1.5', 300)
    """
    if value is None:
        return None if kind is None else ""
    if isinstance(value, str) and len(value) > MAX_CELL:
        value = value[: MAX_CELL + 1]  # cut before the work, not after it
    text = plain(value, kind)
    text = cut(text, MAX_CELL)
    return value.shown(text) if isinstance(value, Indicator) else text


def saved(value: object, kind: str | None = None) -> str | None:
    """Return the text of a value in a saved copy: None for NULL, moments as absolute times.

    >>> saved(None), saved(1.5), saved(Indicator("3 s ago", saved="2026-01-05 09:00:00"))
    (None, '1.5', '2026-01-05 09:00:00')
    """
    if isinstance(value, (Indicator, Left)) and value.saved:
        return value.saved
    if kind == "time" and isinstance(value, (int, float)):
        return absolute(value)
    shown = cell(value, kind)
    return str(shown["text"]) if isinstance(shown, dict) else shown


def is_number(value: object) -> bool:
    """Tell whether the value is read from the right: a number, and not a truth value."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def sort_key(value: object) -> tuple[int, object, str]:
    """Return a key that orders any mixture of values: numbers, then times, then text.

    >>> sorted(["b", 10, "A", 9.5], key=sort_key)
    [9.5, 10, 'A', 'b']
    """
    if isinstance(value, (int, float, Decimal)):
        if value != value:  # noqa: PLR0124 - only a NaN differs from itself
            return (1, 0, "")
        return (0, value, "")
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return (2, 0, value.isoformat())
    if isinstance(value, Indicator) and value.order is not None:
        return (0, value.order, "")
    text = plain(value)
    return (3, 0, text.casefold() + "\0" + text)
