"""The times of a schedule: those of a cron line in a time zone, or every some seconds."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from math import floor
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.format import duration
from agentnb.core.ranges import refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

__all__ = ["Timing", "parse_time", "timing", "zone_of"]

_EXAMPLE: Final = '"0 2 * * *" is every day at 2:00; every=900 is every 15 minutes'
_ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS: Final = {5, 6}
_SIZES: Final = (
    ("weekday", 7, 0),
    ("month", 12, 0),
    ("day", 31, 86_400),
    ("hour", 24, 3600),
    ("minute", 60, 60),
    ("second", 60, 1),
)
"""The fields of a line from its end: how many values each has, and its seconds."""
_LONGEST_EVERY = 100 * 366 * 86400.0
_LONGEST_LINE = 500
_YEARS = 9000
_MINUTE: Final = dt.timedelta(minutes=1)
_STEP = 43_200.0
_ANY_TIME: Final = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - any at all


class Timing(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """The times at which a schedule fires, as seconds since the epoch.

    A cron line means what it means to Debian's cron. If neither its minute nor its hour begins
    with ``*``, it fires once where its local time exists twice: the first time; and where that
    does not exist, at the first minute that does. All other lines go by the time that passes:
    they fire in both hours of the night in which clocks are set back, and in no hour that is left
    out.

    ``every`` counts from ``start``, or from 1970-01-01 00:00 UTC, so that neither the process
    that makes a schedule nor the time at which it does so moves its times.

    Attributes
    ----------
    cron, every
        The line, or the seconds from one firing to the next.
    tz
        The name of the time zone of the line.
    start, end
        The first and the last moment at which it may fire, or None.

    Examples
    --------
    >>> every = Timing(every=900.0)
    >>> every.after(1000.0), every.latest(0.0, 2000.0, 2)
    (1800.0, [900.0, 1800.0])
    """

    cron: str | None = None
    every: float | None = None
    tz: str = "UTC"
    start: float | None = None
    end: float | None = None

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return zone_of(self.tz, "work")

    @property
    def text(self) -> str:
        """The line, or the pause, as people read it."""
        return self.cron if self.cron is not None else f"every {duration(self.every or 0.0)}"

    def after(self, moment: float) -> float | None:
        """Return the first time after a moment, None for none."""
        if self.start is not None and moment < self.start:
            found = self.start if self.every is not None else self._cron_after(self.start - 1e-6)
        elif self.every is not None:
            found = self._every_after(moment, self.every)
        else:
            found = self._cron_after(moment)
        return None if found is None or (self.end is not None and found > self.end) else found

    def _every_after(self, moment: float, every: float) -> float:
        # In whole milliseconds, as stores keep times: those of floats are not the same twice.
        step, anchor = round(every * 1000), round((self.start or 0.0) * 1000)
        number = (floor(round(moment * 1000, 2)) - anchor) // step + 1
        return (anchor + number * step) / 1000

    def _cron_after(self, moment: float) -> float | None:
        return self._fixed_after(moment) if self._is_fixed else self._passing_after(moment)

    @cached_property
    def _is_fixed(self) -> bool:
        """Whether the line names times of the day, and not a pause between them."""
        *times, _day, _month, _weekday = (self.cron or "").split()
        return not any(word.startswith("*") for word in times)

    def _local(self, moment: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(moment, self.zone)

    def _lines(self, local: dt.datetime) -> Iterator[dt.datetime]:
        """Return the local times of the line after one, by a clock that is never set."""
        from cronsim import CronSim

        return iter(CronSim(self.cron or "", local.replace(tzinfo=None)))

    def _fixed_after(self, moment: float) -> float | None:
        for local in self._lines(self._local(floor(moment))):
            found = local.replace(tzinfo=self.zone)
            while not _exists(found):
                local += _MINUTE  # noqa: PLW2901 - the first time that exists
                found = local.replace(tzinfo=self.zone)
            # In the second pass of an hour the line names the time in the first one.
            if found.timestamp() > moment:
                return found.timestamp()
        return None

    def _passing_after(self, moment: float) -> float | None:
        since = floor(moment)
        known = float(since)  # a moment at which the clock is the one that is gone by
        while True:
            offset = self._offset(known)
            local = dt.datetime.fromtimestamp(since + offset, dt.UTC)
            found = next(self._lines(local), None)
            if found is None:
                return None
            time = found.replace(tzinfo=dt.UTC).timestamp() - offset
            change = self._change(known, time)
            if change is None:
                return time
            # The clock is set before that: the search goes on by its new time.
            since, known = floor(change) - 1, change

    def _offset(self, moment: float) -> float:
        offset = self._local(moment).utcoffset()
        return offset.total_seconds() if offset is not None else 0.0

    def _change(self, since: float, until: float) -> float | None:
        """Return the first second in a span at which clocks are set, None for none."""
        offset = self._offset(since)
        low = since
        while low < until:
            high = min(low + _STEP, until)
            if self._offset(high) != offset:
                while high - low > 1:
                    middle = float((low + high) // 2)
                    low, high = (middle, high) if self._offset(middle) == offset else (low, middle)
                return high
            low = high
        return None

    def times(self, since: float) -> Iterator[float]:
        """Yield the times after a moment, in order."""
        moment = self.after(since)
        while moment is not None:
            yield moment
            moment = self.after(moment)

    def latest(self, first: float, now: float, most: int) -> list[float]:
        """Return the latest times from one of them up to now, in order.

        Parameters
        ----------
        first
            A time of the schedule; none before it is returned.
        now
            The end.
        most
            How many at most.
        """
        span = 60.0
        while True:
            # However long ago the first was: few times are computed that are not returned.
            since = max(now - span, first)
            found = [first] if since == first <= now else []
            for moment in self.times(since):
                if moment > now:
                    break
                found.append(moment)
            if since == first or len(found) >= most:
                return found[-most:]
            span *= 2


def _exists(local: dt.datetime) -> bool:
    return local.astimezone(dt.UTC).astimezone(local.tzinfo) == local


def timing(
    cron: Any,
    every: Any,
    *,
    service: str,
    now: float,
    tz: Any = None,
    start: Any = None,
    end: Any = None,
) -> Timing:
    """Return the timing that a caller gives, checked.

    Parameters
    ----------
    cron, every
        One of both: a line of cron, of five fields or with seconds in front, or seconds or a
        timedelta.
    service
        The service of errors.
    now
        The time by the clock of the store, since a schedule has to fire at least once.
    tz
        The name of a time zone, or a ZoneInfo; default: UTC.
    start, end
        Datetimes with a zone, or None.

    Raises
    ------
    UsageError
        It is not a line, or a zone, or would never fire.

    Examples
    --------
    >>> timing("0 2 * * mon", None, service="queue", now=0.0, tz="Europe/Berlin").text
    '0 2 * * MON'
    """
    if (cron is None) == (every is None):
        both = "cron and every are given both" if cron is not None else "neither cron nor every"
        raise UsageError(
            both if cron is not None else f"{both} is given",
            service=service,
            hint=_EXAMPLE,
        )
    if every is not None and tz is not None:
        raise UsageError(
            "tz belongs to a cron line: every counts seconds, which are the same everywhere",
            service=service,
            hint=f"every={every!r} without tz, or a cron line such as '0 2 * * *'",
        )
    made = Timing(
        None if cron is None else _line(cron, service),
        None if every is None else _every(every, service),
        "UTC" if tz is None else zone_name(tz, service),
        parse_time("start", start, service),
        parse_time("end", end, service),
    )
    if made.start is not None and made.end is not None and made.end < made.start:
        raise refused("end", "a time after start", end, service, "end= later than start=")
    _check_fires(made, now, service)
    return made


def _check_fires(made: Timing, now: float, service: str) -> None:
    if made.after(now) is not None:
        return
    if made.end is not None and made.end <= now:
        why, hint = "its end is over", "end= in the future"
    elif made.end is not None:
        why, hint = "it has no time before its end", "a later end="
    else:
        why, hint = f"no date is one of {made.cron!r}", _EXAMPLE
    raise UsageError(f"the schedule would never fire: {why}", service=service, hint=hint)


def _line(given: Any, service: str) -> str:
    """Return a line of cron, as it is kept."""
    if not isinstance(given, str) or len(given) > _LONGEST_LINE:
        raise refused("cron", "a cron line", given, service, _EXAMPLE)
    words = given.split()
    if len(words) == 1 and words[0].startswith("@"):
        alias = _ALIASES.get(words[0].lower())
        if alias is None:
            near = did_you_mean(words[0], _ALIASES, "names of times")
            raise refused("cron", "a cron line", given, service, near or _EXAMPLE)
        return alias
    if len(words) not in _FIELDS:
        hint = "minute hour day month weekday, with seconds in front if there are six: " + _EXAMPLE
        raise refused("cron", "a cron line of 5 or 6 fields", given, service, hint)
    line = " ".join(words).upper()
    _check_line(line, given, service)
    _check_steps(line, given, service)
    return line


def _check_steps(line: str, given: str, service: str) -> None:
    """Refuse a step that is longer than its field: */90 would fire each hour."""
    words = line.split()
    for word, (field, size, seconds) in zip(reversed(words), _SIZES, strict=False):
        for part in word.split(","):
            step = part.partition("/")[2]
            if step.isdecimal() and int(step) > size:
                every = f"every={int(step) * seconds} is every {step} {field}s; "
                raise refused(
                    "cron",
                    f"a cron line, and the step of its {field} 1 to {size}",
                    given,
                    service,
                    (every if seconds else "") + _EXAMPLE,
                )


def _check_line(line: str, given: str, service: str) -> None:
    from cronsim import CronSim, CronSimError

    try:
        CronSim(line, _ANY_TIME)
    except (CronSimError, AssertionError, ValueError, TypeError) as error:
        # Of a day that no month has it says "Bad day-of-month", too.
        bad = str(error).removeprefix("Bad ")
        if _is_day_of_no_month(line):
            raise UsageError(
                f"the schedule would never fire: no date is one of {given!r}",
                service=service,
                hint=_EXAMPLE,
            ) from error
        allowed = f"a cron line, and its {bad} is not one" if bad else "a cron line"
        raise refused("cron", allowed, given, service, _EXAMPLE) from error


def _is_day_of_no_month(line: str) -> bool:
    """Return whether a line is right but for a day that none of its months has."""
    from cronsim import CronSim, CronSimError

    words = line.split()
    words[-2] = "*"
    try:
        CronSim(" ".join(words), _ANY_TIME)
        words = line.split()
        words[-3] = "1"
        CronSim(" ".join(words), _ANY_TIME)
    except (CronSimError, AssertionError, ValueError, TypeError):
        return False
    return True


def _every(given: Any, service: str) -> float:
    from agentnb.core.ranges import amount

    value = given.total_seconds() if isinstance(given, dt.timedelta) else given
    hint = "every=900 is every 15 minutes; every=timedelta(hours=1)"
    return round(
        amount("every", value, service=service, least=1, most=_LONGEST_EVERY, hint=hint), 3
    )


def zone_of(name: str, service: str) -> ZoneInfo:
    """Return a time zone by its name.

    Raises
    ------
    UsageError
        There is none.
    """
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        known = available_timezones()
        cities = {one.rpartition("/")[2]: one for one in sorted(known)}
        near = did_you_mean(name, known)
        if near is None and name.replace(" ", "_").title() in cities:
            near = f"did you mean {cities[name.replace(' ', '_').title()]}?"
        if not known:
            near = "this machine has no time zones: pip install tzdata"
        raise UsageError(
            f"there is no time zone {name!r:.60}",
            service=service,
            hint=near or "a name of the IANA's, such as tz='Europe/Berlin'",
        ) from error


def zone_name(given: Any, service: str) -> str:
    """Return the name of a time zone that a caller gives.

    Raises
    ------
    UsageError
        It is none.
    """
    if given is dt.UTC:
        return "UTC"
    name = getattr(given, "key", given)
    if not isinstance(name, str) or not name:
        raise refused("tz", "the name of a time zone", given, service, "tz='Europe/Berlin'")
    return zone_of(name, service).key


def parse_time(name: str, given: Any, service: str) -> float | None:
    """Return a moment that a caller gives as seconds since the epoch.

    Raises
    ------
    UsageError
        It is no datetime, has no zone, or is a local time that does not exist.
    """
    if given is None:
        return None
    hint = f"{name}=datetime(2030, 1, 1, 8, tzinfo=ZoneInfo('Europe/Berlin'))"
    if not isinstance(given, dt.datetime):
        raise refused(name, "a datetime with a zone", given, service, hint)
    if given.utcoffset() is None:
        raise refused(name, "a datetime with a zone", str(given), service, hint)
    if given.year > _YEARS or given.year < 2:  # noqa: PLR2004 - the ends of datetime
        raise refused(name, "a time of the years 2 to 9,000", str(given), service, hint)
    back = given.astimezone(dt.UTC).astimezone(given.tzinfo)
    if back.replace(tzinfo=None) != given.replace(tzinfo=None):
        raise UsageError(
            f"{name} must be a time that exists, got {given}: clocks are set forward then",
            service=service,
            hint=f"{name} at {back}",
        )
    return round(given.timestamp(), 3)
