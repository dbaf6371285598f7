"""A worker: threads of this process that run the units of work of one store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from agentnb.core import sansio
from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import leave
from agentnb.core.errors import AgentnbError, DeadlineExceeded
from agentnb.core.forking import ForkGuard, new_lock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import end_of, seconds
from agentnb.core.twins import twin
from agentnb.core.work.company import of_process
from agentnb.core.work.executors.words import THREADS
from agentnb.core.work.identity import describe, new_owner
from agentnb.core.work.lease import LeaseKeeper
from agentnb.core.work.stopping import run_until_stopped
from agentnb.core.work.store import WorkerInfo
from agentnb.core.work.threads import WorkerThreads

if TYPE_CHECKING:
    import logging
    from collections.abc import Generator

    from agentnb.core.loop import LoopThread
    from agentnb.core.work.attempt import WorkHandler
    from agentnb.core.work.executors.near import Elsewhere
    from agentnb.core.work.store import Pending, WorkStore

__all__ = ["DEFAULT_CONCURRENCY", "MOST_CONCURRENCY", "WaitStep", "Worker"]

DEFAULT_CONCURRENCY = 5
"""The default number of units that a worker runs at once."""
MOST_CONCURRENCY = 1000
_LOOK_SECONDS = 0.05
_CALLS = 2  # awaited calls that run at once
WaitStep = Callable[[], Any] | float
"""A step of a wait: a call of the store, or seconds."""
T = TypeVar("T")
_FIRST_LOOK_SECONDS = 1.0


@refuse_unknown("work")
class Worker:
    """The worker of a store in this process.

    Parameters
    ----------
    store
        Keeps the units of work.
    handler
        Runs them.
    loop
        Runs the coroutines of attempts.
    log
        Logger of the worker and its outages.
    concurrency
        How many units run at once.
    kind
        ``kernel``, or ``process`` for a worker process.
    elsewhere
        Runs the attempts by an executor; None for the threads of this process.
    """

    def __init__(
        self,
        store: WorkStore,
        handler: WorkHandler,
        *,
        loop: LoopThread,
        log: logging.Logger | logging.LoggerAdapter[Any],
        concurrency: int = DEFAULT_CONCURRENCY,
        kind: str = "kernel",
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.concurrency = concurrency
        self.kind = kind
        self.owner = new_owner()
        self.elsewhere = elsewhere
        self._store = store
        self._handler = handler
        self._log = log
        self._call_threads = CallThreads(f"{handler.noun}-worker", _CALLS)
        self._turning = new_lock()  # held while it begins to stop
        self._company = of_process()
        self._shared = False
        self._place = THREADS
        self._since = 0.0
        self._fork = ForkGuard()
        self._threads = WorkerThreads(
            store,
            handler,
            self.owner,
            gate=self._company.gate,
            loop=loop,
            on_due=self._set_due,
            elsewhere=elsewhere is not None,
            log=log,
        )
        self._keeper = LeaseKeeper(
            store,
            handler,
            self.owner,
            self._threads.running,
            end_overdue=self._threads.end_overdue,
            log=log,
        )

    def _set_due(self, due: float) -> None:
        self._keeper.set_due(due)

    @property
    def name(self) -> str:
        """The id of its process and a few letters, as tables of workers show it."""
        return describe(self.owner)

    @property
    def working(self) -> bool:
        """Whether the worker claims units, in this process."""
        return self._threads.started and not self._fork.forked

    @property
    def busy(self) -> int:
        """How many units run here now."""
        return sum(not one.settled for one in list(self._threads.running.values()))

    @property
    def _activity(self) -> str:
        """The number of threads and of units that run, as text."""
        if not self.working:
            return "stopped"
        threads = "1 thread" if self.concurrency == 1 else f"{self.concurrency} threads"
        if self.elsewhere is not None:
            threads = f"{self.concurrency} by {self.elsewhere}"
        busy = self.busy
        return f"{threads}, {busy} running" if busy else f"{threads}, idle"

    def start(self) -> None:
        """Begin to claim units.

        Raises
        ------
        AgentnbError
            The store cannot record the worker, or attempts cannot run by the executor.
        """
        if self.elsewhere is not None:
            try:
                self.elsewhere.check()
            except BaseException:
                self.elsewhere.close()
                raise
            # Once: a cluster is asked for its size.
            self._place = str(self.elsewhere)
        self._since = time()
        self._join()
        self._keeper.start()
        self._threads.start(self.concurrency)
        # The first look makes the worker known to others. A server that is away is left alone.
        self._keeper.looked.wait(_FIRST_LOOK_SECONDS)
        stamp = self._handler.stamp(worker=self.name, concurrency=self.concurrency)
        self._log.info("worker started", extra=stamp)

    def _join(self) -> None:
        """Record the worker, and in those of the process that they are no longer alone."""
        for other in self._company.join(self):
            self._shared = True
            other._note_company()  # noqa: SLF001 - of this class
        try:
            self._store.join(self.owner, self._about())
            if self._shared:
                self._record()  # a store may leave that to the first heartbeat, after a claim
        except BaseException:
            self._company.leave(self)
            if self.elsewhere is not None:
                self.elsewhere.close()
            raise

    def _about(self) -> WorkerInfo:
        return WorkerInfo(
            self.concurrency, self.kind, self._shared, self._place, started=self._since
        )

    def _note_company(self) -> None:
        """Record that the process has other workers, before the first of them claims a unit."""
        if self._shared:
            return
        self._shared = True
        if not self._threads.stopping:
            self._record()

    def _record(self) -> None:
        with suppress(AgentnbError):  # the next heartbeat records it
            self._keeper.record(self._about())

    def look(self) -> None:
        """Renew the leases now, and look for attempts that were cancelled."""
        self._keeper.look()

    def stop(self, timeout: float = 30.0) -> bool:
        """Claim nothing more, and wait for what runs; release what does not end.

        A released unit runs elsewhere, or here when there is a worker again, and the attempt is
        not counted. Its thread may run on; its outcome does not count. A unit that stops its own
        worker is not waited for and not released: it ends as usual. In a forked child, which has
        none of the threads, nothing is done.

        Parameters
        ----------
        timeout
            Seconds to wait for what runs.

        Returns
        -------
        bool
            Whether everything ended by itself.
        """
        wait = seconds("timeout", timeout, service=self._handler.service, zero=True)
        with self._turning:
            if not self.working:
                return True
            self._threads.stopping = True
        ended = self._threads.stop(monotonic() + wait)
        # A unit that stops its own worker keeps its lease until its end.
        if not self._threads.call_at_end(self._leave):
            self._leave()
        return ended

    def run(self, grace: float = 30.0) -> bool:
        """Work until SIGTERM or SIGINT, as ``agentnb worker`` does, and stop.

        The first signal claims nothing more and lets what runs end; the rest is released. A
        second one ends the process at once. It returns as well once the worker was stopped.
        `Hub.run_workers` does so for several workers.

        Parameters
        ----------
        grace
            Seconds for what runs.

        Returns
        -------
        bool
            Whether everything ended by itself.

        Raises
        ------
        UsageError
            This is not the main thread.
        """
        return run_until_stopped([self], grace, service=self._handler.service)

    def _leave(self) -> None:
        self._company.leave(self)
        self._keeper.stop()
        if self.elsewhere is not None:
            self.elsewhere.close()
        with suppress(AgentnbError):  # its lease ends by itself
            self._store.leave(self.owner)
        self._log.info("worker stopped", extra=self._handler.stamp(worker=self.name))

    def wait_until_empty(
        self,
        timeout: float | None = None,
        *,
        on_progress: Callable[[Pending], object] | None = None,
    ) -> Pending:
        """Wait until no unit waits, runs or is delayed, here or in other workers.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        on_progress
            Called with how many are left and how many have ended, whenever that changes.

        Raises
        ------
        DeadlineExceeded
            Some are left.
        """
        return self._run(self._emptied(timeout, on_progress))

    async def await_until_empty(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the twin of wait_until_empty
        *,
        on_progress: Callable[[Pending], object] | None = None,
    ) -> Pending:
        """Await `wait_until_empty`."""
        return await self._arun(self._emptied(timeout, on_progress))

    def run_until_idle(self, timeout: float | None = None) -> Pending:
        """Work until no unit waits or runs, here or in other workers; delayed ones are left.

        The worker goes on. In a test, `agentnb.testing.run_until_idle` does so for all queues and
        agents of a hub in the thread of the test, and may skip delays.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.

        Returns
        -------
        Pending
            How many are left, all of them delayed.

        Raises
        ------
        DeadlineExceeded
            Some wait or run.
        """
        return self._run(self._emptied(timeout, left=_due))

    async def arun_until_idle(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the twin of run_until_idle
    ) -> Pending:
        """Await `run_until_idle`."""
        return await self._arun(self._emptied(timeout, left=_due))

    def _emptied(
        self,
        timeout: float | None,
        on_progress: Callable[[Pending], object] | None = None,
        *,
        left: Callable[[Pending], int] = lambda pending: pending.left,
    ) -> Generator[WaitStep, Any, Pending]:
        """Yield the steps of a wait until none is left: calls of the store, and seconds."""
        until = end_of(timeout, service=self._handler.service)
        told: Pending | None = None
        while True:
            pending: Pending = yield self._store.pending
            if on_progress is not None and pending != told:
                told = pending
                on_progress(pending)
            if not left(pending):
                return pending
            if until is not None and monotonic() >= until:
                handler = self._handler
                raise DeadlineExceeded(
                    f"{left(pending)} {handler.noun}s have not ended within {timeout:g} s",
                    service=handler.service,
                    hint="wait longer; they go on meanwhile",
                )
            yield _LOOK_SECONDS

    def _run(self, steps: Generator[WaitStep, Any, T]) -> T:
        return sansio.run(steps, lambda step: step() if callable(step) else sleep(step))

    async def _arun(self, steps: Generator[WaitStep, Any, T]) -> T:
        async def do(step: WaitStep) -> Any:
            if callable(step):
                return await self._call_threads.call(step)
            return await asyncio.sleep(step)

        return await sansio.arun(steps, do)

    astop = twin(stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.stop)


def _due(pending: Pending) -> int:
    """Return how many units wait or run."""
    return pending.left - pending.delayed
