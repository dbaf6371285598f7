"""What a database and a transaction have in common below their public methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from agentnb.core.db.guards import Explained, Translated
from agentnb.core.db.render import render
from agentnb.core.db.result import Result
from agentnb.core.errors import AgentnbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from logging import Logger, LoggerAdapter

    from sqlalchemy import Connection

    from agentnb.core.db.backend import Backend, Watch
    from agentnb.core.db.executor import Executor
    from agentnb.core.db.text import Statement
    from agentnb.core.resilience import Deadline
    from agentnb.core.table import Table
    from agentnb.core.trace import Tracer

__all__ = ["DEFAULT", "Default", "Runner"]


class Default:
    """Stands for "the limit of the settings", since None already means no limit."""

    def __repr__(self) -> str:
        return "the default limit"


DEFAULT = Default()


class Runner(ABC):
    """Runs single statements on connections that somebody else lends and settles."""

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

    @abstractmethod
    def begun(self, deadline: Deadline) -> AbstractContextManager[Executor]:
        """Return a transaction: a new one, or the one that this is."""

    def _limit(self, limit: int | Default | None) -> int | None:
        if isinstance(limit, Default):
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
        backend = self.backend
        backend.check(statement)
        return render(statement, params, backend.paramstyle, backend.adapt, backend.no_values)

    @abstractmethod
    def tables(self) -> Table:
        """Return name and kind of every table and view."""

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
