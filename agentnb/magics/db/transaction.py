"""The transaction that ``%db begin`` opens for the cells that follow."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.db import Transaction
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.forking import new_rlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.db import Session
    from agentnb.core.db.transaction import TransactionRunner

__all__ = ["IDLE_SECONDS", "HeldTransaction"]

IDLE_SECONDS = 300.0
_AFTER_ERROR = "%db rollback: no statement runs before that"


class HeldTransaction:
    """A transaction held open between cells, rolled back after a time without use.

    The next use of one that was rolled back is an error once, before a statement runs that
    would otherwise be committed at once.

    Parameters
    ----------
    session
        The session that it is begun in.
    on_end
        Called once it has ended and the user was told.
    idle
        Seconds without use after which it is rolled back, since it may block others;
        default: `IDLE_SECONDS`.
    """

    def __init__(
        self, session: Session, *, on_end: Callable[[], object], idle: float | None = None
    ) -> None:
        # Without a span: it goes on behind its cell, and its statements are below theirs.
        self._context = session.access.begun(session.access.deadline(None))
        self._transaction = Transaction(self._context.__enter__())
        self._log = session.access.log
        self._on_end = on_end
        self._idle = IDLE_SECONDS if idle is None else idle
        self._lock = new_rlock()
        self._expired = False
        self.open = True
        self._timer = self._start()

    @property
    def runner(self) -> TransactionRunner:
        """The runner of its statements."""
        return self._transaction.access

    @property
    def state(self) -> str:
        """Return how it is, in a few words."""
        return "in a transaction" if self.open else f"rolled back: {self._why}"

    @property
    def _why(self) -> str:
        return f"idle for {self._idle:g} s"

    def _start(self) -> threading.Timer:
        timer = threading.Timer(self._idle, lambda: self._expire(timer))
        timer.daemon = True
        timer.start()
        return timer

    def _expire(self, timer: threading.Timer) -> None:
        with self._lock:
            # It may have waited here for a cell that has used the transaction since.
            if timer is not self._timer or not self.open:
                return
            self._expired = True
            self._log.warning("transaction rolled back: %s", self._why)
            self._end(self._transaction.rollback)

    @contextmanager
    def used(self) -> Iterator[Transaction]:
        """Lend the transaction to a cell; the idle time starts again afterwards.

        Raises
        ------
        UsageError
            It was rolled back meanwhile. The next call finds none.
        """
        with self._lock:
            self._check()
            self._timer.cancel()
            try:
                yield self._transaction
            except AgentnbError as error:
                if self._transaction.failed:
                    error.advise(_AFTER_ERROR)
                raise
            finally:
                self._timer = self._start()

    def _check(self) -> None:
        if self.open:
            return
        self._on_end()
        if self._expired:
            raise UsageError(
                f"the transaction was rolled back: {self._why}",
                service="db",
                hint="nothing since %db begin was kept; begin again, "
                "or run this once more to have it committed at once",
            )
        raise UsageError("the transaction has ended", service="db", hint="%db begin")

    def commit(self) -> None:
        """Make it last.

        Raises
        ------
        UsageError
            It was rolled back meanwhile.
        """
        with self._lock:
            self._check()
            try:
                self._end(self._transaction.commit)
            finally:
                self._on_end()

    def rollback(self) -> None:
        """Undo it, if that has not been done."""
        with self._lock:
            try:
                if self.open:
                    self._end(self._transaction.rollback)
            finally:
                self._on_end()

    def _end(self, action: Callable[[], None]) -> None:
        self.open = False
        self._timer.cancel()
        try:
            action()
        finally:
            # The transaction has ended, by success or failure: this returns its connection.
            self._close()

    def _close(self) -> None:
        try:
            self._context.__exit__(GeneratorExit, GeneratorExit(), None)
        except GeneratorExit:
            return
