"""Numbers that are read with their unit, and still sort as numbers."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Blank", "Count", "Duration", "Left", "Seconds", "Size", "Spark"]

_BARS = "▁▂▃▄▅▆▇█"


class Size(int):
    """Bytes.

    >>> str(Size(812)), str(Size(1_234)), str(Size(56_700_000))
    ('812 B', '1.2 kB', '57 MB')
    """

    __slots__ = ()

    def __str__(self) -> str:
        value, unit = float(self), "B"
        for larger in ("kB", "MB", "GB", "TB"):
            if value < 999.5:  # noqa: PLR2004 - what rounds to less than the next unit
                break
            value, unit = value / 1000, larger
        return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"  # noqa: PLR2004 - as above


class Blank(int):
    """A number that there is none of, in a column of numbers.

    >>> str(Blank()), Blank() < Size(1)
    ('', True)
    """

    __slots__ = ()

    def __str__(self) -> str:
        return ""


class Count(int):
    """A number of things.

    >>> str(Count(50_000))
    '50,000'
    """

    __slots__ = ()

    def __str__(self) -> str:
        return f"{int(self):,}"


class Seconds(float):
    """A time that is left, as coarse as anybody wants to know it.

    >>> str(Seconds(42.9)), str(Seconds(3599)), str(Seconds(90_000)), str(Seconds("inf"))
    ('42 s', '59 min', '25 h', 'no end')
    """

    __slots__ = ()

    def __str__(self) -> str:
        if math.isinf(self):
            return "no end"
        if self < 60:  # noqa: PLR2004 - seconds of a minute
            return f"{int(self)} s"
        if self < 3600:  # noqa: PLR2004 - of an hour
            return f"{int(self // 60)} min"
        if self < 2 * 86400:
            return f"{int(self // 3600)} h"
        return f"{int(self // 86400)} days"


class Left(Seconds):
    """A time that is left from now on; a saved copy has the moment when it ends.

    >>> str(Left(42.9)), Left(42.9).saved[:6], Left("inf").saved
    ('42 s', 'until ', 'no end')
    """

    __slots__ = ("saved",)
    saved: str

    def __new__(cls, left: float | str) -> Self:
        """Take the end down at once: what is left of it goes on to change."""
        made = super().__new__(cls, left)
        made.saved = "no end" if math.isinf(made) else f"until {absolute(time.time() + made)}"
        return made


class Spark(float):
    """A number with a small line of what it was before, the newest at the right.

    The line is as high as 100, or as the highest value. It sorts by its newest value; one that is
    not known counts as 0.

    Parameters
    ----------
    value
        The newest; None where it is not known.
    history
        The values up to it; None is a gap.

    Examples
    --------
    >>> str(Spark(50, [0, None, 100, 50])), str(Spark(None, [None])), str(Spark(0.4, [0, 0.4]))
    ('▁ █▅ 50.0', '', '▁▁ 0.4')
    """

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, value: float | None, history: Iterable[float | None]) -> Self:
        """Make the number and its text at once: the history goes on."""
        made = super().__new__(cls, value or 0.0)
        known = list(history)
        top = max([100.0, *(one for one in known if one is not None)])
        last = len(_BARS) - 1
        bars = "".join(" " if one is None else _BARS[round(one / top * last)] for one in known)
        made._text = "" if value is None else f"{bars.lstrip()} {value:.1f}"
        return made

    def __str__(self) -> str:
        return self._text


class Duration(float):
    """How long something took, in seconds: as fine as anybody wants to know it.

    >>> str(Duration(0.00042)), str(Duration(0.0123)), str(Duration(1.234)), str(Duration(75))
    ('0.42 ms', '12 ms', '1.2 s', '1 min 15 s')
    >>> str(Duration(7500))
    '2 h 5 min'
    """

    __slots__ = ()

    def __str__(self) -> str:
        if self < 0.9995:  # noqa: PLR2004 - what rounds to less than a second
            return f"{self * 1000:.2g} ms" if self < 0.00995 else f"{self * 1000:.0f} ms"  # noqa: PLR2004 - two digits
        if self < 59.5:  # noqa: PLR2004 - as above
            return f"{self:.1f} s" if self < 9.95 else f"{self:.0f} s"  # noqa: PLR2004 - as above
        minutes, seconds = divmod(round(self), 60)
        if minutes < 60:  # noqa: PLR2004 - of an hour
            return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
