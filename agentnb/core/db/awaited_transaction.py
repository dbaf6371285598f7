"""A transaction that an event loop awaits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.background import run_in_thread
from agentnb.core.db.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from agentnb.core.db.awaited import StatementThreads
    from agentnb.core.db.transaction import TransactionRunner

__all__ = ["AwaitedTransaction"]


class AwaitedTransaction:
    """Enters and leaves a transaction in threads: an ``async with`` block.

    Its statements have a thread of their own, or those that wait for a connection could hold
    all threads of the database, and the transactions that have the connections would never end.

    Parameters
    ----------
    begin
        Returns the transaction's block; called in a thread.
    threads
        The threads of the database.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[TransactionRunner]],
        threads: StatementThreads,
    ) -> None:
        self._begin = begin
        self._threads = threads
        self._own = threads.alone()
        self._block: AbstractContextManager[TransactionRunner] | None = None

    async def __aenter__(self) -> Transaction:
        try:
            runner = await self._threads.run(self._entered)
        except BaseException as error:
            if self._block is not None:  # cancelled once it had begun
                await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return Transaction(runner)

    def _entered(self) -> TransactionRunner:
        block = self._begin()
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
