"""The time axis of a waterfall, from which long gaps are cut."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import floor, log10
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.format import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Part", "Timeline"]

_LEAST_GAP = 1.0  # seconds
_LEAST_SHARE, _LEAST_TOTAL = 0.15, 0.45  # of all the time: one gap, and all of them
_WIDTH, _WIDEST = 5.0, 30.0  # per cent of the axis: one gap, and all of them
_TICKS = 5


class Part(NamedTuple):
    """A stretch of the axis: seconds since 1970, and per cent of its width."""

    began: float
    ended: float
    left: float
    width: float
    cut: bool

    @property
    def words(self) -> str:
        """The label of a gap."""
        return f"{duration(self.ended - self.began)} idle"


class Timeline:
    """Maps moments to per cent of the width.

    Parameters
    ----------
    began, ended
        The first and the last moment, in seconds since 1970.
    idle
        The stretches in which nothing worked. Where they take most of the time the long ones
        are cut to a small width.

    Examples
    --------
    >>> line = Timeline(0.0, 100.0, [(10.0, 90.0)])
    >>> line.at(10.0), line.at(90.0), [part.words for part in line.gaps]
    (47.5, 52.5, ['1 min 20 s idle'])
    """

    def __init__(self, began: float, ended: float, idle: Sequence[tuple[float, float]]) -> None:
        self.began, self.ended = began, ended
        total = ended - began
        long = [
            (begin, end)
            for begin, end in idle
            if end - begin > max(_LEAST_GAP, _LEAST_SHARE * total)
        ]
        gone = sum(end - begin for begin, end in long)
        if gone <= _LEAST_TOTAL * total:
            long, gone = [], 0.0
        width = min(_WIDTH, _WIDEST / len(long)) if long else 0.0
        scale = (100 - width * len(long)) / (total - gone) if total > gone else 0.0
        self.parts: list[Part] = []
        at, left = began, 0.0
        for begin, end in [*long, (ended, ended)]:
            room = (begin - at) * scale
            if room or not self.parts:
                self.parts.append(Part(at, begin, left, room, cut=False))
            left += room
            if end > begin:
                self.parts.append(Part(begin, end, left, width, cut=True))
                left += width
            at = end
        self._starts = [part.began for part in self.parts]

    @property
    def gaps(self) -> list[Part]:
        """The gaps that are cut."""
        return [part for part in self.parts if part.cut]

    def at(self, moment: float) -> float:
        """Return the place of a moment in per cent of the width, 0 to 100."""
        part = self.parts[max(0, bisect_right(self._starts, moment) - 1)]
        length = part.ended - part.began
        share = min(1.0, max(0.0, (moment - part.began) / length)) if length > 0 else 0.0
        return part.left + share * part.width

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The places of the axis that have a label, in per cent, each with its label."""
        shown = [part for part in self.parts if not part.cut]
        step = _nice(sum(part.ended - part.began for part in shown) / _TICKS)
        found = [(0.0, "0")]
        if not step:
            return found
        for part in shown:
            number = floor((part.began - self.began) / step) + 1
            while (offset := number * step) < part.ended - self.began:
                found.append((self.at(self.began + offset), duration(offset)))
                number += 1
        # Labels that would be the same, or lie on one another, say nothing.
        kept = found[:1]
        for before, tick in pairwise(found):
            if tick[1] != before[1] and tick[0] - kept[-1][0] >= 8 and tick[0] <= 94:  # noqa: PLR2004 - per cent
                kept.append(tick)
        return kept


def _nice(step: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least the step.

    >>> _nice(0.3), _nice(0.0)
    (0.5, 0.0)
    """
    if step <= 0:
        return 0.0
    power: float = 10.0 ** floor(log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * (1 - 1e-9))
