"""Hits and misses, counted in this process."""

from __future__ import annotations

import threading

__all__ = ["Count"]


class Count:
    """How often the cache had what was asked for.

    Examples
    --------
    >>> count = Count()
    >>> count.hit(); count.hit(); count.miss()
    >>> count.hits, count.misses, round(count.ratio, 2)
    (2, 1, 0.67)
    """

    __slots__ = ("_lock", "hits", "misses")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    def hit(self) -> None:
        """Count a value that was there."""
        with self._lock:
            self.hits += 1

    def miss(self) -> None:
        """Count a value that was not."""
        with self._lock:
            self.misses += 1

    @property
    def ratio(self) -> float:
        """Return the share of hits, 0 to 1; 0 before anything was asked for."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0
