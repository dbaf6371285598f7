"""A job: what its adder holds, and what its processor is given."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import DeadlineExceeded, RejectedError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.queue.failure import JobFailed
from agentnb.core.queue.options import DEFAULTS, Message, Options
from agentnb.core.trace import carried

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Generator

    from agentnb.core.queue.attempt import Attempt
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.store import Seen
    from agentnb.core.trace import Context

__all__ = ["Job"]

_SLICE = 5.0  # seconds between two looks at a job whose end is waited for
_TURN = 0.5  # seconds for which an awaited job that is given up keeps its thread at most
_UNREAD: Any = object()


class Job:
    """A job of a queue.

    Made by `Queue.add` and `Queue.get`, and given to processors.

    Attributes
    ----------
    id
        Unique among all queues of a key prefix.
    queue
        Its `Queue`.
    attempt
        Which attempt this is, from 1; 0 before the first. As of when this object was made.
    options
        As it was added: attempts, back-off, time-out, priority, key.
    correlation_id, traceparent
        As it was added.
    """

    def __init__(
        self,
        queue: Queue,
        id: str,  # noqa: A002 - the design's name
        message: bytes,
        *,
        attempt: int = 0,
        seen: Seen | None = None,
    ) -> None:
        self.queue = queue
        self.id = id
        self.attempt = attempt
        self._seen = seen
        self._hold: Attempt | None = None
        self._data: Any = _UNREAD
        try:
            read = msgspec.json.decode(message, type=Message)
        except msgspec.MsgspecError as error:
            read = Message(msgspec.Raw(b"null"))
            self._unreadable: str | None = str(error)
        else:
            self._unreadable = None
        self._raw = bytes(read.data)
        self.options: Options = read.options or DEFAULTS
        self.traceparent = read.traceparent
        self.correlation_id = read.correlation_id

    @property
    def data(self) -> Any:
        """What was added; in a processor with a schema, a value of that.

        Raises
        ------
        UsageError
            Another program has put in what is no job.
        """
        if self._data is _UNREAD:
            self._data = self._read(None)
        return self._data

    def _read(self, schema: Any) -> Any:
        if self._unreadable is not None:
            raise UsageError(
                f"the message of job {self.id} cannot be read: {self._unreadable}",
                service="queue",
                hint="jobs are added by hub.queue(name).add(...)",
            )
        return self.queue.json.decode(self._raw, schema)

    @property
    def context(self) -> Context | None:
        """The trace that it belongs to: its attempt's, where it is processed here."""
        if self._hold is not None:
            return self._hold.context
        return carried(self.traceparent, self.correlation_id)

    @property
    def raw(self) -> bytes:
        """The data as JSON."""
        return self._raw

    @property
    def state(self) -> str:
        """Where it stands now: waiting, delayed, active, completed, failed, paused, or gone."""
        seen = self.queue.store.show(self.id)
        self._seen = seen or self._seen
        return seen.state if seen else "gone"

    def refresh(self) -> Job:
        """Return the job as it stands now.

        Raises
        ------
        NotFoundError
            It is gone.
        """
        return self.queue.get(self.id)

    @property
    def seen(self) -> Seen | None:
        """What was seen of it when this object was made, or its state last asked for."""
        return self._seen

    def _field(self, name: str) -> bytes | None:
        return self._seen.fields.get(name) if self._seen else None

    def _time(self, name: str) -> dt.datetime | None:
        import datetime as dt

        value = self._field(name)
        return None if value is None else dt.datetime.fromtimestamp(int(value) / 1000, dt.UTC)

    @property
    def created(self) -> dt.datetime | None:
        """When it was added, by the server's clock; None where that is not known here."""
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
        """Why its latest failed attempt failed, as of when this object was made; or None."""
        value = self._field("error")
        return None if value is None else Failure.read(value)

    @property
    def worker(self) -> str | None:
        """Who works on it, as of when this object was made; or None."""
        value = self._field("owner")
        return None if value is None else value.decode()

    def result(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002 - the design's word
        """Wait for the job to end, and return what its processor returned.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        type
            The type to make of the result's JSON.

        Raises
        ------
        JobFailed
            It failed, for good.
        NotFoundError
            It was removed, or is no longer kept.
        DeadlineExceeded
            It has not ended in time; it goes on.
        """
        self.queue.loop.check()
        with self.queue.tracer.span("result", service="queue", queue=self.queue.name, job=self.id):
            return self._result(timeout, type)

    async def aresult(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002, ASYNC109 - as result
        """Await the job's result; see `result`."""
        left = threading.Event()
        try:
            return await asyncio.to_thread(self._result, timeout, type, left)
        finally:
            left.set()

    def __await__(self) -> Generator[Any, None, Any]:
        """Await the job's result; see `result`."""
        return self.aresult().__await__()

    def _result(self, timeout: float | None, kind: Any, left: threading.Event | None = None) -> Any:
        store = self.queue.store
        until = None if timeout is None else monotonic() + timeout
        found = store.wait(self.id, 1)
        while found is None:
            pause = _SLICE if until is None else min(_SLICE, max(until - monotonic(), 0.001))
            found = self._told(pause, left)
            if found is not None:
                break
            late = until is not None and monotonic() >= until
            given_up = left is not None and left.is_set()
            found = store.wait(self.id, -1 if late or given_up else 0)
            if found is None and given_up:
                return None
            if found is None and late:
                raise DeadlineExceeded(
                    f"job {self.id} of {self.queue.name} has not ended within {timeout:g} s: "
                    f"it is {self.state}",
                    service="queue",
                    hint=self.queue.why_waiting() or "wait longer; it goes on meanwhile",
                )
        return self._outcome(*found, kind)

    def _told(self, seconds: float, left: threading.Event | None) -> tuple[str, bytes] | None:
        """Wait to be told what came of it, in short turns where the wait may be given up."""
        if left is None:
            return self.queue.store.told(self.id, seconds)
        until, found = monotonic() + seconds, None
        while found is None and not left.is_set() and (rest := until - monotonic()) > 0:
            found = self.queue.store.told(self.id, min(_TURN, max(rest, 0.001)))
        return found

    def _outcome(self, state: str, value: bytes, kind: Any) -> Any:
        if state == "completed":
            return self.queue.json.decode(value, kind)
        if state == "failed":
            failure = Failure.read(value)
            raise JobFailed(
                f"job {self.id} of {self.queue.name} failed at attempt {failure.attempt} of "
                f"{self.options.attempts}: {failure.error}",
                service="queue",
                hint=f"%queue show {self.id} has the traceback; job.retry() tries again",
            )
        raise self.queue.gone(self.id)

    def progress(self, value: Any = _UNREAD) -> Any:
        """Say how far the job is, or return what was said last.

        Parameters
        ----------
        value
            What JSON has; a number is read as percent. Left out to ask.

        Raises
        ------
        RejectedError
            In a processor: the job is not this attempt's any more.
        """
        if value is _UNREAD:
            seen = self.queue.store.show(self.id)
            found = seen.fields.get("progress") if seen else None
            return None if found is None else self.queue.json.decode(found)
        data = self.queue.json.encode(value)
        self._note(progress=data)
        self.queue.tell.announce("progress", self, progress=value)
        return None

    def log(self, text: str) -> None:
        """Keep a line with the job; the last 1,000 are kept.

        Raises
        ------
        RejectedError
            In a processor: the job is not this attempt's any more.
        """
        self._note(line=self.queue.redact(str(text)) or " ")

    def logs(self, n: int = 100) -> list[str]:
        """Return the last lines that were kept with `log`."""
        return self.queue.store.log_of(self.id, n)

    def _note(self, **what: Any) -> None:
        hold = self._hold
        owner, attempt = ("", 0) if hold is None else (hold.owner, hold.taken.attempt)
        if not self.queue.store.note(self.id, owner, attempt, **what):
            if hold is None:
                raise self.queue.gone(self.id)
            hold.lose()
            self.check_cancelled()

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled or given to another worker: nothing here counts any more.

        For processors that take long; noticed within a second.
        """
        return self._hold is not None and self._hold.lost

    def check_cancelled(self) -> None:
        """Raise an error if the job was cancelled or given to another worker.

        Raises
        ------
        RejectedError
            It was.
        """
        if self.cancelled:
            raise RejectedError(
                f"job {self.id} was cancelled, or given to another worker", service="queue"
            )

    def retry(self) -> None:
        """Let it run now with all its attempts: a failed, completed or delayed job.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it waits or runs already.
        """
        self.queue.retry(self.id)

    def cancel(self) -> None:
        """Let it fail as cancelled; one that runs is stopped where that can be done.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it has ended already.
        """
        self.queue.cancel(self.id)

    def remove(self, *, force: bool = False) -> None:
        """Remove it with all that is kept of it.

        Parameters
        ----------
        force
            Even if it runs: what comes of it will not count.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; it is running.
        """
        self.queue.remove(self.id, force=force)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        state = f", {self._seen.state}" if self._seen else ""
        return f"Job({self.id!r}, queue={self.queue.name!r}{state})"
