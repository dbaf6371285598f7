"""The log lines and events of the jobs of a queue."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from agentnb.core.redact import brief
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
    which are not kept in the log of events.

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

    def begun(self, job: Job) -> None:
        """Log that an attempt begins."""
        if self._log.isEnabledFor(logging.INFO):
            self._log.line(logging.INFO, "processing job", self.stamp(job))

    def raised(self, job: Job, error: str) -> None:
        """Log that an attempt failed; whether another follows is logged once that is stored."""
        self._log.error("job processing failed", extra=self.stamp(job, error=error))

    def ended(self, job: Job, state: str, ms: float, failure: Failure | None, left: int) -> None:
        """Log the end of an attempt, with the job's data or its error."""
        ms = round(ms, 1)
        if state == "completed":
            if self._log.isEnabledFor(logging.INFO):
                data = brief(job.raw, self._redactor)
                self._log.line(logging.INFO, "job completed", self.stamp(job, ms=ms, data=data))
            return
        error = failure.error if failure is not None else "unknown"
        if state == "failed":
            self._log.error("job failed", extra=self.stamp(job, ms=ms, error=error))
        elif state == "delayed":
            extra = self.stamp(job, ms=ms, error=error, left=left)
            self._log.warning("job is tried again", extra=extra)

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
            with use(job.context or current()):
                self._bus.publish(f"queue.{self._name}.{what}", data, durable=False)
