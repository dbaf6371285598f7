"""Hits and misses, counted in this process."""

from __future__ import annotations

from agentnb.core.forking import new_lock

__all__ = ["HitCounter"]


class HitCounter:
    """Counts hits and misses, thread-safe.

    Examples
    --------
    >>> counter = HitCounter()
    >>> counter.hit(); counter.hit(); counter.miss()
    >>> counter.hits, counter.misses, round(counter.ratio, 2)
    (2, 1, 0.67)
    """

    __slots__ = ("_lock", "hits", "misses")

    def __init__(self) -> None:
        self._lock = new_lock()
        self.hits = self.misses = 0

    def hit(self) -> None:
        """Count a hit."""
        with self._lock:
            self.hits += 1

    def miss(self) -> None:
        """Count a miss."""
        with self._lock:
            self.misses += 1

    @property
    def ratio(self) -> float:
        """Return the share of hits, 0 to 1; 0 before the first lookup."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0
