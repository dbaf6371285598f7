"""Moments that a line names."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

from agentnb.core.ranges import OutsideError, read_seconds, refused

__all__ = ["moment", "seconds_or_moment"]


def moment(name: str, text: str | None, zone: str | None, service: str) -> dt.datetime | None:
    """Return the moment of an option, None where it is not given.

    Parameters
    ----------
    name, text
        The option, and a time of ISO 8601.
    zone
        The time zone of a time that names none.
    service
        The service of the error.

    Raises
    ------
    UsageError
        It is no such time.

    Examples
    --------
    >>> str(moment("start", "2030-01-01T08:00", "Europe/Berlin", "queue"))
    '2030-01-01 08:00:00+01:00'
    """
    if text is None:
        return None
    from agentnb.core.work.schedules.timing import zone_of

    try:
        found = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        hint = f"--{name} 2030-01-01T08:00, or 2030-01-01T08:00+01:00"
        raise refused(name, "a time such as 2030-01-01T08:00", text, service, hint) from error
    if found.tzinfo is not None:
        return found
    if zone is None:
        hint = f"--{name} {found.isoformat('T', 'minutes')}+01:00, or with a cron line --tz ZONE"
        raise refused(name, "a time with a zone", text, service, hint)
    return found.replace(tzinfo=zone_of(zone, service))


def seconds_or_moment(
    name: str, text: str, zone: str | None, service: str
) -> float | dt.datetime | None:
    """Return the seconds of an option, or the moment; see `moment`.

    Examples
    --------
    >>> seconds_or_moment("deadline", "90", None, "workflow")
    90.0
    """
    with suppress(OutsideError):
        return read_seconds(text)
    with suppress(ValueError):
        return float(text)  # the core refuses it
    return moment(name, text, zone, service)
