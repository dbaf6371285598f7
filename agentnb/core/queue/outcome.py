"""The outcomes of jobs: a result of its declared type, or the error that says why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.codec import Unkept, read
from agentnb.core.failure import Failure
from agentnb.core.queue.failure import JobCancelled, JobFailed
from agentnb.core.queue.snapshot import UNKEPT

if TYPE_CHECKING:
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.queue import Queue

__all__ = ["OutcomeReader"]


@dataclass(frozen=True, slots=True)
class OutcomeReader:
    """Reads the outcomes of jobs of a queue.

    Parameters
    ----------
    queue, parts
        The queue and its parts.
    attempts
        How often each of the jobs was tried at most.
    """

    queue: Queue
    parts: QueueParts
    attempts: int

    def read(self, job: str, state: str, value: bytes, kind: Any = None) -> Any:
        """Return the result of a job.

        Parameters
        ----------
        job
            Its id.
        state, value
            The state in which it ended, and its result or error.
        kind
            The type to read the result as; None for the one that the processor declares.

        Raises
        ------
        JobFailed, JobCancelled, UnkeptResult, UsageError, NotFoundError
            As `Job.result`.
        """
        name = self.queue.name
        if state == "completed" and value.startswith(UNKEPT):
            raise Unkept.read(value[1:]).error(
                f"job {job} of {name}",
                "queue",
                "return plain values or a model from the processor; job.retry() runs it again",
            )
        if state == "completed" and kind is None:
            current = self.queue.current
            return read(value, current.declared if current is not None else None)
        if state == "completed":
            return self.parts.json.decode(value, kind)
        if state == "failed":
            failure = Failure.read(value)
            raise JobFailed(
                f"job {job} of {name} failed at attempt {failure.attempt} of "
                f"{self.attempts}: {failure.error}",
                service="queue",
                hint=f"job.failure.traceback (%queue show {job}) has the traceback; "
                "job.retry() tries again",
            )
        if state == "cancelled":
            raise JobCancelled(
                f"job {job} of {name} was cancelled",
                service="queue",
                hint=f"run it all the same: hub.queue({name!r}).retry({job!r})",
            )
        raise self.parts.gone(job)
