"""The processing of a job by the execution engine."""

from __future__ import annotations

import inspect
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.queue import taped
from agentnb.core.queue.functions import check_function
from agentnb.core.queue.snapshot import UNKEPT
from agentnb.core.trace import use

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue.job import Job
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.processing import Processor
    from agentnb.core.queue.tasks import QueueHuey
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.work.executors.near import Elsewhere
    from agentnb.core.work.store import ActiveUnit, Claim, Outcome

__all__ = ["PROCESSED", "JobHandler"]

PROCESSED: ContextVar[Job | None] = ContextVar("agentnb_job", default=None)
"""The job that the running code processes, or None."""


class JobHandler:
    """A `WorkHandler` that calls the processor of a queue.

    Parameters
    ----------
    parts
        Those of the queue.
    processor
        Returns the queue's processor in this process, or None.
    make
        Returns the job of an id, a message and an attempt.
    huey
        Returns the queue's instance of huey, None if it was never used.
    before
        Called with each attempt before its processor is looked up; None for nothing.
    elsewhere
        Runs the attempts by an executor; None for this thread.
    """

    service = "queue"
    noun = "job"

    def __init__(
        self,
        parts: QueueParts,
        *,
        processor: Callable[[], Processor | None],
        make: Callable[[str, bytes, int], Job],
        huey: Callable[[], QueueHuey | None],
        before: Callable[[Attempt], object] | None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._parts = parts
        self._processor = processor
        self._make = make
        self._huey = huey
        self._before = before
        self._elsewhere = elsewhere
        self._events = parts.events
        self._counters = parts.tracer.counters
        self._log = parts.log
        self._noted: Processor | None = None

    def run(self, attempt: Attempt) -> bytes | Outcome:
        """Process the job, and return its result as JSON, or its outcome from elsewhere."""
        parts, job = self._parts, attempt.claim.payload
        job._hold = attempt  # noqa: SLF001 - the two are one
        if self._before is not None:
            self._before(attempt)
        processor = self._processor()
        if attempt.timeout is None and processor is not None:
            attempt.limit(processor.timeout)
        if processor is not None:
            check_function(job._function, processor, parts.name, job.id)  # noqa: SLF001 - as above
        if self._elsewhere is not None and processor is not None:
            return self._run_elsewhere(self._elsewhere, attempt, processor)
        PROCESSED.set(job)
        span = parts.tracer.span(
            "process",
            service="queue",
            kind="work",
            attempt=attempt.claim.attempt,
            queue=parts.name,
            job=job.id,
        )
        if attempt.claim.waited is not None:
            span.note(waited_ms=round(attempt.claim.waited * 1000, 1))
        attempt.context = job._added_context  # noqa: SLF001 - as above
        with use(attempt.context), span:
            attempt.context = span
            self._events.begun(job)
            flight = parts.flight
            if flight is None or not flight.takes_part:
                return self._kept(self._call(attempt, job, processor), job, processor)
            with flight.unit(partial(taped.described, job, attempt, processor), self._log) as unit:
                result = self._call(attempt, job, processor)
                unit.returned(result)
            return self._kept(result, job, processor)

    def _run_elsewhere(
        self, elsewhere: Elsewhere, attempt: Attempt, processor: Processor
    ) -> Outcome:
        job = attempt.claim.payload
        attempt.context = job._added_context  # noqa: SLF001 - the two are one
        attempt.is_async = inspect.iscoroutinefunction(inspect.unwrap(processor.function))
        huey = self._huey()
        if huey is not None:
            huey.executing(job)
        with use(attempt.context):
            return elsewhere.run(attempt)

    def _call(self, attempt: Attempt, job: Job, processor: Processor | None) -> Any:
        if processor is None:
            raise UsageError(
                "the queue has no processor in this process",
                service="queue",
                hint=f"hub.queue({self._parts.name!r}).work(function)",
            )
        job._data = job._read(processor.schema)  # noqa: SLF001 - the processor's view of it
        huey = self._huey()
        if huey is not None:
            huey.executing(job)
        return attempt.call(processor.function, job)

    def _kept(self, result: Any, job: Job, processor: Processor | None) -> bytes:
        """Return a result as it is kept; work that is done is never lost by its result."""
        parts = self._parts
        declared = processor.declared if processor else None
        kept = parts.json.keep(result, declared, parts.redact)
        if kept.unkept is not None:
            self._log.warning("job %s is %s", job.id, kept.unkept, extra=self._events.stamp(job))
            return UNKEPT + kept.unkept.write().encode()
        if kept.note and processor is not None:
            self._note_result(job, processor, kept.note)
        return kept.data

    def _note_result(self, job: Job, processor: Processor, note: str) -> None:
        """Log once for a processor that its results come back as another type."""
        if self._noted is processor:
            return
        self._noted = processor
        text = f"processor {processor.name} {note}"
        self._log.warning("%s", text, extra=self._events.stamp(job))
        with suppress(AgentnbError):  # the work is done, with or without the line
            job.log(text)

    def begun(self, attempt: Attempt) -> None:
        """Count an attempt that begins."""
        self._counters.begun("job", self._parts.name, waited=attempt.claim.waited)

    def failure(self, attempt: Attempt, error: BaseException) -> tuple[Failure, bool]:
        """Return a description of an error; data that the schema refuses is not tried again."""
        failure = Failure.of(error, attempt.claim.attempt, self._parts.redact)
        return failure, isinstance(error, UsageError) and error.service == "queue"

    def substitute(
        self,
        attempt: Attempt,  # noqa: ARG002 - the engine's signature
        outcome: Outcome,  # noqa: ARG002 - as above
        error: Exception,  # noqa: ARG002 - as above
    ) -> Outcome | None:
        """Return that there is no other outcome: results are checked before they are stored."""
        return None

    def name(self, unit: Claim | ActiveUnit) -> str:
        """Return the id of the job."""
        return unit.id

    def ended(self, attempt: Attempt, outcome: Outcome, state: str | None) -> None:
        """Log the end of an attempt."""
        job, failure = attempt.claim.payload, outcome.failure
        self._counters.ended("job", self._parts.name, state, seconds=outcome.ms / 1000)
        if state == "completed":
            self._events.completed(job, outcome.ms)
        elif failure is not None and not attempt.cancelled and state != "cancelled":
            self._events.failed(
                job,
                failure,
                attempt.claim.attempts,
                state=state,
                ms=outcome.ms,
                error=outcome.error,
            )
        elif state is None:
            self._log.warning(
                "the outcome of the job does not count: it was given to another worker",
                extra=self._events.stamp(job),
            )
        huey = self._huey()
        if huey is not None and state is not None:
            huey.ended(job, state, outcome)

    def lost(self, attempt: Attempt) -> None:
        """Log that the lease of an attempt is lost."""
        self._counters.ended("job", self._parts.name, None)
        self._log.warning(
            "the job's lease is lost: it was cancelled, removed or given to another worker",
            extra=self._events.stamp(attempt.claim.payload),
        )

    def released(self, attempt: Attempt) -> None:
        """Log that a job was put back."""
        self._counters.ended("job", self._parts.name, "waiting")
        self._log.warning("job is released", extra=self._events.stamp(attempt.claim.payload))

    def reclaimed(self, held: ActiveUnit, failure: Failure, state: str) -> None:
        """Log that a job was reclaimed from a dead worker."""
        self._counters.reclaimed("job", self._parts.name)
        seen = self._parts.store.show(held.id)
        message = b"" if seen is None else seen.fields.get("message", b"")
        job = self._make(held.id, message, held.attempt)
        if state == "failed":
            self._events.failed(job, failure, held.attempts, state=state)
        else:
            extra = self._events.stamp(job)
            self._log.warning("job is reclaimed: %s", failure.error, extra=extra)

    def stamp(self, **data: Any) -> dict[str, Any]:
        """Return the ``extra`` of a log record of the worker."""
        return self._events.stamp(**data)
