"""Processors that wait for the results of jobs which no thread of this process is left to run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from agentnb.core.errors import RejectedError
from agentnb.core.forking import new_lock
from agentnb.core.queue.handler import PROCESSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.queue.queue import Queue
    from agentnb.core.work.attempt import Attempt

__all__ = ["Blocked"]

_KEPT_SECONDS = 1.0


@dataclass(slots=True)
class _Wait:
    """An attempt that waits: the queue that it runs in, and the jobs that it waits for."""

    queue: Queue
    jobs: list[AwaitedUnit] = field(default_factory=list)


class AwaitedUnit(Protocol):
    """A job, or the jobs of a batch, that a processor waits for."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def queue(self) -> Queue:
        """Its queue."""

    @property
    def state(self) -> str:
        """Its state now."""


class Blocked:
    """The attempts of all queues whose processors wait for other jobs of these queues.

    Workers of other processes are known to exist, and not what their processors wait for: a
    circle that goes through several processes is not found.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._waiting: dict[Attempt, _Wait] = {}
        self._version = 0
        self._stuck: tuple[int, float, frozenset[str]] = (-1, 0.0, frozenset())

    def count(self, queue: Queue) -> int:
        """Return how many attempts of a queue wait.

        One that took too long is not among them: its thread was replaced.
        """
        return len(self._of(queue))

    def _of(self, queue: Queue) -> list[_Wait]:
        waiting = list(self._waiting.items())
        return [wait for one, wait in waiting if wait.queue is queue and not one.settled]

    def _run_by(self, job: AwaitedUnit) -> list[_Wait]:
        """Return the attempt that runs a job, if that waits itself."""
        waiting = list(self._waiting.items())
        return [wait for one, wait in waiting if one.claim.id == job.id and not one.settled]

    @contextmanager
    def waiting(
        self, queue: Queue, attempt: Attempt, job: AwaitedUnit
    ) -> Iterator[Callable[[], None]]:
        """Count an attempt of a queue that waits for a job, and yield the check of that.

        The check raises where no thread is left to run the job. It does so for one attempt at a
        time, whose thread then runs the jobs that the others wait for.
        """
        with self._lock:
            self._waiting.setdefault(attempt, _Wait(queue)).jobs.append(job)
            self._version += 1

        def check() -> None:
            while (error := self._deadlock(job)) is not None:
                with self._lock:
                    version, _, stuck = self._stuck
                    if version == self._version and job.id in stuck:
                        if self._waiting.pop(attempt, None) is None:
                            return  # the attempt was told for another of its jobs
                        self._version += 1
                        raise error

        try:
            yield check
        finally:
            with self._lock:
                self._version += 1
                wait = self._waiting.get(attempt)
                if wait is not None and job in wait.jobs:
                    wait.jobs.remove(job)
                    if not wait.jobs:
                        del self._waiting[attempt]

    @contextmanager
    def waiting_here(self, queue: Queue, job: AwaitedUnit) -> Iterator[Callable[[], None] | None]:
        """Count the caller if it is a processor of these queues, and yield the check of that.

        Parameters
        ----------
        queue, job
            The queue of what is waited for, and that.
        """
        caller = PROCESSED.get()
        attempt = None if caller is None else caller._hold  # noqa: SLF001 - a job's own
        if caller is None or attempt is None or caller.queue.queues is not queue.queues:
            yield None
            return
        with self.waiting(caller.queue, attempt, job) as check:
            yield check

    def _deadlock(self, job: AwaitedUnit) -> RejectedError | None:
        """Return the error of a processor that waits for a job which no thread is left to run."""
        queue, worker = job.queue, job.queue.worker
        holders = self._of(queue)
        if worker is None or len(holders) < worker.concurrency or self._run_by(job):
            return None
        if not self._is_stuck(job):
            return None
        own = all(one.queue is queue for wait in holders for one in wait.jobs)
        others = "other jobs of this queue" if own else "jobs that wait in turn"
        instead = "add it to another queue, or use" if own else "use"
        return RejectedError(
            f"job {job.id} of {queue.name} cannot start: all threads of its worker "
            f"({worker.concurrency}) wait for {others}",
            service="queue",
            hint=f"{instead} more threads: hub.queue({queue.name!r})"
            f".work(concurrency={2 * worker.concurrency}) "
            f"(%queue work {queue.name} --concurrency {2 * worker.concurrency})",
        )

    def _is_stuck(self, job: AwaitedUnit) -> bool:
        """Return whether a job cannot start; what is known is kept for a moment."""
        version, until, stuck = self._stuck
        if version != self._version or monotonic() > until or job.id not in stuck:
            version = self._version
            stuck = self._stuck_with(job)
            self._stuck = version, monotonic() + _KEPT_SECONDS, stuck
        return job.id in stuck

    def _stuck_with(self, job: AwaitedUnit) -> frozenset[str]:
        """Return the jobs that cannot start, of one and those that its queue's threads wait for."""
        alone: dict[str, bool] = {}
        holders: dict[str, list[_Wait]] = {}
        ahead = {job.id: job}
        while ahead:
            _, one = ahead.popitem()
            held = self._run_by(one) or self._full(one, alone)
            if held is not None:
                holders[one.id] = held
                found = {other.id: other for wait in held for other in wait.jobs}
                ahead |= {id_: other for id_, other in found.items() if id_ not in holders}
        # A thread is free in the end if none of its jobs is stuck; so is the job that it then runs.
        while free := [
            id_
            for id_, held in holders.items()
            if any(all(other.id not in holders for other in wait.jobs) for wait in held)
        ]:
            for id_ in free:
                del holders[id_]
        return frozenset(holders)

    def _full(self, job: AwaitedUnit, alone: dict[str, bool]) -> list[_Wait] | None:
        """Return the attempts that hold all threads which could run a job; None if not all."""
        queue, worker = job.queue, job.queue.worker
        if worker is None:
            return None
        held = self._of(queue)
        if len(held) < worker.concurrency or job.state != "waiting":
            return None
        if queue.name not in alone:
            alone[queue.name] = not {one.owner for one in queue.workers()} - {worker.owner}
        return held if alone[queue.name] else None
