"""One database: its pool, its statements, its transactions."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.db import adbc
from agentnb.core.db.bounds import MAX_BYTES, Bounds
from agentnb.core.db.executor import Executor
from agentnb.core.db.plain import Plain
from agentnb.core.db.pool import CONNECT_SECONDS, ConnectionPool
from agentnb.core.db.postgres import Postgres
from agentnb.core.db.session import IDLE_SECONDS, Session
from agentnb.core.db.sqlite import SQLite
from agentnb.core.db.transaction import Transaction, begun
from agentnb.core.db.url import parse
from agentnb.core.loop import LoopThread
from agentnb.core.resilience import Deadline
from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.backend import Backend, Watch
    from agentnb.core.db.result import Result
    from agentnb.core.db.text import Statement
    from agentnb.core.errors import AgentnbError

__all__ = ["Database"]

_BACKENDS: dict[str, type[Backend]] = {"sqlite": SQLite, "postgresql": Postgres}


class Database(Executor):
    """A database behind a pool of connections.

    Nothing is connected before the first use. Thread-safe; a forked child opens its own
    connections.

    Parameters
    ----------
    url
        As `agentnb.core.db.url.parse` takes it: SQLite, PostgreSQL, or what SQLAlchemy
        has a driver for.
    name
        The name of the connection in logs, spans and messages.
    read_only
        Let no statement write.
    timeout
        Seconds that a statement may take unless it says otherwise.
    rows
        Rows that a bare ``%db`` line shows.
    max_bytes
        Bytes that a result may take in memory unless it says otherwise.
    pool_size
        Connections kept open; ten more are opened when they are needed.
    resolve
        Makes a relative SQLite path absolute.
    runtime
        Tracer, redactor and logs; default: new ones.

    Raises
    ------
    ConfigError
        The URL cannot be understood or its driver is not installed.

    Examples
    --------
    >>> with Database("sqlite://") as db:
    ...     with db.transaction() as tx:
    ...         _ = tx.execute("create table agent (name text)")
    ...         _ = tx.execute("insert into agent values (:name)", {"name": "plan"})
    ...     db.query("select * from agent")
    name
    plan
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "default",
        read_only: bool = False,
        timeout: float = 30.0,
        rows: int = 1000,
        max_bytes: int = MAX_BYTES,
        pool_size: int = 5,
        resolve: Callable[[str], Path] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        target = parse(url, resolve) if resolve else parse(url)
        self.name = name
        self.timeout = timeout
        self.rows = rows
        self.max_bytes = max_bytes
        self.runtime = runtime or Runtime()
        self.tracer = self.runtime.tracer
        self.log = self.runtime.log("db", connection=name, target=str(target))
        self.backend = _BACKENDS.get(target.kind, Plain)(target, read_only=read_only)
        self.pool = ConnectionPool(
            self.backend, name=name, size=pool_size, tracer=self.tracer, log=self.log
        )
        self._loop = LoopThread()
        self._spare = adbc.Spare()
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    @property
    def kind(self) -> str:
        """Return the kind of database: ``"sqlite"``, ``"postgresql"``, ..."""
        return self.backend.kind

    @property
    def support(self) -> str:
        """Return what is promised: ``"full"``, or ``"plain"`` for statements and results only."""
        return self.backend.support

    @property
    def read_only(self) -> bool:
        """Return whether this connection may only read."""
        return self.backend.read_only

    @property
    def answers_quickly(self) -> bool:
        """Return whether asking is quick: a SQLite file, or a server that is connected."""
        return self.kind == "sqlite" or self.pool.connected

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
        return self.pool.engine

    def checkout(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Lend a connection of the pool for one statement."""
        return self.pool.checkout(deadline)

    def settle(self, connection: Connection) -> None:
        """Make a single statement's effect last."""
        self.backend.settle(connection)

    def begun(self, deadline: Deadline) -> AbstractContextManager[Transaction]:
        """Run a block in a transaction of its own."""
        return begun(self, self, deadline)

    def session(self, *, idle: float | None = IDLE_SECONDS) -> Session:
        """Return a session: one connection, in which what a statement sets lasts.

        A statement of the database itself runs on any connection of the pool, and what it sets
        there (SET, a temporary table, ATTACH) is undone when the connection goes back. What a
        trigger or a default sets is not seen: ``set_config(..., true)`` there ends with the
        transaction.

        Parameters
        ----------
        idle
            Seconds without use after which the connection goes back to the pool.

        Raises
        ------
        UsageError
            ``idle`` is not above 0.

        Examples
        --------
        >>> with Database("sqlite://") as db, db.session() as session:
        ...     _ = session.execute("create temp table mine as select 1 as n")
        ...     session.query("select * from mine")
        n
        1
        """
        session = Session(self, idle=idle)
        self._sessions.add(session)
        return session

    def transaction(self, *, timeout: float | None = None) -> AbstractContextManager[Transaction]:
        """Run a block in one transaction: committed at its end, rolled back by an error.

        On SQLite it takes the write lock at its start, so that it cannot fail half-way.

        Parameters
        ----------
        timeout
            Seconds for each of its statements; default: the setting ``db_timeout``.

        Raises
        ------
        UnavailableError
            SQLite: another connection is writing and did not end within 5 s.
        """
        return self.begun(self._deadline(timeout))

    def run(self, operation: Callable[[Database], Any]) -> Any:
        """Call ``operation(db)`` and return what it returns; a failure is logged and raised.

        Parameters
        ----------
        operation
            A function or a coroutine function; the latter runs on a loop of the database's.

        Examples
        --------
        >>> with Database("sqlite://") as db:
        ...     db.run(lambda db: db.query("select 1 as n").scalar())
        1
        """
        try:
            return self._loop.call(operation, self)
        except Exception:
            self.log.exception("database operation failed")
            raise

    def arrow_result(
        self,
        statement: Statement,
        params: Mapping[str, Any],
        bounds: Bounds,
        watch: Watch,
    ) -> Result | None:
        """Return the result through ADBC, or None where it would differ or cannot be had."""
        _ = self.engine  # how PostgreSQL is reached is known once there is a connection
        with self.tracer.span("query", service="db", connection=self.name, through="adbc"):
            return adbc.fetch(self.backend, statement, params, bounds, watch, self._spare)

    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return our error for one of SQLAlchemy's or the driver's, None for others."""
        return self.pool.error_of(error, watch, sql)

    def ping(self) -> None:
        """Ask the database for a sign of life, within 5 s.

        Raises
        ------
        UnavailableError
            It gives none.
        """
        if self.backend.cancels:
            self.query("select 1", timeout=CONNECT_SECONDS)
            return
        with self.checkout(Deadline(CONNECT_SECONDS)) as connection:
            self.settle(connection)

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self._loop.close()
        for session in list(self._sessions):
            session.reset()
        self._spare.close()
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        only = ", read_only=True" if self.read_only else ""
        return f"Database({str(self.backend.target)!r}, name={self.name!r}{only})"
