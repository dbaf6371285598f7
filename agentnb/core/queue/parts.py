"""The parts of a queue, which its jobs, its handler and its store share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import JobNotFound, NotFoundError
from agentnb.core.queue.options import DEFAULTS, RESULT_TTL
from agentnb.core.ranges import text

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.codec import Json
    from agentnb.core.loop import LoopThread
    from agentnb.core.queue.batch_store import BatchStore
    from agentnb.core.queue.blocked import Blocked
    from agentnb.core.queue.events import JobEvents
    from agentnb.core.queue.store import JobStore
    from agentnb.core.queue.streams import StreamWaiter
    from agentnb.core.queue.waiter import JobWaiter
    from agentnb.core.redis import RedisClient
    from agentnb.core.tape.flight import FlightRecorder
    from agentnb.core.trace import ServiceLog, Tracer

__all__ = ["BatchViews", "QueueParts"]


class BatchViews(Protocol):
    """The part of a notebook that shows batches."""

    def display_batch(self, batch: Any) -> None:
        """Display a batch."""

    def watch_batch(self, batch: Any) -> AbstractContextManager[object]:
        """Return a block that shows the progress of a batch while it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueParts:
    """The parts of one queue.

    Attributes
    ----------
    name
        The queue.
    redis, store
        The client, and the keys and scripts of the queue.
    bus, events
        The event bus, None for none; the log lines and events of the queue's jobs.
    json
        Encodes data and results.
    loop, threads
        Run coroutine functions, and the calls that are awaited.
    tracer, log, redact
        Where spans and log lines go, and what masks secrets in them.
    waiter, blocked
        Waits for outcomes, and the processors of all queues that do.
    batches, streams
        The keys and scripts of the queue's batches, and what waits for their ends.
    lease, key_ttl
        Seconds that a claim lasts without a renewal, and that an idempotency key is kept.
    wrap
        Given a processor, returns what is called in its place; None for the processor itself.
    views
        Displays batches, and shows their progress; None for nothing.
    hub
        The hub that the queue belongs to, or None.
    flight
        Records attempts that fail; None for nothing.
    """

    name: str
    redis: RedisClient
    store: JobStore
    bus: Any
    events: JobEvents
    json: Json
    loop: LoopThread
    threads: CallThreads
    tracer: Tracer
    log: ServiceLog
    redact: Callable[[str], str]
    waiter: JobWaiter
    blocked: Blocked
    batches: BatchStore
    streams: StreamWaiter
    lease: float
    key_ttl: float
    wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]] | None
    views: BatchViews | None
    hub: Any
    flight: FlightRecorder | None

    @staticmethod
    def checked_id(job_id: Any) -> str:
        """Return the id of a job, if it is a text."""
        hint = "job.id, or an id of hub.queue(NAME).search() (%queue jobs QUEUE)"
        return text("job_id", job_id, service="queue", hint=hint)

    def gone(self, job_id: str) -> NotFoundError:
        """Return the error of a job that is not there."""
        return JobNotFound(
            f"there is no job {job_id} in {self.name} on {self.store.where}: it was removed, or "
            f"is no longer kept",
            service="queue",
            hint=f"hub.queue({self.name!r}).search() (%queue jobs {self.name}) lists the jobs that "
            "are kept; a result that was read is kept for the next "
            f"{DEFAULTS.remove_on_complete} jobs, others for result_ttl= ({RESULT_TTL:g} s)",
        )
