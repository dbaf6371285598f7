"""Numbers that are read with their unit, and still sort as numbers."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

from agentnb.core.format import time_left
from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Left", "Spark"]

_BARS = "▁▂▃▄▅▆▇█"


class Left(float):
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

    def __str__(self) -> str:
        return time_left(self)


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
