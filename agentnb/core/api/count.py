"""Counts of a client's calls."""

from __future__ import annotations

from agentnb.core.forking import new_lock

__all__ = ["Count"]


class Count:
    """Counts calls, failures and retries, and remembers the last of them. Thread-safe.

    Examples
    --------
    >>> count = Count()
    >>> count.done(200, 12.5)
    >>> count.calls, count.failures, count.last, count.ms
    (1, 0, '200', 12.5)
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self.calls = 0
        self.failures = 0
        self.retries = 0
        self.last: str | None = None
        """The last call's status, or its error's class."""
        self.ms: float | None = None
        """How long the last call that worked took, in milliseconds."""

    def done(self, status: int, ms: float) -> None:
        """Count a call that worked."""
        with self._lock:
            self.calls += 1
            self.last, self.ms = str(status), ms

    def failed(self, error: Exception) -> None:
        """Count a call that failed."""
        with self._lock:
            self.calls += 1
            self.failures += 1
            status = getattr(error, "status", None)
            self.last = f"{status} {type(error).__name__}" if status else type(error).__name__

    def retried(self) -> None:
        """Count an attempt that is made again."""
        with self._lock:
            self.retries += 1
