"""The connections of one database: opened, tested, lent, and counted."""

from __future__ import annotations

import os
from math import inf
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.closing import leave
from agentnb.core.db.awaited import get, happened
from agentnb.core.db.backend import Backend, Watch, logger, no_answer
from agentnb.core.db.notices import notify
from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.forking import ForkGuard, new_event, new_lock
from agentnb.core.resilience import Boundary, Breaker, Deadline, RetryPolicy

if TYPE_CHECKING:
    import threading
    from contextlib import AbstractContextManager
    from logging import Logger, LoggerAdapter

    from sqlalchemy import Connection, Engine

    from agentnb.core.trace import Tracer

__all__ = ["CONNECT_SECONDS", "ConnectionPool"]

CONNECT_SECONDS = 5.0


class ConnectionPool:
    """Connects on first use, lends tested connections, and starts afresh in a forked child.

    Parameters
    ----------
    backend
        The kind of database.
    name
        The connection's name, for spans.
    size
        Connections kept open.
    tracer, log
        Where spans and log lines go.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        name: str,
        size: int,
        tracer: Tracer,
        log: LoggerAdapter[Logger],
    ) -> None:
        self._backend = backend
        self._name = name
        self._size = size
        self._tracer = tracer
        self._log = log
        self._boundary = Boundary(
            "db",
            retry=RetryPolicy(attempts=3, first=0.1, cap=1.0),
            breaker=Breaker("db"),
            retry_on=lambda error: isinstance(error, UnavailableError),
            logger=logger,
        )
        self._lock = new_lock()
        self._engine: Engine | None = None
        self._turn: threading.Event | None = None  # of the thread that connects
        # Not a semaphore: an interrupt inside one, which is Python code, leaves its lock held.
        self._slots: SimpleQueue[None] = SimpleQueue()
        self._errors: tuple[type[Exception], ...] = ()
        self._fork = ForkGuard()
        self._inherited: list[Any] = []

    @property
    def breaker(self) -> Breaker | None:
        """Return the circuit breaker of connecting."""
        return self._boundary.breaker

    @property
    def connected(self) -> bool:
        """Return whether a connection has been made and tested."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """Return the SQLAlchemy engine, connected and tested on first use.

        Raises
        ------
        UnavailableError
            The database cannot be reached, within 5 s.
        ConfigError
            It refuses the login, or there is no such database.
        """
        return self._connected(Deadline(None))

    def _connected(self, deadline: Deadline) -> Engine:
        """Return the engine, connected by a deadline, also while another thread connects."""
        turn: threading.Event | None = None
        try:
            while True:
                engine = self._engine
                if engine is not None and not self._fork.forked:
                    return engine
                with self._lock:
                    if self._fork.forked:
                        self._start_afresh()
                    other = self._turn
                    if other is None and self._engine is None:
                        # Not a lock: an interrupt leaves it to the block below, wherever it comes.
                        turn = new_event()
                        self._turn = turn
                if turn is not None:
                    self._engine = self._connect(deadline)
                elif other is not None and not happened(other, deadline.remaining()):
                    raise no_answer(self._backend.target, deadline.seconds or 0.0)
        finally:
            if turn is not None:
                self._turn = None
                turn.set()

    def inherit(self, what: object) -> None:
        """Keep what a forked child must not close, not even by forgetting it."""
        self._inherited.append(what)

    def _start_afresh(self) -> None:
        """Leave the parent's connections to the parent: not used, not closed."""
        self._fork.reset()
        self._turn = None
        self._backend.forked()
        if self._engine is not None:
            self.inherit(self._engine.pool)
            self._engine.dispose(close=False)
            self._slots = _slots(self._backend.capacity)

    def _connect(self, deadline: Deadline) -> Engine:
        backend = self._backend
        engine = backend.engine(pool_size=self._size, connect_timeout=CONNECT_SECONDS)
        self._errors = (engine.dialect.loaded_dbapi.Error,)
        # Waited for here rather than in SQLAlchemy's pool, which knows no deadline.
        self._slots = _slots(backend.capacity)

        def attempt(deadline: Deadline) -> None:
            with self._tracer.span(
                "connect", service="db", connection=self._name, system=backend.kind
            ):
                connection = self._tested(engine, deadline)
                try:
                    backend.settle(connection)
                finally:
                    connection.close()

        try:
            left = deadline.remaining()
            sooner = left is not None and left < CONNECT_SECONDS
            within = deadline if sooner else Deadline(CONNECT_SECONDS)
            self._boundary.call(attempt, deadline=within, idempotent=True, doing="connect")
        except BaseException as error:
            engine.dispose()
            self._log.error("database not connected: %s", error)
            raise
        self._log.info("database connected")
        if self._backend.note:
            self._log.info("%s", self._backend.note)
            if self._backend.support == "plain":
                notify(f"NOTICE: {self._backend.note}")
        return engine

    def checkout(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Lend a connection that has just been found alive.

        Raises
        ------
        DeadlineExceeded
            All are in use and none came back in time.
        UnavailableError
            The database cannot be reached.
        """
        return _Loan(self, deadline)

    def lend(self, deadline: Deadline) -> tuple[Connection, SimpleQueue[None]]:
        """Return a connection for `take_back`, and the slots that get one back after that."""
        engine = self._connected(deadline)
        slots = self._slots
        if not get(slots, deadline.clip(self._backend.patience)):
            raise self.busy(min(deadline.seconds or inf, self._backend.patience))
        try:
            return self._tested(engine, deadline), slots
        except BaseException:
            slots.put(None)
            raise

    def busy(self, seconds: float) -> DeadlineExceeded:
        """Return the error of a call that waited for a connection for these seconds."""
        used = self._backend.capacity - self._slots.qsize()
        return DeadlineExceeded(
            f"timed out after {seconds:g} s waiting for a free connection "
            f"({used} in use; AGENTNB_DB_POOL)",
            service="db",
            hint=self._backend.pool_hint(),
        )

    def take_back(self, connection: Connection) -> None:
        """Close a connection that was lent, without what statements have left in its session."""
        # Rows are read from the driver's cursor, whose errors SQLAlchemy does not see.
        backend = self._backend
        if backend.lost(connection):
            connection.invalidate()
        elif backend.has_state and backend.capacity > 1 and connection.info.pop("leaves", None):
            self._clear(connection)
        if not connection.invalidated:
            connection.info["used"] = monotonic()
        connection.close()

    def _clear(self, connection: Connection) -> None:
        """Undo what statements have set in the session, before the connection is lent again."""
        try:
            with self._backend.watching(
                connection, Watch(Deadline(CONNECT_SECONDS), completes=True)
            ):
                self._backend.clear(connection)
        except Exception as error:  # noqa: BLE001 - another connection is as good
            self._log.debug("session not cleared: %s", error)
            connection.invalidate()

    def is_alive(self, connection: Connection, deadline: Deadline) -> bool:
        """Return whether a connection that was lent answers.

        Raises
        ------
        DeadlineExceeded
            It does not within the time.
        """
        if self._backend.lost(connection):
            return False
        if not self._backend.pings:
            return True
        watch = Watch(deadline)
        try:
            with self._backend.watching(connection, watch):
                self._backend.ping(connection)
        except self._dead() as error:
            if watch.over:
                raise watch.error() from error
            return False
        return True

    def _tested(self, engine: Engine, deadline: Deadline) -> Connection:
        watch = Watch(deadline)
        try:
            return self._alive(engine, watch) if self._backend.pings else engine.connect()
        except Exception as error:
            ours = self._backend.connect_error(error) or self.error_of(error, watch, "")
            if ours is None or ours is error:
                raise
            raise ours from error

    def _alive(self, engine: Engine, watch: Watch) -> Connection:
        for last in (False, True):
            with self._backend.connecting(watch.deadline):
                connection = engine.connect()
            try:
                if not self._backend.is_fresh(connection):
                    with self._backend.watching(connection, watch):
                        self._backend.ping(connection)
            except BaseException as error:
                connection.invalidate()
                connection.close()
                if last or watch.over or not isinstance(error, self._dead()):
                    raise
                # The server has been started again since: those beside it are dead as well.
                engine.dispose()
            else:
                return connection
        raise AssertionError  # the last turn returns or raises

    def _dead(self) -> tuple[type[Exception], ...]:
        from sqlalchemy.exc import DBAPIError

        return (DBAPIError, *self._errors)

    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return our error for one of SQLAlchemy's or the driver's, None for others."""
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError
        from sqlalchemy.exc import TimeoutError as PoolTimeout

        if isinstance(error, AgentnbError):
            return error
        if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
            return self._backend.translate(error.orig, watch, sql)
        # Rows are fetched from the driver's cursor, whose errors SQLAlchemy does not see.
        if isinstance(error, self._errors):
            return self._backend.translate(error, watch, sql)
        if isinstance(error, PoolTimeout):
            return self.busy(watch.deadline.seconds or self._backend.patience)
        if isinstance(error, NotImplementedError):  # psycopg's, of a style that it does not read
            styles = ", or: set datestyle = 'ISO', set intervalstyle = 'postgres'"
            more = styles if self._backend.kind == "postgresql" else ""
            return UsageError(
                str(error), service="db", hint=f"cast it in the SQL, as in x::text{more}"
            )
        if isinstance(error, (OverflowError, ValueError, TypeError)):
            return UsageError(
                f"a value cannot be bound: {error}",
                service="db",
                hint="convert it to a type of the database, such as str(value)",
            )
        if isinstance(error, SQLAlchemyError):
            return UsageError(
                str(error), service="db", hint="see the statement, its parameters and the URL"
            )
        return None

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        self._backend.close()
        if engine is not None:
            engine.dispose()
            self._log.info("database disconnected")


def _slots(number: int) -> SimpleQueue[None]:
    """Return a queue with a token for each of some connections."""
    slots: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        slots.put(None)
    return slots


class _Loan:
    """A connection of a pool for one block; hand-written to cost next to nothing."""

    __slots__ = ("_connection", "_deadline", "_pid", "_pool", "_slots")

    def __init__(self, pool: ConnectionPool, deadline: Deadline) -> None:
        self._pool = pool
        self._deadline = deadline

    def __enter__(self) -> Connection:
        self._connection, self._slots = self._pool.lend(self._deadline)
        self._pid = os.getpid()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._pid == os.getpid():  # in a forked child it is the parent's
                leave(error, lambda: self._pool.take_back(self._connection))
        finally:
            self._slots.put(None)
