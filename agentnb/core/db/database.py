"""One database: its pool, its statements, its transactions."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from functools import partial
from inspect import iscoroutinefunction
from math import inf
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from agentnb.core.closing import aclosed, aleave, leave
from agentnb.core.db import adbc
from agentnb.core.db.awaited import StatementThreads
from agentnb.core.db.awaited_transaction import AwaitedTransaction
from agentnb.core.db.bounds import MAX_BYTES, Bounds
from agentnb.core.db.duck import DuckDB, DuckLimits
from agentnb.core.db.executor import Executor
from agentnb.core.db.plain import Plain
from agentnb.core.db.pool import CONNECT_SECONDS, ConnectionPool
from agentnb.core.db.postgres import Postgres
from agentnb.core.db.runner import Runner
from agentnb.core.db.session import IDLE_SECONDS, Session, SessionRunner
from agentnb.core.db.sqlite import SQLite
from agentnb.core.db.transaction import Transaction, begun
from agentnb.core.db.url import parse
from agentnb.core.keywords import refuse_unknown
from agentnb.core.loop import LoopThread
from agentnb.core.ranges import seconds
from agentnb.core.resilience import Deadline
from agentnb.core.runtime import Runtime
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.backend import Backend, Watch
    from agentnb.core.db.result import Result
    from agentnb.core.db.text import Statement
    from agentnb.core.db.transaction import TransactionRunner
    from agentnb.core.errors import AgentnbError

__all__ = ["Database"]

R = TypeVar("R")

_BACKENDS: dict[str, type[Backend]] = {"sqlite": SQLite, "postgresql": Postgres}


class DatabaseRunner(Runner):
    """Runs statements on any connection of a database's pool.

    Parameters
    ----------
    backend
        The kind of database.
    name, timeout, rows, max_bytes, pool_size
        As in `Database`.
    runtime
        Tracer and logs.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        name: str,
        timeout: float,
        rows: int,
        max_bytes: int,
        pool_size: int,
        runtime: Runtime,
    ) -> None:
        self.backend = backend
        self.name = name
        self.timeout = timeout
        self.rows = rows
        self.max_bytes = max_bytes
        self.runtime = runtime
        self.tracer = runtime.tracer
        self.redactor = runtime.redactor
        self.log = runtime.log("db", connection=name, target=str(backend.target))
        self.pool = ConnectionPool(
            backend, name=name, size=pool_size, tracer=self.tracer, log=self.log
        )
        self.threads = StatementThreads(
            1 if backend.alone else backend.target.pool_size or pool_size,
            patience=timeout if backend.cancels else inf,
            longest=backend.patience,
            cancels=backend.cancels,
            busy=self.pool.busy,
        )
        self._spare = adbc.Spare()

    @property
    def answers_quickly(self) -> bool:
        """Whether a question costs little: a SQLite file, or a server that is connected."""
        return self.backend.kind == "sqlite" or self.pool.connected

    def checkout(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Lend a connection of the pool for one statement."""
        return self.pool.checkout(deadline)

    def settle(self, connection: Connection) -> None:
        """Commit a single statement."""
        self.backend.settle(connection)

    def begun(
        self, deadline: Deadline, *, folded: bool = False
    ) -> AbstractContextManager[TransactionRunner]:
        """Run a block in a transaction of its own."""
        return begun(self, self, deadline, folded=folded)

    def arrow_result(
        self,
        statement: Statement,
        params: Mapping[str, Any],
        bounds: Bounds,
        watch: Watch,
    ) -> Result | None:
        """Return the result through ADBC, or None where it would differ or is not available."""
        _ = self.pool.engine  # how PostgreSQL is reached is known once there is a connection
        with self.span("query", statement.sql, through="adbc") as span:
            found = adbc.fetch(self.backend, statement, params, bounds, watch, self._spare)
            if found is None:
                span.discard()
            else:
                span.note(rows=found.rowcount)
            return found

    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return the agentnb error for an error of SQLAlchemy or the driver, None for others."""
        return self.pool.error_of(error, watch, sql)

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self.threads.close()
        self._spare.close()
        self.pool.close()

    def __repr__(self) -> str:
        only = ", read_only=True" if self.backend.read_only else ""
        return f"Database({str(self.backend.target)!r}, name={self.name!r}{only})"


@refuse_unknown("db")
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
    duck
        DuckDB: the folders that its SQL may reach, and its memory; default: the working directory
        and half of the machine's memory.

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

    access: DatabaseRunner

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
        duck: DuckLimits | None = None,
    ) -> None:
        target = parse(url, resolve) if resolve else parse(url)
        runtime = runtime or Runtime()
        backend: Backend = (
            DuckDB(target, read_only=read_only, limits=duck)
            if target.kind == "duckdb"
            else _BACKENDS.get(target.kind, Plain)(target, read_only=read_only)
        )
        backend.ephemeral = runtime.ephemeral
        backend.home = duck.home if duck is not None else None
        runner = DatabaseRunner(
            backend,
            name=name,
            timeout=timeout,
            rows=rows,
            max_bytes=max_bytes,
            pool_size=pool_size,
            runtime=runtime,
        )
        super().__init__(runner)
        self._loop = LoopThread()
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    @property
    def kind(self) -> str:
        """The kind of database: ``"sqlite"``, ``"postgresql"``, ..."""
        return self.access.backend.kind

    @property
    def support(self) -> str:
        """The support: ``"full"``, or ``"plain"`` for statements and results only."""
        return self.access.backend.support

    @property
    def read_only(self) -> bool:
        """Whether this connection may only read."""
        return self.access.backend.read_only

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, connected and tested on first use.

        Raises
        ------
        UnavailableError
            The database cannot be reached, within 5 s.
        ConfigError
            It refuses the login, or there is no such database.
        """
        return self.access.pool.engine

    def session(self, *, idle: float | None = IDLE_SECONDS) -> Session:
        """Return a session: one connection, in which settings last from statement to statement.

        A statement of the database itself runs on any connection of the pool, and its settings
        (SET, a temporary table, ATTACH) are undone when the connection goes back. A setting that
        a trigger or a default makes is not undone: use ``set_config(..., true)`` there, which
        ends with the transaction.

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
        session = Session(SessionRunner(self.access, idle=idle))
        self._sessions.add(session)
        return session

    @contextmanager
    def transaction(self, *, timeout: float | None = None) -> Iterator[Transaction]:
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
        deadline = self.access.deadline(timeout)
        with self.access.transaction_span(), self.access.begun(deadline) as runner:
            yield Transaction(runner)

    def atransaction(
        self, *, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """Await a block in one transaction, as `transaction` runs one.

        Neither its begin nor its end blocks the event loop. A block that is cancelled is rolled
        back; one whose commit has begun is committed, and cancelled then.

        Parameters
        ----------
        timeout
            Seconds for each of its statements; default: the setting ``db_timeout``.

        Raises
        ------
        UnavailableError
            As in `transaction`.

        Examples
        --------
        >>> import asyncio
        >>> async def main():
        ...     async with Database("sqlite://") as db:
        ...         async with db.atransaction() as tx:
        ...             await tx.aexecute("create table agent (name text)")
        ...             await tx.aexecute("insert into agent values ('plan')")
        ...         return (await db.aquery("select name from agent")).scalar()
        >>> asyncio.run(main())
        'plan'
        """
        access = self.access
        return AwaitedTransaction(access, access.threads, timeout)

    @overload
    def run(self, operation: Callable[[Database], Coroutine[Any, Any, R]]) -> R: ...
    @overload
    def run(self, operation: Callable[[Database], R]) -> R: ...
    def run(self, operation: Callable[[Database], Any]) -> Any:
        """Call ``operation(db)`` and return its result; a failure is logged and raised.

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
            self.access.log.exception("database operation failed")
            raise

    @overload
    async def arun(self, operation: Callable[[Database], Coroutine[Any, Any, R]]) -> R: ...
    @overload
    async def arun(self, operation: Callable[[Database], R]) -> R: ...
    async def arun(self, operation: Callable[[Database], Any]) -> Any:
        """Await `run`; a coroutine function runs on the caller's event loop.

        Parameters
        ----------
        operation
            A function, which runs in a thread, or a coroutine function.
        """
        try:
            if iscoroutinefunction(operation):
                return await operation(self)
            return await self._call_threads.run(partial(operation, self))
        except Exception:
            self.access.log.exception("database operation failed")
            raise

    def ping(self, timeout: float = CONNECT_SECONDS) -> None:
        """Check that the database answers.

        Parameters
        ----------
        timeout
            Seconds for the answer.

        Raises
        ------
        UnavailableError
            There is none.
        """
        if self.access.backend.cancels:
            self.query("select 1", timeout=timeout)
            return
        timeout = seconds("timeout", timeout, service="db")
        with self.access.checkout(Deadline(timeout)) as connection:
            self.access.settle(connection)

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        self._loop.close()
        for session in list(self._sessions):
            session.reset()
        self.access.close()

    aping = twin(ping)

    async def aclose(self) -> None:
        """Await `close`."""
        await aclosed(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return repr(self.access)
