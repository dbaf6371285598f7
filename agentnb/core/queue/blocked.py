"""Processors of a queue that wait for the results of other jobs of the same queue."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from agentnb.core.errors import RejectedError

if TYPE_CHECKING:
    from agentnb.core.queue.job import Job

__all__ = ["Blocked"]


class Blocked:
    """The number of processors that wait, as a context manager of each of them.

    Examples
    --------
    >>> blocked = Blocked()
    >>> with blocked, blocked:
    ...     blocked.count
    2
    >>> blocked.count
    0
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def __enter__(self) -> Self:
        with self._lock:
            self.count += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.count -= 1

    def deadlock(self, job: Job) -> RejectedError | None:
        """Return the error of a processor that waits for a job which no thread is left to run."""
        queue = job.queue
        worker = queue.worker
        if worker is None or self.count < worker.concurrency or job.state != "waiting":
            return None
        if {one.owner for one in queue.workers()} - {worker.owner}:
            return None
        return RejectedError(
            f"job {job.id} of {queue.name} cannot start: all threads of its worker "
            f"({worker.concurrency}) wait for other jobs of this queue",
            service="queue",
            hint=f"add it to another queue, or use more threads: %queue work {queue.name} "
            f"--concurrency {2 * worker.concurrency}",
        )
