"""How jobs come into a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.queue.job import Job
from agentnb.core.queue.keys import KeyRecord
from agentnb.core.queue.options import DEFAULTS, RESULT_TTL, Message, Options
from agentnb.core.ranges import seconds
from agentnb.core.trace import check_correlation_id
from agentnb.core.trace.context import random_bits

if TYPE_CHECKING:
    from agentnb.core.queue.keys import Found
    from agentnb.core.queue.queue import Queue

__all__ = ["Adding"]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 60
_WAS = {"failed": "failed", "cancelled": "was cancelled"}


class Adding:
    """The part of a `Queue` that adds jobs."""

    def add(  # type: ignore[misc]  # noqa: PLR0913 - it is a part of Queue; one word for each option
        self: Queue,
        data: Any = None,
        *,
        priority: int = 0,
        delay: float = 0.0,
        attempts: int = 3,
        backoff: float | dict[str, Any] | None = None,
        timeout: float | None = None,
        key: str | None = None,
        lifo: bool = False,
        remove_on_complete: bool | int = 100,
        remove_on_fail: bool | int = 50,
        result_ttl: float | None = None,
        correlation_id: str | None = None,
    ) -> Job:
        """Add a job, and return it.

        Parameters
        ----------
        data
            Any value with a JSON form, see `agentnb.core.codec.plain`. It is checked by the
            schema of the processor, where this process has one.
        priority
            The lower number runs first: 0, then 1, 2, ... up to 524,287. A job without a
            priority has 0, so that any other number lets it run later.
        delay
            Seconds before it may run.
        attempts
            How often it is tried before it fails, a worker's death counted.
        backoff
            Seconds between attempts; or ``{"type": "exponential", "delay": 2}``, the default,
            which doubles from one to the next, up to five minutes, with some jitter.
        timeout
            Seconds that an attempt may take; see `work`.
        key
            An idempotency key. The first call adds the job; each later one returns it, until 7
            days (`TaskQueue`'s ``key_ttl``) after it has ended. One that failed or was cancelled
            is returned, too, and a warning is logged. Removing a job that has not completed
            frees its key.
        lifo
            Before all others of its priority.
        remove_on_complete
            The completed job is kept while fewer than this many other jobs have completed after
            it, and in any case until its result was read or ``result_ttl`` is over; True removes
            it at once, False never.
        remove_on_fail
            The same for a job that failed or was cancelled, which is kept for 7 days in any case,
            as one of 10,000 at most.
        result_ttl
            Seconds for which its result is kept in any case; default: `Queue.result_ttl`.
        correlation_id
            Free text that goes with the job: its attempts' spans, log lines and events carry it,
            and so does what they add or publish. Default: that of the running trace.

        Raises
        ------
        UsageError
            The data has no JSON form, is too large or not of the schema; an option cannot be
            used; the key was used with other data.
        UnavailableError
            The server is away. The job was not added, or the same call with a ``key`` finds it.
        """
        options = DEFAULTS
        if result_ttl is None:
            result_ttl = self.result_ttl
        given = (attempts, backoff, timeout, key, lifo, remove_on_complete, remove_on_fail)
        if priority or given != _GIVEN or result_ttl != RESULT_TTL:
            options = Options.checked(
                priority=priority,
                attempts=attempts,
                backoff=backoff,
                timeout=timeout,
                key=key,
                lifo=lifo,
                remove_on_complete=remove_on_complete,
                remove_on_fail=remove_on_fail,
                result_ttl=result_ttl,
            )
        delay = 0.0 if delay is None else seconds("delay", delay, service="queue", zero=True)
        kind = self.current.schema if self.current is not None else None
        check_correlation_id(correlation_id, "queue")
        with self.tracer.span("add", service="queue", queue=self.name) as span:
            if correlation_id is not None:
                span.correlation_id = correlation_id
            message = Message(
                msgspec.Raw(self.json.encode(data, kind)),
                options,
                span.traceparent,
                span.correlation_id,
            )
            encoded = msgspec.json.encode(message)
            record = None
            if options.key is not None:
                ttl = self.queues.key_ttl
                record = KeyRecord.of(options.key, ttl, bytes(message.data), self.redact)
            id_ = _new_id()
            found = self.store.add(id_, encoded, options, delay, record)
            span.attributes = {"queue": self.name, "job": found.id}
        if record is None or found.id == id_:
            return Job(self, found.id, encoded)
        return self._added_before(found, record, encoded)

    def _added_before(self: Queue, found: Found, record: KeyRecord, encoded: bytes) -> Job:  # type: ignore[misc]  # as above
        """Return the job that has the key already, if it was added with the same data."""
        seen = self.store.show(found.id)
        job = Job(self, found.id, encoded) if seen is None else self.job_of(seen)
        found.check(record, None if seen is None else job.raw)
        if found.state in {"failed", "cancelled"}:
            self.log.warning(
                "key %s is job %s, which %s: nothing was added%s",
                *(record.key, found.id, _WAS[found.state]),
                "" if seen is None else "; retry() runs it again",
                extra=self.tell.of(job),
            )
        return job


_GIVEN = (3, None, None, None, False, 100, 50)


def _new_id() -> str:
    # The generator of trace ids, which a notebook that seeds random's does not repeat.
    bits = random_bits(_BITS)
    return "".join([_LETTERS[bits >> shift & 31] for shift in range(0, _BITS, 5)])
