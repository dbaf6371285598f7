"""Running statements: what a database and a transaction have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.db.backend import Watch
from agentnb.core.db.guards import Explained, Translated
from agentnb.core.db.result import Result, Script
from agentnb.core.db.text import Statement, render, scan, split
from agentnb.core.errors import (
    AgentnbError,
    UsageError,
)
from agentnb.core.resilience import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from logging import Logger, LoggerAdapter

    from sqlalchemy import Connection

    from agentnb.core.db.backend import Backend
    from agentnb.core.table import Table
    from agentnb.core.trace import Tracer

__all__ = ["DEFAULT", "Executor"]


class _Default:
    """Stands for "the limit of the settings", since None already means no limit."""

    def __repr__(self) -> str:
        return "the default limit"


DEFAULT = _Default()


class Executor(ABC):
    """Something that runs SQL: a `Database` or a `Transaction`."""

    backend: Backend
    name: str
    rows: int
    timeout: float
    tracer: Tracer
    log: LoggerAdapter[Logger]

    @abstractmethod
    def checkout(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Lend a connection for one statement or one script."""

    @abstractmethod
    def settle(self, connection: Connection) -> None:
        """Make a single statement's effect last, where it should."""

    def query(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limit: int | _Default | None = DEFAULT,
        timeout: float | None = None,
        arrow: bool = False,
    ) -> Result:
        """Run one statement and return its rows.

        Parameters
        ----------
        sql
            One statement. ``:name``, ``:object.attribute`` and lists after IN bind from
            ``params``; strings, comments, casts and slices are left alone.
        params
            Values by name.
        limit
            Rows at most; the rest is not fetched. Default: the setting ``db_rows``
            (1,000). None for all.
        timeout
            Seconds, after which the database is told to cancel; default: the setting
            ``db_timeout`` (30).
        arrow
            Fetch as Arrow data through ADBC where that gives the same types: several
            times faster into a frame. Where it does not, this has no effect.

        Raises
        ------
        UsageError
            An unbound name, or several statements.
        QueryRejected
            The database's own error.
        NotFoundError
            A missing table; the hint has the nearest.
        DeadlineExceeded
            The time was over; the statement was cancelled.
        UnavailableError
            The database cannot be reached or is locked.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> with Database("sqlite://") as db:
        ...     db.query("select :n + 1 as next", {"n": 41}).scalar()
        42
        """
        watch = Watch(Deadline.of(self.timeout if timeout is None else timeout))
        return self._query(scan(sql), params or {}, self._limit(limit), watch, arrow=arrow)

    def execute(
        self,
        sql: str,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        timeout: float | None = None,
    ) -> Result:
        """Run one statement, all of whose rows are wanted if it returns any.

        Parameters
        ----------
        sql, timeout
            As in `query`.
        params
            Values by name, or a list of such dictionaries: the statement is run for
            each, all in one transaction.

        Raises
        ------
        AgentnbError
            As in `query`.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> db = Database("sqlite://")
        >>> db.execute("create table task (id integer primary key, name text)")
        done
        >>> db.execute("insert into task (name) values (:n)", [{"n": "a"}, {"n": "b"}])
        2 rows affected
        >>> db.close()
        """
        statement = scan(sql)
        deadline = Deadline.of(self.timeout if timeout is None else timeout)
        if params is None or hasattr(params, "keys"):
            return self._query(statement, params or {}, None, Watch(deadline))  # type: ignore[arg-type]
        with self.begun(deadline) as inner:
            count = 0
            for one in params:
                count += inner._query(statement, one, None, Watch(deadline)).rowcount  # noqa: SLF001 - its own kind
            return Result((), [], statement=statement.sql, rowcount=count, returns_rows=False)

    @abstractmethod
    def begun(self, deadline: Deadline) -> AbstractContextManager[Executor]:
        """Return a transaction: a new one, or the one that this is."""

    def script(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limit: int | _Default | None = DEFAULT,
        timeout: float | None = None,
    ) -> Script:
        """Run several statements, one after another, on one connection.

        Each is committed by itself, unless the text has a BEGIN and COMMIT of its own.

        Raises
        ------
        AgentnbError
            As in `query`, with the statement's number and line in front.
        """
        statements = split(sql)
        if not statements:
            raise UsageError("there is no SQL to run", service="db")
        watch = Watch(Deadline.of(self.timeout if timeout is None else timeout))
        rows = self._limit(limit)
        results = Script()
        with self._explained(), self.checkout(watch.deadline) as connection:
            for statement in statements:
                try:
                    results.append(self._run(connection, statement, params or {}, rows, watch))
                except AgentnbError as error:
                    if len(statements) == 1:
                        raise
                    where = f"statement {statement.number} (line {statement.line})"
                    raise type(error)(
                        f"{where}: {error.message}", service=error.service, hint=error.hint
                    ) from error
            self.settle(connection)
        return results

    def stream(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        chunk: int = 10_000,
        timeout: float | None = None,
    ) -> Iterator[Result]:
        """Yield the rows of one statement in chunks: any number of rows in bounded memory.

        Parameters
        ----------
        chunk
            Rows in each `Result`.
        timeout
            Seconds for the whole; default: the setting ``db_timeout``.

        Raises
        ------
        AgentnbError
            As in `query`.
        """
        statement = scan(sql)
        watch = Watch(Deadline.of(self.timeout if timeout is None else timeout))
        text, values = self._rendered(statement, params or {})
        with (
            self.begun(watch.deadline) as inner,
            inner.checkout(watch.deadline) as connection,
            self.translated(watch, statement),
            self.backend.watching(connection, watch),
        ):
            found = connection.exec_driver_sql(
                text, values, execution_options={"stream_results": True}
            )
            cursor: Any = found.cursor
            if cursor is None or cursor.description is None:
                raise UsageError("this statement returns no rows to stream", service="db")
            try:
                columns = tuple(column[0] for column in cursor.description)
                while rows := cursor.fetchmany(chunk):
                    yield Result(columns, rows, statement=statement.sql, rowcount=len(rows))
            finally:
                found.close()

    def explain(self, sql: str, params: Mapping[str, Any] | None = None) -> Result:
        """Return the database's plan for a statement, without running it."""
        statement = scan(sql)
        return self.query(f"{self.backend.explain} {statement.sql}", params, limit=None)

    def load(
        self,
        source: Any,
        table: str,
        *,
        if_exists: Literal["fail", "append", "replace"] = "fail",
        timeout: float | None = None,
    ) -> Result:
        """Write a frame, rows or a file into a table, all or nothing.

        Parameters
        ----------
        source
            A pandas, polars or Arrow table (anything with ``__arrow_c_stream__``), a list
            of dictionaries, a `Table`, or the path of a ``.csv``, ``.json``, ``.jsonl``
            or ``.parquet`` file.
        table
            Its name, made from the data if it does not exist. ``schema.table`` works
            where the database has schemas.
        if_exists
            What to do with a table of that name: ``"append"`` rows to it, ``"replace"``
            it, or (the default) refuse.
        timeout
            Seconds for the whole; default: ten times the setting ``db_timeout``.

        Raises
        ------
        UsageError
            The table exists and neither was asked for, or the data cannot be read.
        AgentnbError
            As in `query`; nothing is left half written.
        """
        from agentnb.core.db.load import load

        return load(self, source, table, if_exists, timeout)

    def tables(self) -> Table:
        """Return name and kind of every table and view."""
        from agentnb.core.db import schema

        return schema.tables(self)

    def describe(self, table: str) -> Table:
        """Return column, type, nullable, default and key of a table's columns.

        Raises
        ------
        NotFoundError
            There is no such table; the hint has the nearest.
        """
        from agentnb.core.db import schema

        return schema.describe(self, table)

    def _limit(self, limit: int | _Default | None) -> int | None:
        if isinstance(limit, _Default):
            return self.rows
        if limit is not None and limit < 0:
            raise UsageError(f"a limit of {limit} rows", service="db", hint="0 or more, or None")
        return limit

    def _query(
        self,
        statement: Statement,
        params: Mapping[str, Any],
        limit: int | None,
        watch: Watch,
        *,
        arrow: bool = False,
    ) -> Result:
        if arrow and (found := self.arrow_result(statement, params, limit, watch)) is not None:
            return found
        with self._explained(), self.checkout(watch.deadline) as connection:
            result = self._run(connection, statement, params, limit, watch)
            self.settle(connection)
            return result

    def arrow_result(
        self,
        statement: Statement,  # noqa: ARG002 - used where there is ADBC
        params: Mapping[str, Any],  # noqa: ARG002
        limit: int | None,  # noqa: ARG002
        watch: Watch,  # noqa: ARG002
    ) -> Result | None:
        """Return the result through ADBC, or None to take the driver."""
        return None

    def _run(
        self,
        connection: Connection,
        statement: Statement,
        params: Mapping[str, Any],
        limit: int | None,
        watch: Watch,
    ) -> Result:
        text, values = self._rendered(statement, params)
        with (
            self.tracer.span("query", service="db", connection=self.name),
            self.translated(watch, statement),
            self.backend.watching(connection, watch),
        ):
            columns, rows, count = self.backend.fetch(connection, statement, text, values, limit)
        if columns is None:
            return Result((), [], statement=statement.sql, rowcount=count, returns_rows=False)
        truncated = limit is not None and len(rows) > limit
        if truncated:
            del rows[limit:]
        return Result(
            columns, rows, statement=statement.sql, rowcount=len(rows), truncated=truncated
        )

    def _rendered(self, statement: Statement, params: Mapping[str, Any]) -> tuple[str, Any]:
        return render(statement, params, self.backend.paramstyle, self.backend.adapt)

    def translated(self, watch: Watch, statement: Statement | None = None) -> Translated:
        """Return a block whose errors of the driver come out as ours."""
        return Translated(self, watch, statement)

    def _explained(self) -> Explained:
        return Explained(self)

    def table_names(self) -> list[str]:
        """Return the names that a missing table is compared with."""
        return [row[0] for row in self.tables().rows]

    @abstractmethod
    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return our error for one of SQLAlchemy's or the driver's, None for others."""
