"""What becomes of single jobs when somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.queue.counts import ENDED

if TYPE_CHECKING:
    from agentnb.core.queue.queue import Queue

__all__ = ["Steering"]


class Steering:
    """The part of a `Queue` that retries, removes and cancels jobs."""

    def retry(self: Queue, job_id: str) -> None:  # type: ignore[misc]  # it is a part of Queue
        """Run a failed, cancelled, completed or delayed job now, with all its attempts."""
        self._refuse(job_id, self.store.requeue(job_id), {"waiting", "active"}, "waits already")

    def remove(self: Queue, job_id: str, *, force: bool = False) -> None:  # type: ignore[misc]  # as above
        """Remove a job with all that is kept of it; a running one only if forced to."""
        refused = set() if force else {"active"}
        self._refuse(job_id, self.store.remove(job_id, force=force), refused, "cannot be removed")

    def cancel(self: Queue, job_id: str) -> None:  # type: ignore[misc]  # it is a part of Queue
        """Cancel a job; one that runs is stopped where that is possible."""
        seen = self.store.show(job_id)
        if seen is None:
            raise self.gone(job_id)
        job = self.job_of(seen)
        failure = Failure(CANCELLED, seen.attempt)
        state = self.store.cancel(job_id, failure.write(), job.options.retention("cancelled"))
        self._refuse(job_id, state, set(ENDED), "cannot be cancelled")
        self.log.info("job cancelled", extra=self.tell.of(job))
        self.tell.announce("cancelled", job, attempt=seen.attempt)

    def _refuse(self: Queue, job_id: str, state: str, refused: set[str], why: str) -> None:  # type: ignore[misc]  # as above
        if state == "gone":
            raise self.gone(job_id)
        if state in refused:
            raise RejectedError(
                f"job {job_id} {why}: it is {state}",
                service="queue",
                hint=f"%queue show {job_id}" if state != "active" else "job.cancel() stops it",
            )
