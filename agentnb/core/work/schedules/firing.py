"""When the next schedule of a store is due for a worker, and what fires it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FiringTimer"]

_SOON = 0.002


class FiringTimer:
    """Fires the schedules of a store when they are due, by the last look of a worker at them.

    Parameters
    ----------
    fire_due
        Fires those that are due, and returns the seconds until the next one is; None for none.

    Examples
    --------
    >>> timer = FiringTimer(lambda: print("fired"))
    >>> timer.set(60)
    >>> timer.until(5), timer.until(None) > 59
    (5, True)
    >>> timer.set(0)
    fired
    """

    def __init__(self, fire_due: Callable[[], float | None]) -> None:
        self._fire_due = fire_due
        self._at: float | None = None

    def set(self, seconds: float | None) -> None:
        """Note when the next schedule is due; one that is, fires now."""
        self._note(seconds)
        self.look()

    def look(self) -> None:
        """Fire what is due, by the last look."""
        if self._at is not None and monotonic() >= self._at:
            self.fire()

    def fire(self) -> None:
        """Fire what is due, and note when the next one is."""
        self._at = None
        self._note(self._fire_due())

    def until(self, seconds: float | None) -> float | None:
        """Return the seconds until a unit, which is due in some, or a schedule is due."""
        if self._at is None:
            return seconds
        # One that is due by now fires in the thread of the lease keeper, which this wakes.
        firing = max(self._at - monotonic(), _SOON)
        return firing if seconds is None else min(seconds, firing)

    def _note(self, seconds: float | None) -> None:
        self._at = None if seconds is None else monotonic() + seconds
