"""The times of a wait for the server: one look after another, until an end or for ever.

The end of a wait is one of the monotonic clock; None for none.
"""

from __future__ import annotations

from time import monotonic

__all__ = ["LOOK_SECONDS", "SLICE", "is_over", "left", "look_limit", "pause_of", "slice_of"]

SLICE = 5.0
"""Seconds between two looks while nothing is announced."""
LOOK_SECONDS = 0.25
"""Seconds that a look may take at least: what has happened is never late."""
_AGAIN_SECONDS = 0.5  # between two looks while the server is away


def is_over(until: float | None) -> bool:
    """Return whether the end of a wait has come."""
    return until is not None and monotonic() >= until


def left(until: float) -> float:
    """Return the seconds until the end of a wait, 0 after it."""
    return max(until - monotonic(), 0.0)


def slice_of(until: float | None, longest: float) -> float:
    """Return the seconds until the next look, or until the end if that is sooner."""
    return longest if until is None else min(until - monotonic(), longest)


def pause_of(until: float | None) -> float:
    """Return the seconds until the next look while the server is away."""
    return _AGAIN_SECONDS if until is None else min(_AGAIN_SECONDS, left(until))


def look_limit(until: float | None, longest: float) -> float | None:
    """Return the seconds that a look may take; None for the client's timeout, the longest."""
    if until is None or (seconds := left(until)) >= longest:
        return None
    return min(max(seconds, LOOK_SECONDS), longest)
