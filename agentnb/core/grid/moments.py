"""Times as whole microseconds since 1970, in UTC where they have a zone."""

from __future__ import annotations

import datetime as dt

__all__ = ["DAY", "micros", "shown"]

DAY = 86_400_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def micros(value: dt.date) -> int:
    """Return a date, or a time, as microseconds.

    >>> micros(dt.date(1970, 1, 2)), micros(dt.datetime(1970, 1, 1, microsecond=7))
    (86400000000, 7)
    """
    if not isinstance(value, dt.datetime):
        return (value.toordinal() - _EPOCH.toordinal()) * DAY
    zoned = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
    return (zoned - _EPOCH) // _MICROSECOND


def shown(number: float, detail: str, width: float = 0) -> str:
    """Return microseconds as a time in ISO 8601.

    Parameters
    ----------
    number
        The microseconds.
    detail
        The type of the column: ``"date"``, ``"datetime"`` or ``"datetimetz"``.
    width
        The microseconds that matter: of days, only the date is shown.

    Examples
    --------
    >>> shown(0, "date"), shown(7, "datetime"), shown(0, "datetimetz"), shown(7, "datetime", DAY)
    ('1970-01-01', '1970-01-01 00:00:00.000007', '1970-01-01 00:00:00+00:00', '1970-01-01')
    """
    try:
        moment = _EPOCH + dt.timedelta(microseconds=number)
    except OverflowError:  # outside of the years 1 to 9999
        return f"{number / DAY / 365.2425 + 1970:.0f}"
    if detail == "date" or width >= DAY:
        return moment.date().isoformat()
    precise = "seconds" if width >= 1_000_000 else "auto"  # noqa: PLR2004 - a second
    zoned = moment if detail == "datetimetz" else moment.replace(tzinfo=None)
    return zoned.isoformat(sep=" ", timespec=precise)
