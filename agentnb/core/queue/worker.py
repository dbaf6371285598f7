"""The worker of a queue in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from agentnb.core.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.queue.queue import Queue
    from agentnb.core.work.store import Pending
    from agentnb.core.work.worker import Worker as Engine

__all__ = ["Worker"]


class Worker:
    """The worker of a queue in this process; made by `Queue.work`.

    Parameters
    ----------
    queue
        The queue.
    engine
        Claims and runs its jobs.
    loop
        Runs coroutine functions.

    Attributes
    ----------
    queue
        The queue.
    """

    def __init__(self, queue: Queue, engine: Engine, loop: LoopThread) -> None:
        self.queue = queue
        self._engine = engine
        self._loop = loop

    @property
    def concurrency(self) -> int:
        """How many jobs run at once."""
        return self._engine.concurrency

    @property
    def owner(self) -> str:
        """The identity of the worker, in full."""
        return self._engine.owner

    @property
    def name(self) -> str:
        """The id of its process and a few letters, as `WorkerInfo` has them."""
        return self._engine.name

    @property
    def running(self) -> bool:
        """Whether it claims jobs."""
        return self._engine.working

    @property
    def busy(self) -> int:
        """How many jobs run here now."""
        return self._engine.busy

    def start(self) -> None:
        """Begin to claim jobs."""
        self._engine.start()

    def look(self) -> None:
        """Look now whether a job that runs here was cancelled."""
        if self.running:
            self._engine.look()

    def stop(self, timeout: float = 30.0) -> bool:
        """Claim no more jobs, and wait for those that run; the ones that do not end are released.

        A released job runs elsewhere, or here when there is a worker again, and the attempt is
        not counted. Its thread may run on; its outcome does not count.

        Parameters
        ----------
        timeout
            Seconds to wait for what runs.

        Returns
        -------
        bool
            Whether everything ended by itself.
        """
        return self._engine.stop(timeout)

    def drain(
        self,
        timeout: float | None = None,
        *,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> int:
        """Wait until the queue is empty: no job waits, runs or is delayed, here or elsewhere.

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
        self._loop.check()
        seen: list[Pending] = []

        def report(pending: Pending) -> None:
            seen.append(pending)
            ended = pending.ended - seen[0].ended
            if on_progress is not None:
                on_progress(ended, ended + pending.left)
            del seen[1:]

        try:
            pending = self._engine.wait_until_empty(timeout, on_progress=report)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(
                error.message.replace(" jobs ", f" jobs of {queue.name} ", 1),
                service="queue",
                hint=queue.why_waiting() or f"%queue jobs {queue.name} shows them",
            ) from error
        return pending.ended - seen[0].ended

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
