"""Which times of a schedule fire when it is looked at later than they were due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from agentnb.core.work.schedules.timing import Timing

__all__ = ["LATE", "MISSED", "MOST_AT_ONCE", "OVERLAP", "Missed", "Overlap", "Plan", "plan"]

Missed: TypeAlias = Literal["latest", "skip", "all"]
"""What becomes of firings that were missed."""
Overlap: TypeAlias = Literal["allow", "skip"]
"""What becomes of a firing while the work of the last one has not ended."""

MISSED: Final = ("latest", "skip", "all")
OVERLAP: Final = ("allow", "skip")
LATE: Final = 60.0
"""Seconds after which a firing that could not be made counts as missed."""
MOST_AT_ONCE: Final = 100
"""The most missed firings that ``all`` makes up for."""


class Plan(NamedTuple):
    """The firings that are to be made now.

    Attributes
    ----------
    times
        Their times, in order.
    missed
        The first time that is given up, None for none.
    following
        The next time, None if the schedule has ended.
    """

    times: list[float]
    missed: float | None
    following: float | None


def plan(timing: Timing, due: float, now: float, missed: Missed) -> Plan:
    """Return what fires now of a schedule whose next time was due.

    A time is missed if its firing could not be made before the next time, or within `LATE`
    seconds. ``latest`` makes one firing for all that were missed, ``skip`` none, and ``all``
    makes each, of more than `MOST_AT_ONCE` the latest ones.

    Examples
    --------
    >>> from agentnb.core.work.schedules.timing import Timing
    >>> hourly = Timing(every=3600.0)
    >>> plan(hourly, 3600.0, 10_900.0, "latest")
    Plan(times=[10800.0], missed=3600.0, following=14400.0)
    >>> plan(hourly, 3600.0, 10_900.0, "skip").times, plan(hourly, 3600.0, 10_900.0, "all").times
    ([], [3600.0, 7200.0, 10800.0])
    """
    times = timing.latest(due, now, MOST_AT_ONCE if missed == "all" else 1)
    if missed == "skip" and now - times[-1] > LATE:
        times = []
    given_up = due if not times or due < times[0] else None
    return Plan(times, given_up, timing.after(now))
