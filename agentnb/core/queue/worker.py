"""The worker of a queue in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import DeadlineExceeded
from agentnb.core.keywords import refuse_unknown
from agentnb.core.work import worker as engine
from agentnb.core.work.executors.words import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor

    from agentnb.core.loop import LoopThread
    from agentnb.core.queue.claims import RedisWorkStore
    from agentnb.core.queue.handler import JobHandler
    from agentnb.core.queue.queue import Queue
    from agentnb.core.work.store import Pending

__all__ = ["Worker"]


@refuse_unknown("queue")
class Worker(engine.Worker):
    """The worker of a queue in this process; made by `Queue.work`.

    Parameters
    ----------
    queue
        The queue.
    store
        Keeps its jobs.
    handler
        Runs them.
    loop
        Runs coroutine functions.
    executor
        The executor that it was made with, or its word.
    **options
        As the engine's worker takes them.

    Attributes
    ----------
    queue
        The queue.
    executor
        Where attempts run: ``threads``, another word, or the executor.
    """

    def __init__(
        self,
        queue: Queue,
        store: RedisWorkStore,
        handler: JobHandler,
        *,
        loop: LoopThread,
        executor: Executor | str = THREADS,
        **options: Any,
    ) -> None:
        super().__init__(store, handler, loop=loop, **options)
        self.queue = queue
        self.executor = executor
        self._loop = loop

    @property
    def running(self) -> bool:
        """Whether the worker claims jobs."""
        return self.working

    def look(self) -> None:
        """Look now whether a job that runs here was cancelled."""
        if self.running:
            super().look()

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
        self._loop.check()
        return self._run(self._drained(timeout, on_progress))

    async def adrain(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the twin of drain
        *,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> int:
        """Await `drain`."""
        return await self._arun(self._drained(timeout, on_progress))

    def _drained(
        self, timeout: float | None, on_progress: Callable[[int, int], object] | None
    ) -> Generator[engine.WaitStep, Any, int]:
        queue = self.queue
        seen: list[Pending] = []

        def report(pending: Pending) -> None:
            seen.append(pending)
            ended = pending.ended - seen[0].ended
            if on_progress is not None:
                on_progress(ended, ended + pending.left)
            del seen[1:]

        try:
            pending = yield from self._emptied(timeout, report)
        except DeadlineExceeded as error:
            why = yield queue.why_waiting
            raise DeadlineExceeded(
                error.message.replace(" jobs ", f" jobs of {queue.name} ", 1),
                service="queue",
                hint=why
                or f"hub.queue({queue.name!r}).search() (%queue jobs {queue.name}) shows them",
            ) from error
        return pending.ended - seen[0].ended

    def __repr__(self) -> str:
        return f"Worker({self.queue.name!r}, {self._activity})"
