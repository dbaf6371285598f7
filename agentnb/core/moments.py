"""Moments are aware datetimes in UTC; stores keep them as seconds since the epoch."""

from __future__ import annotations

import datetime as dt
from typing import overload

__all__ = ["moment_of", "seconds_between"]


@overload
def moment_of(seconds: float) -> dt.datetime: ...
@overload
def moment_of(seconds: float | None) -> dt.datetime | None: ...
def moment_of(seconds: float | None) -> dt.datetime | None:
    """Return a moment that is kept as seconds since the epoch; None for None.

    >>> moment_of(0.5), moment_of(None)
    (datetime.datetime(1970, 1, 1, 0, 0, 0, 500000, tzinfo=datetime.timezone.utc), None)
    """
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


def seconds_between(start: dt.datetime, end: dt.datetime | float) -> float:
    """Return the seconds from a moment to another, or to one in seconds since the epoch.

    >>> seconds_between(moment_of(1), moment_of(2.5)), seconds_between(moment_of(1), 4)
    (1.5, 3.0)
    """
    return (end.timestamp() if isinstance(end, dt.datetime) else end) - start.timestamp()
