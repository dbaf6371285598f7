"""A job as the server has it: read whole, or one property at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from agentnb.core.codec import Unkept
from agentnb.core.failure import Failure
from agentnb.core.keywords import refuse_unknown
from agentnb.core.queue.reasons import reason_of

if TYPE_CHECKING:
    import datetime as dt

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.queue.arguments import State
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.queue import Queue

__all__ = ["UNKEPT", "JobSnapshot", "LiveJob", "as_percent", "is_number", "progress_of"]

UNKEPT: Final = b"!"
"""First byte of a result that could not be kept; no JSON begins with it."""
_FIELDS = (
    *("attempt", "created", "started", "finished", "error", "owner", "progress"),
    "unkept",
)


def is_number(value: object) -> bool:
    """Return whether a value is a number, as JSON has it.

    >>> is_number(0.5), is_number(True), is_number("half")
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_percent(fraction: float) -> float:
    """Return a fraction as the server keeps it; earlier versions took and kept percent.

    >>> as_percent(0.07)
    7.0
    """
    return round(fraction * 100, 10)


def progress_of(data: bytes | None) -> Any:
    """Return the progress that the server keeps: a fraction, another value, or None.

    >>> progress_of(b"40"), progress_of(b'"half"'), progress_of(None)
    (0.4, 'half', None)
    """
    if not data:
        return None
    try:
        value = msgspec.json.decode(data)
    except msgspec.MsgspecError:
        return None
    return round(value / 100, 12) if is_number(value) else value


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A snapshot of a job: its state, that state's score, its fields."""

    id: str
    state: State | Literal["gone"]
    score: float
    now: int
    fields: dict[str, bytes] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """Number of the latest attempt, from 1; 0 before the first."""
        return int(self.fields.get("attempt", 0))

    def _time(self, name: str) -> dt.datetime | None:
        import datetime as dt

        value = self.fields.get(name)
        return None if value is None else dt.datetime.fromtimestamp(int(value) / 1000, dt.UTC)

    @property
    def created(self) -> dt.datetime | None:
        """When it was added, by the server's clock."""
        return self._time("created")

    @property
    def started(self) -> dt.datetime | None:
        """When its latest attempt began, or None."""
        return self._time("started")

    @property
    def finished(self) -> dt.datetime | None:
        """When its latest attempt ended, or None."""
        return self._time("finished")

    @property
    def failure(self) -> Failure | None:
        """Why its latest failed attempt failed, or None."""
        value = self.fields.get("error")
        return None if value is None else Failure.read(value)

    @property
    def progress(self) -> Any:
        """Its latest progress: a fraction from 0 to 1, another value, or None."""
        return progress_of(self.fields.get("progress"))

    @property
    def worker(self) -> str | None:
        """Identity of its latest worker, or None."""
        value = self.fields.get("owner")
        return None if value is None else value.decode()

    @property
    def unkept(self) -> Unkept | None:
        """Description of a result that could not be kept, or None."""
        value = self.fields.get("unkept")
        return None if value is None else Unkept.read(value[1:])


@refuse_unknown("queue")
class LiveJob:
    """The part of a `Job` that is read from the server each time it is asked for."""

    id: str
    queue: Queue
    _parts: QueueParts
    _call_threads: CallThreads
    _seen: JobSnapshot | None
    _attempt: int | None

    def snapshot(self) -> JobSnapshot:
        """Read state, attempt, times, failure, worker and progress in one round trip.

        Of a job that is gone the state is ``gone``, and the rest as it was last read.
        """
        found = self._parts.store.show(self.id, _FIELDS)
        if found is None:
            fields = self._seen.fields if self._seen else {}
            found = JobSnapshot(self.id, "gone", 0.0, 0, fields)
        self._seen = found
        return found

    @property
    def state(self) -> State | Literal["gone"]:
        """State now: one of `STATES` of `agentnb.core.queue.counts`, or gone."""
        return self.snapshot().state

    @property
    def attempt(self) -> int:
        """Number of the latest attempt now, 0 before the first; in a processor that of its own."""
        return self.snapshot().attempt if self._attempt is None else self._attempt

    @property
    def created(self) -> dt.datetime | None:
        """When it was added, by the server's clock."""
        return self.snapshot().created

    @property
    def started(self) -> dt.datetime | None:
        """When its latest attempt began, or None."""
        return self.snapshot().started

    @property
    def finished(self) -> dt.datetime | None:
        """When its latest attempt ended, or None."""
        return self.snapshot().finished

    @property
    def failure(self) -> Failure | None:
        """Why its latest failed attempt failed, or None."""
        return self.snapshot().failure

    @property
    def worker(self) -> str | None:
        """Identity of its latest worker, or None."""
        return self.snapshot().worker

    @property
    def unkept(self) -> Unkept | None:
        """Description of its result if that could not be kept, or None."""
        return self.snapshot().unkept

    @property
    def reason(self) -> str | None:
        """Why it waits now: its delay, a pause, a limit, no worker, or jobs before it; or None."""
        return reason_of(self.queue, self._parts.store, self.snapshot())
