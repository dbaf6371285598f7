"""One connection that lasts: what a statement sets there holds for the next one."""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.callthreads import current_call
from agentnb.core.closing import aleave, leave
from agentnb.core.db import copying
from agentnb.core.db.awaited import acquire
from agentnb.core.db.awaited_transaction import AwaitedTransaction
from agentnb.core.db.executor import Executor
from agentnb.core.db.runner import Runner
from agentnb.core.db.state import Leaves
from agentnb.core.db.transaction import Transaction, begun
from agentnb.core.errors import UnavailableError, UsageError
from agentnb.core.forking import ForkGuard, new_lock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from sqlalchemy import Connection

    from agentnb.core.callthreads import AwaitedCall
    from agentnb.core.db.backend import Watch
    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.database import DatabaseRunner
    from agentnb.core.db.result import Result
    from agentnb.core.db.text import Statement
    from agentnb.core.db.transaction import TransactionRunner
    from agentnb.core.errors import AgentnbError
    from agentnb.core.resilience import Deadline

__all__ = ["IDLE_SECONDS", "Session", "SessionRunner"]

IDLE_SECONDS = 900.0
# A session with settings or temporary tables of somebody's is kept for a working day.
KEPT_SECONDS = 8 * 3600.0


@refuse_unknown("db")
class Session(Executor):
    """A connection of its own: SET, roles, temporary tables, ATTACH and locks last.

    Made by `Database.session`. Thread-safe: one statement at a time, in turn. It takes its
    connection at its first statement. A database that allows one connection only (SQLite in
    memory, ``connection_limit=1``) shares that one with its session.

    Examples
    --------
    >>> from agentnb.core.db import Database
    >>> with Database("sqlite://") as db, db.session() as session:
    ...     _ = session.execute("create temp table mine as select 42 as n")
    ...     session.query("select n from mine").scalar()
    42
    """

    access: SessionRunner

    @property
    def open(self) -> bool:
        """Whether the session holds a connection."""
        return self.access.open

    @property
    def has_state(self) -> bool:
        """Whether a statement may have left settings, temporary tables or locks in it."""
        return self.access.has_state

    @contextmanager
    def transaction(self, *, timeout: float | None = None) -> Iterator[Transaction]:
        """Run a block in one transaction of this session; see `Database.transaction`."""
        deadline = self.access.deadline(timeout)
        with self.access.transaction_span(), self.access.begun(deadline) as runner:
            yield Transaction(runner)

    def atransaction(
        self, *, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """Await a block in one transaction of this session; see `Database.atransaction`."""
        access = self.access
        return AwaitedTransaction(access, access.threads, timeout)

    def reset(self) -> None:
        """Give the connection back; the next statement starts with a new session.

        A running statement ends first.
        """
        self.access.reset()

    def close(self) -> None:
        """Give the connection back and refuse further statements."""
        self.access.close()

    areset = twin(reset)
    aclose = twin(close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"Session({self.access.database!r})"


class SessionRunner(Runner):
    """Runs statements on one connection, which it keeps.

    Parameters
    ----------
    database
        The database.
    idle
        Seconds without use after which the connection is returned if nothing was set in it,
        else after eight hours; None for never.
    """

    def __init__(self, database: DatabaseRunner, *, idle: float | None = IDLE_SECONDS) -> None:
        if idle is not None:
            hint = "idle=300, or None to keep the connection"
            idle = seconds("idle", idle, service="db", hint=hint)
        self.database = database
        self.backend = database.backend
        self.name = database.name
        self.rows = database.rows
        self.timeout = database.timeout
        self.max_bytes = database.max_bytes
        self.tracer = database.tracer
        self.redactor = database.redactor
        self.log = database.log
        self.threads = database.threads
        self._idle = idle
        self._start_anew()
        self._lost = ""
        self._closed = False

    def _start_anew(self) -> None:
        self._fork = ForkGuard()
        self._lock = new_lock()
        self._owner: AwaitedCall | int | None = None
        self._stack = ExitStack()
        # Without `close`, the connection goes back when the session is forgotten.
        weakref.finalize(self, self._stack.close).atexit = False
        self._connection: Connection | None = None
        self._leaves = Leaves.NOTHING
        self._dropping = False
        self._used = time.monotonic()
        self._timer: threading.Timer | None = None

    @property
    def open(self) -> bool:
        """Return whether it holds a connection."""
        return self._connection is not None and not self._fork.forked

    @property
    def has_state(self) -> bool:
        """Return whether a statement may have left settings, temporary tables or locks in it."""
        return self._leaves > Leaves.NOTHING

    def settle(self, connection: Connection) -> None:
        """Make a single statement's effect last."""
        self.backend.settle(connection)

    def begun(
        self, deadline: Deadline, *, folded: bool = False
    ) -> AbstractContextManager[TransactionRunner]:
        """Run a block in a transaction on this connection."""
        return begun(self, self.database, deadline, folded=folded)

    @contextmanager
    def checkout(self, deadline: Deadline) -> Iterator[Connection]:
        """Lend the connection for one statement.

        Raises
        ------
        UnavailableError
            Another thread uses it until the deadline, or the connection was lost, and with it
            what had been set. That is said once.
        UsageError
            This thread uses it, in a transaction or a stream, or the session is closed.
        """
        self._acquire(deadline)
        try:
            connection = self._ready(deadline)
            if connection is None:
                with self.database.pool.checkout(deadline) as connection:
                    yield from self._lent(connection)
            else:
                yield from self._lent(connection)
        finally:
            self._release()

    def _lent(self, connection: Connection) -> Iterator[Connection]:
        try:
            yield connection
        finally:
            self._note(connection)

    def _acquire(self, deadline: Deadline) -> None:
        if self._closed:
            raise UsageError(
                "this session is closed", service="db", hint="make another: db.session()"
            )
        if self._fork.forked:
            self._leave_to_parent()
        if not self._lock.acquire(blocking=False):
            if self._owner == _caller():
                raise UsageError(
                    "this session is in use by a transaction or a stream of this thread",
                    service="db",
                    hint="use the transaction, end the stream, or use hub.db",
                )
            if not acquire(self._lock, deadline.remaining()):
                raise UnavailableError(
                    "the session is busy with another statement",
                    service="db",
                    hint="wait for it, or use hub.db, which has other connections",
                )
        self._owner = _caller()

    def _release(self) -> None:
        if self._dropping:
            self._drop()
        self._owner = None
        self._lock.release()

    def _ready(self, deadline: Deadline) -> Connection | None:
        """Return the connection, or None where there is but one, which it shares."""
        if self._dropping:  # asked for while another thread was about to end its statement
            self._drop()
        pool = self.database.pool
        connection = self._connection
        if connection is not None and not pool.is_alive(connection, deadline):
            connection = None
            self._lose("its connection was lost")
        if self._lost:
            why, self._lost = self._lost, ""
            raise UnavailableError(
                f"the session of {self.name} is gone: {why}",
                service="db",
                hint="SET, roles, temporary tables and locks went with it: "
                "run what made them again, then this",
            )
        if connection is not None:
            return connection
        if self.database.pool.engine and self.backend.capacity == 1:
            return None
        self._connection = self._stack.enter_context(pool.checkout(deadline))
        self._watch_idle(self._idle)
        return self._connection

    def _note(self, connection: Connection) -> None:
        self._used = time.monotonic()
        if not self.backend.lost(connection) and self.backend.in_transaction(connection):
            try:
                self.backend.rollback(connection)  # of a script that failed behind its BEGIN
            except Exception:  # noqa: BLE001 - then it is of no use any longer
                connection.invalidate()
        if self.backend.lost(connection):
            self._lose("its connection was lost")
        else:
            self._leaves = connection.info.get("leaves", Leaves.NOTHING)

    def _lose(self, why: str) -> None:
        if self.has_state:
            self._lost = why
            self.log.warning("session lost: %s", why)
        self._drop()

    def _drop(self) -> None:
        """Give the connection back, without what was set in it."""
        self._dropping = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connection = None
        self._leaves = Leaves.NOTHING
        self._stack.close()

    def _leave_to_parent(self) -> None:
        """In a forked child: neither use nor close the connection of the parent."""
        self.database.pool.inherit(self._stack)
        if self.has_state:
            self._lost = "a forked process does not share it"
        self._start_anew()

    def _watch_idle(self, seconds: float | None) -> None:
        if seconds is None:
            return
        session = weakref.ref(self)

        def look() -> None:
            if (found := session()) is not None:
                found._expire()  # noqa: SLF001 - its own

        self._timer = threading.Timer(seconds, look)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        if self._fork.forked or not self._lock.acquire(blocking=False):
            self._watch_idle(self._idle)
            return
        try:
            if self._connection is None or self._idle is None:
                return
            limit = max(KEPT_SECONDS, self._idle) if self.has_state else self._idle
            left = self._used + limit - time.monotonic()
            if left > 0:
                self._watch_idle(min(left, self._idle))
            else:
                self._lose(f"unused for {limit:g} s")
        finally:
            self._release()

    def reset(self) -> None:
        """Give the connection back; the next statement starts with a new session.

        A statement that is running ends first.
        """
        if self._fork.forked:
            self._leave_to_parent()
        self._lost = ""
        self._dropping = True
        if self._lock.acquire(blocking=False):
            self._release()

    def close(self) -> None:
        """Give the connection back and refuse further statements."""
        self._closed = True
        self.reset()

    def arrow_result(
        self, statement: Statement, params: Mapping[str, Any], bounds: Bounds, watch: Watch
    ) -> Result | None:
        """Return the result as Arrow data of this session, or None to take the driver."""
        if self._closed or self._lock.locked():
            return None  # `checkout` waits for its turn, or says why there is none
        if not self.has_state and not self._lost:
            return self.database.arrow_result(statement, params, bounds, watch)
        return copying.fetch(self, statement, params, bounds, watch)

    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return our error for one of SQLAlchemy's or the driver's, None for others."""
        return self.database.error_of(error, watch, sql)


def _caller() -> AwaitedCall | int:
    """Return the awaited call, or the thread: the end of a call may come in another thread."""
    return current_call("db") or threading.get_ident()
