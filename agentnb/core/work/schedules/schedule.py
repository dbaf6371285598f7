"""A schedule, as its service returns it, and the table of schedules."""

from __future__ import annotations

import datetime as dt
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from agentnb.core.errors import NotFoundError, UsageError, did_you_mean
from agentnb.core.format import clock
from agentnb.core.hints import rendered
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import choice, whole
from agentnb.core.table import Column, Table
from agentnb.core.twins import twin
from agentnb.core.work.schedules.policy import MISSED, OVERLAP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.work.schedules.policy import Missed, Overlap
    from agentnb.core.work.schedules.timing import Timing

__all__ = [
    "Schedule",
    "ScheduleInfo",
    "ScheduleStore",
    "check_policies",
    "check_schedule_name",
    "schedule_table",
    "there_is_none",
]

T = TypeVar("T")

_LONGEST = 200
_SHOWN_TIMES = 3
_MOST_TIMES = 1000
_LATE_SECONDS = 10.0  # a worker that lives fires within a second


class ScheduleInfo(msgspec.Struct, frozen=True):
    """A schedule as its store has it.

    Attributes
    ----------
    name
        Its name, unique in its queue, or among the workflows.
    target
        The queue, or the name of the workflows that it makes.
    timing
        Its times.
    missed, overlap
        What becomes of firings that were missed, or that come before the last one's work has
        ended.
    paused
        Whether it is paused.
    due
        Its next time, as seconds since the epoch; None if it is paused or has ended.
    fired
        How often it has fired.
    last, last_id
        When it fired last, and the id of the job or the workflow; None before.
    error
        Why the last firing made nothing, or None.
    """

    name: str
    target: str
    timing: Timing
    missed: Missed
    overlap: Overlap
    paused: bool
    due: float | None
    fired: int = 0
    last: float | None = None
    last_id: str | None = None
    error: str | None = None

    @property
    def state(self) -> str:
        """``active``, ``paused`` or ``ended``."""
        return "paused" if self.paused else "active" if self.due is not None else "ended"

    @property
    def is_late(self) -> bool:
        """Whether it is due, and no worker has fired it."""
        late = time.time() - _LATE_SECONDS
        return self.state == "active" and self.due is not None and self.due < late

    def next_times(self, n: int = _SHOWN_TIMES) -> list[dt.datetime]:
        """Return the next times at which it fires, on this machine's clock.

        Parameters
        ----------
        n
            How many at most.
        """
        whole("n", n, service="work", most=_MOST_TIMES)
        if self.due is None:
            return []
        times = [self.due, *islice(self.timing.times(self.due), n - 1)]
        return [dt.datetime.fromtimestamp(one, dt.UTC).astimezone() for one in times]


class ScheduleStore(Protocol):
    """The schedules of one queue, or of workflows."""

    service: str

    def info(self, name: str) -> ScheduleInfo:
        """Return a schedule; raise `NotFoundError` where there is none."""

    def set_paused(self, name: str, *, paused: bool) -> None:
        """Pause or resume a schedule."""

    def trigger(self, name: str) -> Any:
        """Fire once now, and return what was made."""

    def remove(self, name: str) -> None:
        """Remove a schedule."""


@refuse_unknown("work")
class Schedule(Generic[T]):
    """A schedule of a queue or of workflows.

    Made by `Queue.schedule` and `Orchestrator.schedule`.

    Parameters
    ----------
    store
        The schedules that it is one of.
    name
        Its name.
    threads
        The threads of awaited calls.

    Attributes
    ----------
    name
        Its name.
    """

    def __init__(self, store: ScheduleStore, name: str, threads: CallThreads) -> None:
        self.name = name
        self._store = store
        self._call_threads = threads

    def info(self) -> ScheduleInfo:
        """Read its times, its state and its last firing.

        Raises
        ------
        NotFoundError
            It was removed.
        """
        return self._store.info(self.name)

    def next_times(self, n: int = _SHOWN_TIMES) -> list[dt.datetime]:
        """Return its next times on this machine's clock, none if it is paused or has ended.

        Parameters
        ----------
        n
            How many at most.
        """
        return self.info().next_times(n)

    def pause(self) -> None:
        """Pause it until `resume`: the times meanwhile do not fire, and do not count as missed."""
        self._store.set_paused(self.name, paused=True)

    def resume(self) -> None:
        """Resume it with the next of its times."""
        self._store.set_paused(self.name, paused=False)

    def trigger(self) -> T:
        """Fire once now, also while it is paused, and return the job or workflow.

        Its times stay as they are.
        """
        made: T = self._store.trigger(self.name)
        return made

    def remove(self) -> None:
        """Remove it; the jobs or workflows that it has made stay."""
        self._store.remove(self.name)

    ainfo, anext_times = twin(info), twin(next_times)
    apause, aresume, atrigger, aremove = twin(pause), twin(resume), twin(trigger), twin(remove)

    def __repr__(self) -> str:
        return f"Schedule({self.name!r})"


def check_schedule_name(name: Any, service: str) -> str:
    """Return the name of a schedule, if it can be one.

    Raises
    ------
    UsageError
        It cannot.
    """
    good = isinstance(name, str) and name.isprintable() and " " not in name
    if not good or not 0 < len(name) <= _LONGEST or name.startswith("-"):
        raise UsageError(
            f"a schedule cannot be called {name!r:.80}",
            service=service,
            hint="use a word of at most 200 characters, such as nightly-report",
        )
    return str.__str__(name)


def check_policies(missed: Any, overlap: Any, service: str) -> None:
    """Refuse unknown words for missed firings and for those that overlap.

    Raises
    ------
    UsageError
        There is one.
    """
    choice("missed", missed, MISSED, service=service)
    choice("overlap", overlap, OVERLAP, service=service)


def there_is_none(name: str, known: Iterable[str], where: str, service: str) -> NotFoundError:
    """Return the error of a schedule that is not there."""
    hint = (
        'hub.workflows.schedule(NAME, "0 2 * * *", TASKS) (%%workflow NAME --cron "0 2 * * *") '
        "makes one"
        if service == "workflow"
        else 'hub.queue(QUEUE).schedule(NAME, "0 2 * * *") '
        '(%queue schedule NAME "0 2 * * *" QUEUE) makes one'
    )
    return NotFoundError(
        f"there is no schedule {name!r:.80} {where}",
        service=service,
        hint=did_you_mean(name, known, "schedules") or hint,
    )


def _why_late(one: ScheduleInfo, made: str) -> str:
    if made == "job":
        name = one.target
        return rendered(
            f"queue {name} is paused, or no worker of it runs: hub.queue({name!r}).resume(), "
            f"hub.queue({name!r}).work(function) (%queue resume {name}, %queue work {name})"
        )
    return rendered("no worker of agents runs: hub.workflows.work() (%workflow work)")


def schedule_table(infos: Iterable[ScheduleInfo], *, target: str, made: str, empty: str) -> Table:
    """Return schedules as a table, with their next three times on this machine's clock.

    Parameters
    ----------
    infos
        The schedules.
    target, made
        The names of the columns of what is scheduled, and of what was made last.
    empty
        Shown where there are none.
    """
    rows = []
    notes = []
    for one in infos:
        first, *rest = [*one.next_times(_SHOWN_TIMES), None][:_SHOWN_TIMES]
        then = ", ".join(clock(at) for at in rest if at is not None)
        zone = one.timing.tz if one.timing.cron is not None else ""
        row = (one.name, one.target, one.timing.text, zone, one.state)
        rows.append((*row, first, then, one.last, one.last_id))
        if one.is_late and one.due is not None:
            notes.append(
                f"{one.name}: due since {clock(one.due)} and not fired: {_why_late(one, made)}"
            )
        if one.error is not None:
            notes.append(f"{one.name}: the last firing made nothing: {one.error}")
    columns = (
        *("schedule", target, "when", "zone", Column("state", "state"), Column("next", "time")),
        *("then", Column("last", "time"), made),
    )
    return Table(columns, rows, note="\n".join(notes), empty=empty)
