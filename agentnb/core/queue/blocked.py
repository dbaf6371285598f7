"""Processors of a queue that wait for the results of other jobs of the same queue."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.queue.job import Job
    from agentnb.core.work.attempt import Attempt

__all__ = ["Blocked"]


class Blocked:
    """The attempts whose processors wait for other jobs of their queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[Attempt] = Counter()

    @property
    def count(self) -> int:
        """How many wait. One that took too long is not among them: its thread was replaced."""
        return sum(not one.settled for one in list(self._waiting))

    @contextmanager
    def waiting(self, attempt: Attempt) -> Iterator[Callable[[Job], None]]:
        """Count an attempt that waits, and yield the check of the job that it waits for.

        The check raises where no thread is left to run the job. It does so for one attempt at a
        time, whose thread then runs the jobs that the others wait for.
        """
        with self._lock:
            self._waiting[attempt] += 1

        def check(job: Job) -> None:
            error = self._deadlock(job)
            if error is None:
                return
            with self._lock:
                told = attempt in self._waiting and self._is_full(job)
                if told:
                    del self._waiting[attempt]
            if told:
                raise error

        try:
            yield check
        finally:
            with self._lock:
                if self._waiting[attempt] > 1:
                    self._waiting[attempt] -= 1
                else:
                    del self._waiting[attempt]

    def _is_full(self, job: Job) -> bool:
        worker = job.queue.worker
        return worker is not None and self.count >= worker.concurrency

    def _deadlock(self, job: Job) -> RejectedError | None:
        """Return the error of a processor that waits for a job which no thread is left to run."""
        queue = job.queue
        worker = queue.worker
        if worker is None or not self._is_full(job) or job.state != "waiting":
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
