"""A job, as `Queue.add` returns it and a processor receives it."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

import msgspec

from agentnb.core.codec import check_schema
from agentnb.core.deprecation import warn_deprecated
from agentnb.core.errors import AgentnbError, DeadlineExceeded, Final, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.queue.options import DEFAULTS, Message, Options
from agentnb.core.queue.outcome import OutcomeReader
from agentnb.core.queue.snapshot import LiveJob, as_percent, is_number
from agentnb.core.ranges import amount
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace import carried
from agentnb.core.twins import twin
from agentnb.core.typevars import D_co

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Generator

    from typing_extensions import TypeForm

    from agentnb.core.hub import Hub
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.snapshot import JobSnapshot
    from agentnb.core.trace import Context, Span
    from agentnb.core.work.attempt import Attempt

__all__ = ["Job"]

T = TypeVar("T")

_LONGEST_LINE = 10_000  # characters of a line of the log
_REASON_SECONDS = 0.5  # that an awaited call may take to find out why it was too late
_UNREAD: Any = object()


class _NotGiven:
    """The default of an argument, as ``help()`` shows it."""

    def __repr__(self) -> str:
        return "<not given>"


_NOT_GIVEN: Any = _NotGiven()


@on_tapes(
    "queue",
    "_parts.redact",
    {"result": lambda _: VALUE, "aresult": lambda _: VALUE},
    names=lambda job: {"job": job.id},
)
@refuse_unknown("queue")
class Job(LiveJob, Generic[D_co]):
    """A job of a queue.

    A processor with a schema is given a ``Job[SCHEMA]``, whose data is of that type.

    Made by `Queue.add` and `Queue.get`, and given to processors. Its state, attempt, times,
    failure, worker and progress are read from the server each time they are asked for;
    `snapshot` reads them all at once.

    Attributes
    ----------
    id
        Unique among all queues of a key prefix.
    queue
        Its `Queue`.
    options
        As it was added; by the names that `Queue.add` has.
    correlation_id, traceparent
        As it was added.
    schedule
        The name of the schedule that has added it, or None.
    """

    def __init__(
        self,
        queue: Queue,
        parts: QueueParts,
        id: str,  # noqa: A002 - the design's name
        message: bytes,
        *,
        attempt: int | None = None,
        seen: JobSnapshot | None = None,
    ) -> None:
        self.queue = queue
        self.id = id
        self._parts = parts
        self._call_threads = parts.threads
        self._attempt = attempt
        self._seen = seen
        self._hold: Attempt | None = None
        self._data: Any = _UNREAD
        try:
            found = msgspec.json.decode(message, type=Message)
        except msgspec.MsgspecError as error:
            found = Message(msgspec.Raw(b"null"))
            self._unreadable: str | None = str(error)
        else:
            self._unreadable = None
        self._raw = bytes(found.data)
        self.options: Options = found.options or DEFAULTS
        self.traceparent = found.traceparent
        self.correlation_id = found.correlation_id
        self._function = found.function
        self.schedule = found.schedule
        self._scheduled = found.scheduled

    @property
    def scheduled_at(self) -> dt.datetime | None:
        """The time of its schedule that it was added for, or None."""
        import datetime as dt

        at = self._scheduled
        return None if at is None else dt.datetime.fromtimestamp(at / 1000, dt.UTC)

    @property
    def data(self) -> D_co:
        """The data that was added; in a processor with a schema, a value of that type.

        Raises
        ------
        UsageError
            Another program has added a message that is not a job.
        """
        if self._data is _UNREAD:
            self._data = self._read(None)
        data: D_co = self._data
        return data

    def _read(self, schema: Any) -> Any:
        if self._unreadable is not None:
            raise UsageError(
                f"the message of job {self.id} cannot be read: {self._unreadable}",
                service="queue",
                hint="jobs are added by hub.queue(name).add(...)",
            )
        return self._parts.json.decode(self._raw, schema)

    @property
    def hub(self) -> Hub:
        """The hub that processes the job, or that it was added or found by.

        A processor reaches all services by it, as an agent does by its context:
        ``job.hub.db.query(...)``.

        Raises
        ------
        UsageError
            The queue was made without a hub.
        """
        hub: Hub | None = self._parts.hub
        if hub is None:
            raise UsageError(
                f"there is no hub here: queue {self.queue.name} was made without one",
                service="queue",
                hint="hub = agentnb.connect(); hub.queue(NAME)",
            )
        return hub

    @property
    def context(self) -> Context | None:
        """The trace that it belongs to: its attempt's, where it is processed here."""
        if self._hold is not None:
            return self._hold.context
        return self._added_context

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that it was added in, 32 hexadecimal digits; None without one."""
        context = self._added_context
        return None if context is None else context.trace_id

    @property
    def _added_context(self) -> Context | None:
        """The trace in which it was added."""
        return carried(self.traceparent, self.correlation_id)

    @property
    def raw(self) -> bytes:
        """The data as JSON."""
        return self._raw

    def refresh(self) -> Job[D_co]:
        """Return the current state of the job as a new object.

        Raises
        ------
        NotFoundError
            It is gone.
        """
        return self.queue.get(self.id)

    @property
    def seen(self) -> JobSnapshot | None:
        """The snapshot that was read last, or None if none was."""
        return self._seen

    @overload
    def result(self, timeout: float | None = ..., *, type: TypeForm[T]) -> T: ...
    @overload
    def result(self, timeout: float | None = ..., *, type: None = ...) -> Any: ...
    def result(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002 - the design's word
        """Wait for the job to end, and return the result of its processor.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        type
            The type to read the result as; default: the one that the queue's processor declares,
            where this process has it, else plain JSON.

        Raises
        ------
        JobFailed
            It failed permanently.
        JobCancelled
            It was cancelled.
        UnkeptResult
            It completed, but its result could not be stored.
        UsageError
            The result is not of the type.
        NotFoundError
            It was removed, or is no longer kept.
        DeadlineExceeded
            It has not ended in time; it goes on.
        UnavailableError
            The server is away: when it is asked first, or until the end of the timeout.
        """
        check_schema(type, "queue", "type")
        self._parts.loop.check()
        with self._waiting():
            return self._result(timeout, type)

    @overload
    async def aresult(self, timeout: float | None = ..., *, type: TypeForm[T]) -> T: ...  # noqa: ASYNC109 - as result
    @overload
    async def aresult(self, timeout: float | None = ..., *, type: None = ...) -> Any: ...  # noqa: ASYNC109 - as result
    async def aresult(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002, ASYNC109 - as result
        """Await the job's result; see `result`."""
        check_schema(type, "queue", "type")
        parts = self._parts
        with self._waiting():
            with parts.blocked.waiting_here(self.queue, self) as check:
                outcome = await parts.waiter.await_(parts.store, self.id, timeout, check)
            if outcome is None:
                raise await self._atoo_late(timeout)
            return self._outcome(*outcome, type)

    def __await__(self) -> Generator[Any, None, Any]:
        """Await the job's result; see `result`."""
        return self.aresult().__await__()

    def _waiting(self) -> Span:
        return self._parts.tracer.span(
            "result", service="queue", kind="wait", queue=self.queue.name, job=self.id
        )

    def _result(self, timeout: float | None, kind: Any) -> Any:
        parts = self._parts
        with parts.blocked.waiting_here(self.queue, self) as check:
            outcome = parts.waiter.wait(parts.store, self.id, timeout, check)
        if outcome is None:
            raise self._too_late(timeout)
        return self._outcome(*outcome, kind)

    def _too_late(self, timeout: float | None) -> DeadlineExceeded:
        return self._late_error(timeout, f": it is {self.state}", self.queue.why_waiting())

    async def _atoo_late(self, timeout: float | None) -> DeadlineExceeded:  # noqa: ASYNC109 - it is over
        """Return the error of a wait that is over, without a server that does not answer."""
        late = partial(self._late_error, timeout, "", "the server does not answer in time")
        end = monotonic() + _REASON_SECONDS
        try:
            return await self._parts.threads.run(
                partial(self._too_late, timeout), until=end, late=late, abandon=True
            )
        except AgentnbError as error:
            return late() if not isinstance(error, DeadlineExceeded) else error

    def _late_error(self, timeout: float | None, state: str, why: str | None) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"job {self.id} of {self.queue.name} has not ended within {timeout:g} s{state}",
            service="queue",
            hint=why or "wait longer; it goes on meanwhile",
        )

    def _outcome(self, state: str, value: bytes, kind: Any) -> Any:
        reader = OutcomeReader(self.queue, self._parts, self.options.attempts)
        return reader.read(self.id, state, value, kind)

    def progress(self, value: Any = _NOT_GIVEN, *, percent: float | None = None) -> Any:
        """Set the job's progress, or return it.

        Parameters
        ----------
        value
            A fraction from 0 to 1, which is shown as a bar, or any other value with a JSON form
            that is no number. Without a value the progress is returned, None if none was set.
        percent
            0 to 100. Deprecated: give the fraction.

        Raises
        ------
        UsageError
            The number is not 0 to 1.
        RejectedError
            In a processor: the attempt was cancelled, or lost its lease.

        Examples
        --------
        ``job.progress(0.5)``, or ``job.progress({"pages": 3})``; ``job.progress()`` reads it.
        """
        if percent is not None:
            warn_deprecated(
                f"progress(percent={percent!r}) is deprecated: give the fraction, progress(0.5)"
            )
            value = amount("percent", percent, service="queue", most=100) / 100
        if value is _NOT_GIVEN:
            return self.snapshot().progress
        data = self._parts.json.encode(value)
        plain = self._parts.json.decode(data)
        if is_number(plain):
            hint = "job.progress(0.5); of a count: job.progress(done / total)"
            amount("progress", plain, service="queue", most=1, hint=hint)
            data = self._parts.json.encode(as_percent(plain))
        self._note("the progress", progress=data)
        self._parts.events.publish("progress", self, progress=plain)
        return None

    def log(self, text: str) -> None:
        """Keep a line with the job; the last 1,000 are kept, and 10,000 characters of each.

        Raises
        ------
        RejectedError
            In a processor: the attempt was cancelled, or lost its lease.
        """
        text = str(text)
        line = self._parts.redact(text[: 2 * _LONGEST_LINE]).lstrip("\x1e") or " "
        if len(text) > _LONGEST_LINE:
            line = f"{line[:_LONGEST_LINE]}… ({len(text):,} characters)"
        self._note("a line of the log", line=line)

    def logs(self, n: int = 100, *, marks: bool = False) -> list[str]:
        """Return the last lines that were kept with `log`.

        Parameters
        ----------
        n
            Lines at most.
        marks
            Put ``attempt 2:`` in front of the lines of an attempt, where there are several.
        """
        return self._parts.store.log_of(self.id, n, marks=marks)

    def _note(self, what: str, **fields: Any) -> None:
        note, hold = self._parts.store.note, self._hold
        if hold is None:
            if not note(self.id, "", 0, **fields):
                raise self._parts.gone(self.id)
            return
        claim = hold.claim
        # While the server is away the work goes on, as long as the lease holds.
        if not hold.persist(lambda: note(self.id, claim.owner, claim.entry, **fields), what=what):
            hold.lose()
            hold.check()

    @property
    def cancelled(self) -> bool:
        """Whether the attempt was cancelled, or lost its lease to another worker.

        For processors that take long; noticed within a second.
        """
        return self._hold is not None and self._hold.stopped

    def check_cancelled(self) -> None:
        """Raise an error if the job was cancelled or given to another worker.

        Raises
        ------
        RejectedError
            It was.
        """
        if self._hold is not None:
            self._hold.check()

    def fail(self, message: str) -> NoReturn:
        """End the job as failed, with no other attempt; for its processor.

        Raises
        ------
        Final
            Always. ``raise Final(message)`` in what the processor calls does the same.
        """
        raise Final(message)

    def retry(self) -> None:
        """Run it now with all its attempts: a failed, cancelled, completed or delayed job.

        Raises
        ------
        NotFoundError, RejectedError
            It does not exist; it waits or runs already.
        """
        self.queue.retry(self.id)

    def cancel(self) -> None:
        """Cancel it; one that runs is stopped where that is possible.

        Raises
        ------
        NotFoundError, RejectedError
            It does not exist; it has ended already.
        """
        self.queue.cancel(self.id)

    def remove(self, *, force: bool = False) -> None:
        """Remove the job with its result and its log.

        Parameters
        ----------
        force
            Even if it runs: its outcome does not count.

        Raises
        ------
        NotFoundError, RejectedError
            It does not exist; it is running.
        """
        self.queue.remove(self.id, force=force)

    arefresh, asnapshot = twin(refresh), twin(LiveJob.snapshot)
    aprogress, alog, alogs = twin(progress), twin(log), twin(logs)
    aretry, acancel, aremove = twin(retry), twin(cancel), twin(remove)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        state = f", {self._seen.state}" if self._seen else ""
        trace = f", trace {self.trace_id[:8]}" if self.trace_id else ""
        return f"Job({self.id!r}, queue={self.queue.name!r}{state}{trace})"
