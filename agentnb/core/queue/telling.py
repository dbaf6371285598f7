"""What a queue says of its jobs: to the log, to the event bus, and to other processes."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.queue.registry import About
from agentnb.core.redact import brief
from agentnb.core.trace import current, stamp, use

if TYPE_CHECKING:
    from agentnb.core.queue.attempt import Attempt
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.queue import Queue

__all__ = ["Teller"]


class Teller:
    """Logs, publishes and describes what happens in a queue.

    The events are ``queue.<name>.completed`` and ``queue.<name>.failed``, published at the very
    moment at which the attempt ends, and ``queue.<name>.cancelled`` and ``queue.<name>.progress``,
    which are not kept in the log of events.

    Parameters
    ----------
    queue
        The queue.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def about_worker(self) -> bytes:
        """Return what others are told of the worker in this process, as JSON."""
        worker, processor = self._queue.worker, self._queue.current
        return msgspec.json.encode(
            About(
                host=socket.gethostname(),
                pid=os.getpid(),
                kind=self._queue.queues.kind,
                concurrency=worker.concurrency if worker else 0,
                processor=processor.name if processor else "",
                running=len(self._queue.huey.storage.running),
            )
        )

    def of(self, job: Job | None = None, **more: Any) -> dict[str, Any]:
        """Return what a log line is stamped with: its data, and the job's trace."""
        name = self._queue.name
        if job is None:
            return {"data": {"queue": name, **more}}
        data = {"queue": name, "job_id": job.id, "attempt": job.attempt, **more}
        return {"data": data, **stamp(job.context)}

    def say_begun(self, job: Job) -> None:
        """Log that an attempt begins."""
        if self._queue.log.isEnabledFor(logging.INFO):
            self._queue.log.info("processing job", extra=self.of(job))

    def say_raised(self, job: Job, error: str) -> None:
        """Log that a processor raised; whether the job is tried again is told at its end."""
        self._queue.log.error("job processing failed", extra=self.of(job, error=error))

    def say_ended(self, attempt: Attempt, where: str) -> None:
        """Log how an attempt ended, with its data or its error."""
        job, ms = attempt.job, round(attempt.ms, 1)
        if where == "completed":
            if self._queue.log.isEnabledFor(logging.INFO):
                data = brief(job.raw, self._queue.redact)
                self._queue.log.info("job completed", extra=self.of(job, ms=ms, data=data))
            return
        error = attempt.failure.error if attempt.failure else "unknown"
        if where == "failed":
            self._queue.log.error("job failed", extra=self.of(job, ms=ms, error=error))
        else:
            left = attempt.left
            self._queue.log.warning(
                "job is tried again", extra=self.of(job, ms=ms, error=error, left=left)
            )

    def event_of(self, where: str, attempt: Attempt, *, final: bool) -> Any:
        """Return the event that goes with the end of an attempt, or None."""
        job = attempt.job
        if where == "completed":
            return self.announcement("completed", job, attempt=job.attempt)
        if where == "wait":
            return None
        error = attempt.failure.error if attempt.failure else "unknown"
        return self.announcement("failed", job, attempt=job.attempt, error=error, final=final)

    def announcement(self, what: str, job: Job, **data: Any) -> Any:
        """Return an event of the queue's, to be published by a script; None without a bus."""
        events = self._queue.queues.events
        if events is None:
            return None
        data = {"queue": self._queue.name, "job_id": job.id, **data}
        with use(job.context or current()):
            return events.attachment(f"queue.{self._queue.name}.{what}", data)

    def announce(self, what: str, job: Job, **data: Any) -> None:
        """Publish an event of the queue's that is not kept in the log of events."""
        events = self._queue.queues.events
        if events is not None:
            data = {"queue": self._queue.name, "job_id": job.id, **data}
            with use(job.context or current()):
                events.publish(f"queue.{self._queue.name}.{what}", data, durable=False)
