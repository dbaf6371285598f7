"""The log lines and events of the jobs of a queue."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from agentnb.core.redact import brief
from agentnb.core.tape.hook import muted
from agentnb.core.trace import current, stamp, use

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.failure import Failure
    from agentnb.core.queue.job import Job
    from agentnb.core.trace import ServiceLog

__all__ = ["JobEvents"]


class JobEvents:
    """Logs and publishes what happens to the jobs of a queue.

    The events are ``queue.<name>.completed`` and ``queue.<name>.failed``, published at the very
    moment at which the attempt ends, and ``queue.<name>.cancelled`` and ``queue.<name>.progress``,
    which are not kept in the log of events. A schedule that fires publishes
    ``queue.<name>.scheduled``.

    Parameters
    ----------
    name
        The queue.
    bus
        The event bus, None for none.
    log
        The service's logger.
    redactor
        Masks secrets in what is logged of a job's data.
    """

    def __init__(
        self,
        name: str,
        bus: Any,
        log: ServiceLog,
        redactor: Callable[[str], str],
    ) -> None:
        self._name = name
        self._bus = bus
        self._log = log
        self._redactor = redactor

    def stamp(self, job: Job | None = None, **more: Any) -> dict[str, Any]:
        """Return the ``extra`` of a log record: its data, and the job's trace."""
        if job is None:
            return {"data": {"queue": self._name, **more}}
        data = {"queue": self._name, "job_id": job.id, "attempt": job.attempt, **more}
        return {"data": data, **stamp(job.context)}

    def fired(self, job: Job) -> None:
        """Log and publish that a schedule has added a job."""
        at = job.scheduled_at
        data = {"schedule": job.schedule, "scheduled_at": None if at is None else at.isoformat()}
        self._log.info("schedule %s fired", job.schedule, extra=self.stamp(job, **data))
        if self._bus is not None:
            data = {"queue": self._name, "job_id": job.id, **data}
            with use(job.context or current()), muted():
                self._bus.publish(
                    f"queue.{self._name}.scheduled", data, event_id=f"scheduled-{job.id}"
                )

    def begun(self, job: Job) -> None:
        """Log that an attempt begins."""
        if self._log.isEnabledFor(logging.INFO):
            self._log.line(logging.INFO, "processing job", self.stamp(job))

    def completed(self, job: Job, ms: float) -> None:
        """Log that a job is completed, with its data."""
        if self._log.isEnabledFor(logging.INFO):
            data = brief(job.raw, self._redactor)
            self._log.line(
                logging.INFO, "job completed", self.stamp(job, ms=round(ms, 1), data=data)
            )

    def failed(
        self,
        job: Job,
        failure: Failure,
        attempts: int,
        *,
        state: str | None,
        ms: float = 0.0,
        error: BaseException | None = None,
    ) -> None:
        """Log a failed attempt once: an error if it was the last, else a warning.

        Parameters
        ----------
        job, failure
            The job, and the record of the error.
        attempts
            How often the job is tried.
        state
            The job's state after the attempt; None if the outcome did not count.
        ms
            Milliseconds that the attempt took.
        error
            The exception, if it was raised in this process.
        """
        note = "" if state is not None else ", which does not count: another worker has the job"
        data = {"state": state, "left": max(attempts - failure.attempt, 0)}
        self._log.failed(
            logging.ERROR if state == "failed" else logging.WARNING,
            "job %s of %s failed at attempt %d of %d%s: %s",
            *(job.id, self._name, failure.attempt, attempts, note, failure.error),
            error=error,
            redactor=self._redactor,
            extra=self.stamp(job, ms=round(ms, 1), error=failure.error, **data),
        )

    def of_end(self, where: str, job: Job, attempt: int, failure: Failure | None) -> Any:
        """Return the event of the end of an attempt, to be published by a script, or None."""
        if self._bus is None or where == "wait":
            return None
        data = {"queue": self._name, "job_id": job.id, "attempt": attempt}
        if where in {"failed", "delayed"}:
            error = failure.error if failure is not None else "unknown"
            data |= {"error": error, "final": where == "failed"}
            where = "failed"
        with use(job.context or current()):
            return self._bus.attachment(f"queue.{self._name}.{where}", data)

    def publish(self, what: str, job: Job, **data: Any) -> None:
        """Publish an event that is not kept in the log of events."""
        if self._bus is not None:
            data = {"queue": self._name, "job_id": job.id, **data}
            with use(job.context or current()), muted():
                self._bus.publish(f"queue.{self._name}.{what}", data, durable=False)
