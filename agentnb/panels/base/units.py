"""Numbers that are read with their unit, and still sort as numbers."""

from __future__ import annotations

import math

__all__ = ["Blank", "Seconds", "Size"]


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
