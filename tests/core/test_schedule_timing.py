"""The times of schedules: cron lines, time zones, clocks that are set, bad input."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentnb.core.errors import UsageError
from agentnb.core.work.schedules.schedule import ScheduleInfo, schedule_table
from agentnb.core.work.schedules.timing import Timing, timing

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe"),
    *("Asia/Kolkata", "Africa/Casablanca", "Asia/Beirut", "Pacific/Apia"),
)
FIRST_YEAR, LAST_YEAR = 2010, 2030
DAY = 86_400


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    """Return a local time as seconds since the epoch."""
    local = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return local.timestamp()


def local_times(line: str, since: str, n: int, zone: str = "Europe/Berlin") -> list[str]:
    found = islice(Timing(line, tz=zone).times(at(since, zone)), n)
    return [f"{dt.datetime.fromtimestamp(one, ZoneInfo(zone)):%m-%d %H:%M %z}" for one in found]


# A slow reference: each minute is looked at


def wanted(field: str, least: int, most: int) -> set[int]:
    result = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first = least if low == "*" else int(low)
        last = most if low == "*" else int(high or (most if step else low))
        result |= set(range(first, last + 1, int(step or 1)))
    return result


class Reference:
    def __init__(self, line: str, zone: ZoneInfo) -> None:
        self.zone = zone
        minute, hour, day, month, weekday = line.split()
        self.minutes, self.hours = wanted(minute, 0, 59), wanted(hour, 0, 23)
        self.days, self.months = wanted(day, 1, 31), wanted(month, 1, 12)
        self.weekdays = {one % 7 for one in wanted(weekday, 0, 7)}
        self.both = day.startswith("*") or weekday.startswith("*")
        self.fixed = not minute.startswith("*") and not hour.startswith("*")

    def names(self, local: dt.datetime) -> bool:
        of_month = local.day in self.days
        of_week = local.isoweekday() % 7 in self.weekdays
        of_day = of_month and of_week if self.both else of_month or of_week
        of_time = local.minute in self.minutes and local.hour in self.hours
        return of_time and of_day and local.month in self.months

    def times(self, since: int, until: int) -> list[float]:
        """Return the times after one, up to another: as Debian's cron has them."""
        found = []
        first = since // 60 * 60 - 2 * DAY
        before = dt.datetime.fromtimestamp(first - 60, self.zone)
        shown = set()
        for moment in range(first, until + 1, 60):
            local = dt.datetime.fromtimestamp(moment, self.zone)
            if not self.fixed:
                fires = self.names(local)
            else:
                # The minutes that no clock has shown before this one, and this one if it is new.
                fires = False
                naive = before.replace(tzinfo=None) + dt.timedelta(minutes=1)
                while naive < local.replace(tzinfo=None):
                    fires = fires or (naive not in shown and self.names(naive))
                    shown.add(naive)
                    naive += dt.timedelta(minutes=1)
                own = local.replace(tzinfo=None, fold=0)
                fires = fires or (own not in shown and self.names(own))
                shown.add(own)
            before = local
            if fires and since < moment:
                found.append(float(moment))
        return found


def changes(zone: str) -> list[int]:
    """Return the times at which the clocks of a zone are set in 20 years, to the hour."""
    info, found = ZoneInfo(zone), []
    first = int(dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
    last = int(dt.datetime(LAST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
    former = None
    for moment in range(first, last, 6 * 3600):
        offset = dt.datetime.fromtimestamp(moment, info).utcoffset()
        if former is not None and offset != former:
            found.append(moment)
        former = offset
    return found


CHANGES = {zone: changes(zone) or [1_700_000_000] for zone in ZONES}


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    span = st.tuples(number, number).map(lambda both: f"{min(both)}-{max(both)}")
    step = st.integers(1, max(2, (most - least) // 2)).map(lambda n: f"*/{n}")
    few = st.lists(number, min_size=1, max_size=3).map(lambda many: ",".join(map(str, many)))
    return st.one_of(few, span, step, st.just("*"))


LINES = st.tuples(
    field(0, 59),
    st.one_of(field(0, 23), field(0, 4)),
    st.one_of(st.just("*"), st.just("*"), field(1, 31)),
    st.just("*"),
    st.one_of(st.just("*"), st.just("*"), field(0, 7)),
).map(" ".join)


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, int]:
    zone = draw(st.sampled_from(ZONES))
    if draw(st.booleans()):
        near = draw(st.sampled_from(CHANGES[zone]))
        return zone, near + draw(st.integers(-DAY, 6 * 3600))
    first = int(dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
    return zone, first + draw(st.integers(0, 20 * 365 * DAY))


@settings(max_examples=80, deadline=None)
@given(line=LINES, where=moments())
@example(line="30 2 * * *", where=("Europe/Berlin", 1_774_738_800))
@example(line="*/10 2 * * *", where=("Australia/Lord_Howe", 1_775_300_000))
@example(line="*/30 0 * * 0", where=("America/Santiago", 1_725_700_000))
@example(line="0,30 0-3 * * *", where=("Asia/Beirut", 1_774_700_000))
@example(line="0 8 * * *", where=("Pacific/Apia", 1_325_200_000))
def test_the_times_are_those_of_a_reference_that_looks_at_each_minute(
    line: str, where: tuple[str, int]
) -> None:
    zone, since = where
    until = since + DAY + 12 * 3600
    reference = Reference(line, ZoneInfo(zone)).times(since, until)

    found = []
    for one in Timing(line, tz=zone).times(since):
        if one > until:
            break
        found.append(one)

    assert found == reference


@settings(max_examples=40, deadline=None)
@given(line=LINES, where=moments(), most=st.integers(1, 20))
def test_the_latest_times_are_the_last_of_all(line: str, where: tuple[str, int], most: int) -> None:
    zone, since = where
    made = Timing(line, tz=zone)
    first = made.after(since)
    if first is None:  # no month of these has such a day
        return
    now = first + 3 * 3600

    every_one = [first]
    for one in made.times(first):
        if one > now:
            break
        every_one.append(one)

    assert made.latest(first, now, most) == every_one[-most:]


def test_a_time_that_does_not_exist_fires_once_at_the_first_that_does() -> None:
    times = local_times("30 2 * * *", "2026-03-28 12:00", 2)

    assert times == ["03-29 03:00 +0200", "03-30 02:30 +0200"]


def test_a_time_that_exists_twice_fires_the_first_time() -> None:
    times = local_times("30 2 * * *", "2026-10-24 12:00", 2)

    assert times == ["10-25 02:30 +0200", "10-26 02:30 +0100"]
    in_the_second_pass = at("2026-10-25 02:10", fold=1)
    following = Timing("30 2 * * *", tz="Europe/Berlin").after(in_the_second_pass)
    assert following == at("2026-10-26 02:30")


def test_a_line_that_names_a_pause_fires_in_both_hours() -> None:
    times = local_times("*/30 * * * *", "2026-10-25 01:45", 5)

    assert times[:4] == [f"10-25 02:{m} {z}" for z in ("+0200", "+0100") for m in ("00", "30")]
    assert times[4] == "10-25 03:00 +0100"


def test_seconds_last_days_and_nth_weekdays_are_understood() -> None:
    assert local_times("0 0 L * *", "2026-02-01 00:00", 2) == [
        "02-28 00:00 +0100",
        "03-31 00:00 +0200",
    ]
    assert local_times("0 9 * * MON#1", "2026-03-03 00:00", 1) == ["04-06 09:00 +0200"]
    assert local_times("0 9 * JAN-FEB,DEC fri", "2026-03-03 00:00", 1) == ["12-04 09:00 +0100"]
    seconds = Timing("*/20 0 12 * * *").times(at("2026-03-03 11:00", "UTC"))
    assert [one % 60 for one in islice(seconds, 3)] == [0, 20, 40]


def test_every_counts_from_its_start_or_from_the_epoch() -> None:
    start = dt.datetime(2026, 1, 1, 0, 7, tzinfo=BERLIN)

    free = timing(None, 900, service="queue", now=0.0)
    anchored = timing(None, dt.timedelta(minutes=15), service="queue", now=0.0, start=start)

    assert free.after(at("2026-01-01 00:01", "UTC")) == at("2026-01-01 00:15", "UTC")
    assert anchored.after(0.0) == start.timestamp()
    assert anchored.after(start.timestamp()) == start.timestamp() + 900


def test_start_and_end_are_times_at_which_it_may_fire() -> None:
    start = dt.datetime(2026, 1, 1, 2, tzinfo=BERLIN)
    end = dt.datetime(2026, 1, 2, 2, tzinfo=BERLIN)

    made = timing("0 2 * * *", None, service="queue", now=0.0, tz=BERLIN, start=start, end=end)

    assert list(made.times(0.0)) == [start.timestamp(), end.timestamp()]


NOW = at("2026-03-01 00:00")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"cron": "0 0 30 2 *"}, "would never fire"),
        ({"cron": "0 0 31 4,6 *"}, "would never fire"),
        ({"cron": "0 0 30 2 */2"}, "would never fire"),
        ({"cron": "0 25 * * *"}, "its hour is not one, got '0 25 * * *'"),
        ({"cron": "0 0 32 * *"}, "its day-of-month is not one"),
        ({"cron": "0 0 * * MOM"}, "its day-of-week is not one"),
        ({"cron": "*/0 * * * *"}, "its minute is not one"),
        ({"cron": "*/90 * * * *"}, "the step of its minute 1 to 60, got '*/90 * * * *'"),
        ({"cron": "*/90 * * * * *"}, "the step of its second 1 to 60"),
        ({"cron": "0,5/61 * * * *"}, "the step of its minute 1 to 60"),
        ({"cron": "0 */36 * * *"}, "the step of its hour 1 to 24"),
        ({"cron": "0 0 */60 * *"}, "the step of its day 1 to 31"),
        ({"cron": "0 0 1 */18 *"}, "the step of its month 1 to 12"),
        ({"cron": "0 0 * * */14"}, "the step of its weekday 1 to 7"),
        ({"cron": "0 0 L/2/3 * *"}, "cron must be a cron line"),
        ({"cron": "0 2 * *"}, "a cron line of 5 or 6 fields"),
        ({"cron": "@reboot"}, "cron must be a cron line"),
        ({"cron": ""}, "a cron line of 5 or 6 fields"),
        ({"cron": 7}, "cron must be a cron line, got 7"),
        ({}, "neither cron nor every is given"),
        ({"cron": "* * * * *", "every": 60}, "cron and every are given both"),
        ({"every": 0}, "every must be 1 to 3,162,240,000, got"),
        ({"every": -5}, "every must be 1 to"),
        ({"every": 0.5}, "every must be 1 to"),
        ({"every": float("nan")}, "every must be 1 to"),
        ({"every": float("inf")}, "every must be 1 to"),
        ({"every": True}, "every must be 1 to"),
        ({"every": "1h"}, "every must be 1 to"),
        ({"every": 60, "tz": "Europe/Berlin"}, "tz belongs to a cron line"),
        ({"cron": "* * * * *", "tz": "Europe/Berlni"}, "no time zone 'Europe/Berlni'"),
        ({"cron": "* * * * *", "tz": "../etc/passwd"}, "no time zone"),
        ({"cron": "* * * * *", "tz": "Europe"}, "no time zone"),
        ({"cron": "* * * * *", "tz": ""}, "tz must be the name of a time zone"),
        ({"cron": "* * * * *", "tz": 1}, "tz must be the name of a time zone, got 1"),
        ({"every": 60, "start": dt.datetime(2026, 4, 1, 12)}, "a datetime with a zone"),
        ({"every": 60, "start": "2026-04-01"}, "a datetime with a zone"),
        ({"every": 60, "start": dt.datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN)}, "that exists"),
        ({"every": 60, "end": dt.datetime(2026, 2, 1, tzinfo=BERLIN)}, "its end is over"),
        (
            {"cron": "0 0 1 6 *", "end": dt.datetime(2026, 5, 1, tzinfo=BERLIN)},
            "no time before its end",
        ),
        (
            {
                "every": 60,
                "start": dt.datetime(2026, 5, 1, tzinfo=BERLIN),
                "end": dt.datetime(2026, 4, 1, tzinfo=BERLIN),
            },
            "end must be a time after start",
        ),
    ],
    ids=str,
)
def test_what_is_no_time_is_refused_with_a_hint(words: dict[str, object], message: str) -> None:
    arguments = {"cron": None, "every": None, **words}

    with pytest.raises(UsageError) as caught:
        timing(service="queue", now=NOW, **arguments)  # type: ignore[arg-type]

    assert message in caught.value.message
    assert caught.value.hint


def test_a_step_as_long_as_its_field_is_a_line() -> None:
    for line in ("*/60 * * * *", "0 */24 * * *", "0 0 1 */12 *", "*/60 * * * * *"):
        assert timing(line, None, service="queue", now=NOW).cron == line


def test_a_step_that_is_too_long_is_given_in_seconds() -> None:
    with pytest.raises(UsageError) as caught:
        timing("*/90 * * * *", None, service="queue", now=NOW)

    assert "every=5400 is every 90 minutes" in (caught.value.hint or "")


def test_the_nearest_time_zone_is_named() -> None:
    for typed, near in (("Europe/Berlni", "Europe/Berlin"), ("berlin", "Europe/Berlin")):
        with pytest.raises(UsageError) as caught:
            timing("* * * * *", None, service="queue", now=NOW, tz=typed)

        assert near in (caught.value.hint or "")


def test_time_zones_are_there_on_a_machine_without_any() -> None:
    code = (
        "import zoneinfo; assert not zoneinfo.TZPATH\n"
        "from agentnb.core.work.schedules.timing import Timing\n"
        "print(Timing('0 2 * * *', tz='Europe/Berlin').after(1790000000.0))"
    )
    bare = {**os.environ, "PYTHONTZPATH": ""}

    shown = subprocess.run(
        [sys.executable, "-c", code], env=bare, check=True, capture_output=True, text=True
    )

    assert float(shown.stdout) == Timing("0 2 * * *", tz="Europe/Berlin").after(1_790_000_000.0)


@pytest.mark.parametrize(
    ("target", "made", "why"),
    [
        ("queue", "job", "hub.queue('reports').resume()"),
        ("tasks", "workflow", "no worker of agents runs"),
    ],
)
def test_the_table_says_that_a_schedule_is_late_and_what_fires_it(target, made, why) -> None:
    every = timing(None, 60, service="queue", now=NOW)
    late = ScheduleInfo(
        "poll", "reports", every, "latest", "allow", paused=False, due=time.time() - 60
    )
    others = [
        msgspec.structs.replace(late, due=time.time() + 60),
        msgspec.structs.replace(late, due=None),
        msgspec.structs.replace(late, paused=True),
    ]

    shown = str(schedule_table([late], target=target, made=made, empty=""))

    assert (late.is_late, [one.is_late for one in others]) == (True, [False] * 3)
    assert "poll: due since" in shown
    assert why in shown
    assert "due since" not in str(schedule_table(others, target=target, made=made, empty=""))
