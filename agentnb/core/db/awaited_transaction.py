"""A transaction that an event loop awaits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from agentnb.core.background import run_in_thread
from agentnb.core.db.transaction import Transaction

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from agentnb.core.db.awaited import StatementThreads
    from agentnb.core.db.transaction import TransactionRunner
    from agentnb.core.resilience import Deadline
    from agentnb.core.trace.spans import Span

__all__ = ["AwaitedTransaction"]


class Runner(Protocol):
    """Begins transactions."""

    def deadline(self, timeout: float | None) -> Deadline:
        """Return the deadline of a statement."""

    def transaction_span(self) -> Span:
        """Return the span of a transaction."""

    def begun(self, deadline: Deadline) -> AbstractContextManager[TransactionRunner]:
        """Run a block in a transaction of its own."""


class AwaitedTransaction:
    """Enters and leaves a transaction in threads: an ``async with`` block.

    Its statements have a thread of their own, or those that wait for a connection could hold
    all threads of the database, and the transactions that have the connections would never end.

    Parameters
    ----------
    runner
        Begins the transaction.
    threads
        The threads of the database.
    timeout
        As `Database.transaction` takes it.
    """

    def __init__(self, runner: Runner, threads: StatementThreads, timeout: float | None) -> None:
        self._runner = runner
        self._threads = threads
        self._timeout = timeout
        self._own = threads.alone()
        self._block: AbstractContextManager[TransactionRunner] | None = None
        self._span = runner.transaction_span()

    async def __aenter__(self) -> Transaction:
        # Made here: it counts from the call, also while the call waits for a thread.
        deadline = self._runner.deadline(self._timeout)
        self._span.__enter__()  # here, and not in the thread: the statements are below it
        try:
            runner = await self._threads.within(deadline, partial(self._entered, deadline))
        except BaseException as error:
            # It may have been cancelled once it had begun.
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return Transaction(runner)

    def _entered(self, deadline: Deadline) -> TransactionRunner:
        block = self._runner.begun(deadline)
        runner = block.__enter__()
        runner.threads = self._own
        self._block = block
        return runner

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._leave(kind, error, trace)
        except BaseException as own:
            self._span.__exit__(type(own), own, own.__traceback__)
            raise
        self._span.__exit__(kind, error, trace)

    async def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the transaction, if it has begun."""
        block, self._block = self._block, None
        if block is None:
            return

        def leave() -> None:
            block.__exit__(kind, error, trace)

        try:
            if isinstance(error, GeneratorExit):  # there is no loop to await it on
                run_in_thread(leave, name="db-rollback")
            else:
                await self._own.settled(leave)
        finally:
            self._own.close()
