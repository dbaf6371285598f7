"""Values as people read them: sizes, durations, moments, states and long texts."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BRIEF_CHARACTERS",
    "COLOURS",
    "INKS",
    "NUMERIC",
    "TONES",
    "Kind",
    "ago",
    "brief",
    "clock",
    "colour",
    "count",
    "cut",
    "duration",
    "formatted",
    "moment",
    "pretty",
    "rows",
    "short",
    "size",
    "time_left",
    "time_of_day",
    "visible",
]

Kind = Literal[
    "brief", "count", "duration", "moment", "number", "share", "size", "state", "text", "time"
]
"""The kind of a column, by which its values are shown."""

BRIEF_CHARACTERS: Final = 32
"""Characters of a text of the kind ``"brief"``."""

NUMERIC: Final = frozenset({"count", "duration", "number", "size"})
"""Kinds that are aligned at the right."""

TONES: Final = {
    "completed": "good",
    "done, not kept": "warn",
    "active": "brand",
    "approval": "warn",
    "parked": "warn",
    "waiting": "dim",
    "delayed": "dim",
    "blocked": "dim",
    "paused": "warn",
    "failed": "bad",
    "skipped": "dim",
    "cancelled": "dim",
    "running": "good",
    "connected": "good",
}
"""The meaning of a state's colour."""

COLOURS: Final = {
    "good": "var(--jp-success-color1,#388e3c)",
    "brand": "var(--jp-brand-color1,#1976d2)",
    "warn": "var(--jp-warn-color1,#f57c00)",
    "bad": "var(--jp-error-color1,#d32f2f)",
    "dim": "var(--jp-ui-font-color2,#757575)",
    "": "var(--jp-ui-font-color1,#424242)",
}
"""The colours, which follow the page's theme."""

INKS: Final = {
    tone: f"color-mix(in srgb,{css} {80 if tone == 'dim' else 60}%,currentcolor)"
    for tone, css in COLOURS.items()
}
"""The colours of text, nearer to that of the text around: 4.5:1 on grey rows, light and dark."""

_DIGITS = 6
_PLAIN_FROM, _PLAIN_BELOW = 1e-4, 1e15
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_BAR = 24


def size(value: float) -> str:
    """Return a number of bytes with its unit.

    >>> size(812), size(1_234), size(56_700_000)
    ('812 B', '1.2 kB', '57 MB')
    """
    number, unit = float(value), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 999.5:  # noqa: PLR2004 - what rounds to less than the next unit
            break
        number, unit = number / 1000, larger
    fine = unit != "B" and number < 9.95  # noqa: PLR2004 - as above
    return f"{number:.1f} {unit}" if fine else f"{number:.0f} {unit}"


def count(value: float) -> str:
    """Return a number of things.

    >>> count(50_000)
    '50,000'
    """
    return f"{value:,}"


def rows(number: int) -> str:
    """Return a number of rows.

    >>> rows(1), rows(1200)
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {'row' if number == 1 else 'rows'}"


def brief(value: float | Decimal) -> str:
    """Return a number with six significant digits; an integer has all of its own.

    >>> brief(5028.046455869869), brief(1234567.8), brief(4.99764e-10), brief(2.0), brief(10**12)
    ('5028.05', '1234568', '4.99764e-10', '2', '1000000000000')
    """
    if isinstance(value, int):
        return str(value)
    size = abs(float(value))
    if not _PLAIN_FROM <= size < _PLAIN_BELOW:  # also NaN
        return f"{value:.{_DIGITS}g}"
    places = max(0, _DIGITS - 1 - math.floor(math.log10(size)))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """Return the length of a time in two digits or two units.

    >>> duration(0.00042), duration(0.0123), duration(1.234), duration(75), duration(7500)
    ('0.42 ms', '12 ms', '1.2 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds < 0.9995:  # noqa: PLR2004 - what rounds to less than a second
        milliseconds = seconds * 1000
        return f"{milliseconds:.2g} ms" if milliseconds < 9.95 else f"{milliseconds:.0f} ms"  # noqa: PLR2004 - as above
    if seconds < 59.5:  # noqa: PLR2004 - as above
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"  # noqa: PLR2004 - as above
    minutes, left = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def time_left(seconds: float) -> str:
    """Return a time in one unit, rounded down.

    >>> time_left(42.9), time_left(3599), time_left(90_000), time_left(float("inf"))
    ('42 s', '59 min', '25 h', 'no end')
    """
    if math.isinf(seconds):
        return "no end"
    if seconds < _MINUTE:
        return f"{int(seconds)} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min"
    if seconds < 2 * _DAY:
        return f"{int(seconds // _HOUR)} h"
    return f"{int(seconds // _DAY)} days"


def ago(seconds: float) -> str:
    """Return how long ago something was.

    >>> ago(0.4), ago(75)
    ('just now', '1 min ago')
    """
    return f"{time_left(seconds)} ago" if seconds >= 1 else "just now"


def clock(when: dt.datetime | float | None) -> str:
    """Return date and time on this machine's clock; None is empty.

    >>> clock(dt.datetime(2026, 1, 5, 9, 0)), clock(None)
    ('2026-01-05 09:00:00', '')
    """
    if when is None:
        return ""
    if isinstance(when, dt.datetime):
        return f"{when.astimezone() if when.tzinfo else when:%Y-%m-%d %H:%M:%S}"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def time_of_day(when: dt.datetime | float | None) -> str:
    """Return the time of the day on this machine's clock; None is empty."""
    return clock(when).rpartition(" ")[2]


def moment(when: dt.datetime) -> str:
    """Return the time of the day on this machine's clock in milliseconds.

    >>> moment(dt.datetime(2026, 1, 5, 9, 0, 0, 70_000))
    '09:00:00.070'
    """
    return f"{when.astimezone() if when.tzinfo else when:%H:%M:%S.%f}"[:-3]


def cut(text: str, limit: int | None, *, end: bool = False) -> str:
    """Return a text in at most some characters; an ellipsis stands for the rest.

    Parameters
    ----------
    text
        The text.
    limit
        The number of characters, 1 or more; None keeps all.
    end
        Whether the end is kept in place of the beginning.

    Examples
    --------
    >>> cut("a long line", 7), cut("a long line", 5, end=True), cut("short", 5)
    ('a long…', '…line', 'short')
    """
    if limit is None or len(text) <= limit:
        return text
    return f"…{text[len(text) - limit + 1 :]}" if end else f"{text[: limit - 1]}…"


def short(value: Any, limit: int | None = 300) -> str:
    """Return a text, or a value as JSON, in at most `limit` characters; None is empty.

    Bytes are JSON already.

    >>> short({"a": "ä"}), short(b"[1]"), short("plain"), short(None), short([1, 2, 3], 5)
    ('{"a": "ä"}', '[1]', 'plain', '', '[1, …')
    """
    return cut(_json(value, None), limit)


_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    r"\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""Return a text with an escape for each sign that hides itself, or turns round what follows.

    A person who approves a call must see all of it, in its order.

    >>> print(visible("pay 1\u202e000"))
    pay 1\u202e000
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def pretty(value: Any, limit: int = 20_000) -> str:
    """Return a text, or a value as indented JSON, in at most `limit` characters; None is empty.

    >>> print(pretty({"a": [1]}))
    {
      "a": [
        1
      ]
    }
    """
    return cut(_json(value, 2), limit)


def _json(value: Any, indent: int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        if indent is None:
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return text
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent)


def colour(state: object) -> str | None:
    """Return the CSS colour of a state, which may have its sign before it; None if it has none.

    >>> colour("✗ failed"), colour("new"), colour("not connected")
    ('color-mix(in srgb,var(--jp-error-color1,#d32f2f) 60%,currentcolor)', None, None)
    """
    name = str(state)
    sign, _, word = name.partition(" ")
    # "not connected" is another state than "connected".
    tone = TONES.get(name) or (None if sign.isalnum() else TONES.get(word))
    return INKS[tone] if tone else None


def _share(value: float) -> str:
    return "█" * round(_BAR * value)


_FORMS: Final[dict[str, Callable[[Any], str]]] = {
    "count": count,
    "duration": duration,
    "moment": moment,
    "share": _share,
    "size": size,
    "time": clock,
}


def formatted(value: Any, kind: str | None) -> str | None:
    """Return the text of a value of a kind; None where the kind has no form of its own.

    >>> formatted(1_234, "size"), formatted(None, "size"), formatted("plan", "text")
    ('1.2 kB', '', None)
    """
    if kind is None or kind == "text":
        return None
    if value is None:
        return ""
    if kind == "brief":
        return brief(value) if isinstance(value, (int, float, Decimal)) else None
    form = _FORMS.get(kind)
    # Another value stands for one that is not there, such as "no limit".
    known = form is not None and isinstance(value, (int, float, dt.datetime))
    return form(value) if known and form is not None else None
