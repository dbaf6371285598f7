"""A worker: threads of this process that process the jobs of a queue."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.errors import AgentnbError, DeadlineExceeded
from agentnb.core.queue.alarm import Alarm
from agentnb.core.ranges import end_of, seconds
from agentnb.core.work.identity import describe, new_owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue.queue import Queue

__all__ = ["Worker"]

_LOOK = 0.05
_KNOWN = 1.0  # seconds; a server that is away is waited for no longer


class Worker:
    """The worker of a queue in this process; made by `Queue.work`.

    Parameters
    ----------
    queue
        The queue.
    concurrency
        How many jobs run at once.
    """

    def __init__(self, queue: Queue, concurrency: int) -> None:
        self.queue = queue
        self.concurrency = concurrency
        self.owner = new_owner()
        self._alarm = Alarm()
        self._turning = threading.Lock()  # held while it starts or stops
        self._consumer: Any = None

    @property
    def name(self) -> str:
        """Return its process's id and a few letters, as `WorkerInfo` has them."""
        return describe(self.owner)

    def start(self) -> None:
        """Begin to take jobs."""
        with self._turning:
            self._start()
        # Whoever asks who works on the queue now is told of this one.
        self._consumer.tender.looked.wait(_KNOWN)
        stamp = self.queue.tell.of(concurrency=self.concurrency, worker=self.name)
        self.queue.log.info("worker started", extra=stamp)

    def _start(self) -> None:
        storage = self.queue.huey.storage
        storage.owner, storage.alarm = self.owner, self._alarm
        # The first look makes the worker known, and frees what a dead one has left.
        self._consumer = self.queue.huey.create_consumer(workers=self.concurrency)
        self._consumer.start()

    @property
    def running(self) -> bool:
        """Whether it takes jobs."""
        return self._consumer is not None and not self._alarm.stopped

    @property
    def busy(self) -> int:
        """How many jobs run here now."""
        return sum(
            attempt.owner == self.owner
            for attempt in list(self.queue.huey.storage.running.values())
        )

    def stop(self, timeout: float = 30.0) -> bool:
        """Take no more jobs, and wait for those that run; what does not end is handed back.

        What was handed back runs elsewhere, or here when there is a worker again, and the attempt
        is not counted. Its thread may run on, and what comes of it does not count.

        Parameters
        ----------
        timeout
            Seconds to wait for what runs.

        Returns
        -------
        bool
            Whether everything ended by itself.
        """
        with self._turning:
            return self._stop(timeout) if self.running else True

    def _stop(self, timeout: float) -> bool:
        until = monotonic() + seconds("timeout", timeout, service="queue", zero=True)
        consumer, storage = self._consumer, self.queue.huey.storage
        consumer.stop_flag.set()
        self._stop_listening()
        # Until they have ended their leases are renewed.
        for _, thread in consumer.worker_threads:
            thread.join(max(until - monotonic(), 0.0))
        left = [one for one in list(storage.running.values()) if one.owner == self.owner]
        for attempt in left:
            self.queue.log.warning("job is handed back", extra=self.queue.tell.of(attempt.job))
            with suppress(AgentnbError):  # then its lease ends by itself
                storage.hand_back(attempt)
            attempt.lose()
        with suppress(AgentnbError):  # as above
            storage.hand_back_ahead()
        self._alarm.stop()
        consumer.scheduler.join(max(until - monotonic(), 1.0))
        with suppress(AgentnbError):
            self.queue.store.forget_worker(self.owner)
        self.queue.log.info("worker stopped", extra=self.queue.tell.of(worker=self.name))
        return not left

    def _stop_listening(self) -> None:
        """Wake the threads that listen to the bell; each wakes once, and sees that it is over."""
        with suppress(AgentnbError):  # those who listen notice by themselves, a little later
            self.queue.store.ring(self._alarm.name, self.concurrency)

    def drain(
        self,
        timeout: float | None = None,
        *,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> int:
        """Wait until no job waits, runs or is delayed, whoever works on them.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        on_progress
            Called with how many have ended and how many there are, whenever that changes.

        Returns
        -------
        int
            How many ended meanwhile.

        Raises
        ------
        DeadlineExceeded
            There are still some.
        """
        queue = self.queue
        queue.loop.check()
        until = end_of(timeout, service="queue")
        told: tuple[int, int] | None = None
        first: int | None = None
        while True:
            counts = queue.counts()
            ended = counts.ended
            first = ended if first is None else first
            left = counts.left
            now = (ended - first, ended - first + left)
            if on_progress is not None and now != told:
                told = now
                on_progress(*now)
            if not left:
                return now[0]
            if until is not None and monotonic() >= until:
                raise DeadlineExceeded(
                    f"{left} jobs of {queue.name} have not ended within {timeout:g} s",
                    service="queue",
                    hint=queue.why_waiting() or f"%queue jobs {queue.name} shows them",
                )
            sleep(_LOOK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        if not self.running:
            return f"Worker({self.queue.name!r}, stopped)"
        busy = self.busy
        what = f"{busy} running" if busy else "idle"
        threads = "1 thread" if self.concurrency == 1 else f"{self.concurrency} threads"
        return f"Worker({self.queue.name!r}, {threads}, {what})"
