"""Bins of equal width, for plots and summaries."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Bins"]

_QUARTER = 0.25


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of equal width between two numbers, both of which are in them.

    Parameters
    ----------
    low, high
        The numbers, which are finite.
    count
        The number of bins.

    Examples
    --------
    >>> bins = Bins(0.0, 10.0, 4)
    >>> bins.width, bins.of(0), bins.of(2.5), bins.of(10), bins.start(3)
    (2.5, 0, 1, 3, 7.5)
    """

    low: float
    high: float
    count: int

    @property
    def scale(self) -> float:
        """The factor of all numbers, where their distance is beyond the range of floats."""
        return 1.0 if math.isfinite(self.high - self.low) else _QUARTER

    @property
    def width(self) -> float:
        """The width of a bin."""
        return self.scaled_width / self.scale

    @property
    def scaled_width(self) -> float:
        """The width times the scale; 1 where both numbers are the same."""
        scale = self.scale
        return (self.high * scale - self.low * scale) / self.count or 1.0

    def of(self, number: float) -> int:
        """Return the bin of a number."""
        scale = self.scale
        found = int((number * scale - self.low * scale) / self.scaled_width)
        return min(max(found, 0), self.count - 1)

    def start(self, number: int) -> float:
        """Return the number at which a bin begins."""
        return self.low + number * self.width
