"""What becomes of single jobs when somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.failure import CANCELLED, Failure

if TYPE_CHECKING:
    from agentnb.core.queue.queue import Queue

__all__ = ["Steering"]


class Steering:
    """The part of a `Queue` that retries, removes and cancels jobs."""

    def retry(self: Queue, job_id: str) -> None:  # type: ignore[misc]  # it is a part of Queue
        """Let a failed, completed or delayed job run now, with all its attempts."""
        self._refuse(job_id, self.store.requeue(job_id), {"waiting", "active"}, "waits already")

    def remove(self: Queue, job_id: str, *, force: bool = False) -> None:  # type: ignore[misc]  # as above
        """Remove a job with all that is kept of it; a running one only if forced to."""
        refused = set() if force else {"active"}
        self._refuse(job_id, self.store.remove(job_id, force=force), refused, "cannot be removed")

    def cancel(self: Queue, job_id: str) -> None:  # type: ignore[misc]  # it is a part of Queue
        """Let a job fail as cancelled; one that runs is stopped where that can be done."""
        seen = self.store.show(job_id)
        if seen is None:
            raise self.gone(job_id)
        job = self.job_of(seen)
        failure = Failure(CANCELLED, seen.attempt)
        state = self.store.cancel(job_id, failure.write(), job.options.keep_failed)
        self._refuse(job_id, state, {"completed", "failed"}, "cannot be cancelled")
        self.tell.announce("failed", job, attempt=seen.attempt, error=CANCELLED)

    def _refuse(self: Queue, job_id: str, state: str, refused: set[str], why: str) -> None:  # type: ignore[misc]  # as above
        if state == "gone":
            raise self.gone(job_id)
        if state in refused:
            raise RejectedError(
                f"job {job_id} {why}: it is {state}",
                service="queue",
                hint=f"%queue show {job_id}" if state != "active" else "job.cancel() stops it",
            )
