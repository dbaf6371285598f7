"""The transaction that ``%db begin`` opens for the cells that follow."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.db import Database, Transaction

__all__ = ["IDLE_SECONDS", "Held"]

IDLE_SECONDS = 300.0


class Held:
    """A transaction held open between cells, rolled back when nobody uses it any more.

    Parameters
    ----------
    database
        Where it is begun.
    on_end
        Called once it has ended, however it ended.
    idle
        Seconds without use after which it is rolled back: it may hold others up.
    """

    def __init__(
        self, database: Database, *, on_end: Callable[[], object], idle: float = IDLE_SECONDS
    ) -> None:
        self._context = database.transaction()
        self._transaction: Transaction = self._context.__enter__()
        self._database = database
        self._on_end = on_end
        self._idle = idle
        self._lock = threading.RLock()
        self._ended = ""
        self._timer = self._start()

    def _start(self) -> threading.Timer:
        timer = threading.Timer(self._idle, self._expire)
        timer.daemon = True
        timer.start()
        return timer

    def _expire(self) -> None:
        self._database.log.warning("transaction rolled back after %s s idle", self._idle)
        self._end(f"it was idle for {self._idle:.0f} s", self._transaction.rollback)

    @contextmanager
    def used(self) -> Iterator[Transaction]:
        """Lend the transaction to a cell; the idle time starts again afterwards."""
        with self._lock:
            if self._ended:
                raise UsageError(f"the transaction has ended: {self._ended}", service="db")
            self._timer.cancel()
            try:
                yield self._transaction
            finally:
                self._timer = self._start()

    def commit(self) -> None:
        """Make it last."""
        self._end("it was committed", self._transaction.commit)

    def rollback(self) -> None:
        """Undo it."""
        self._end("it was rolled back", self._transaction.rollback)

    def _end(self, why: str, action: Callable[[], None]) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = why
            self._timer.cancel()
            try:
                action()
            finally:
                # The transaction is over by now, whichever way: this returns its connection.
                self._transaction.open = False
                self._close()
                self._on_end()

    def _close(self) -> None:
        try:
            self._context.__exit__(GeneratorExit, GeneratorExit(), None)
        except GeneratorExit:
            return
