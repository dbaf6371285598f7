"""Run statements on lent connections: the part behind databases, sessions and transactions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core.callthreads import current_call
from agentnb.core.db import schema
from agentnb.core.db.backend import Watch
from agentnb.core.db.bounds import Bounds
from agentnb.core.db.guards import Explained, Translated
from agentnb.core.db.notices import Notices, notified
from agentnb.core.db.origin import Origin
from agentnb.core.db.render import render
from agentnb.core.db.result import ArrowResult, Preview, Result
from agentnb.core.db.state import leaves
from agentnb.core.db.text import scan
from agentnb.core.db.values import LARGEST
from agentnb.core.errors import UsageError
from agentnb.core.ranges import seconds, whole
from agentnb.core.resilience import Deadline
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from logging import Logger, LoggerAdapter

    from sqlalchemy import Connection

    from agentnb.core.db.awaited import StatementThreads
    from agentnb.core.db.backend import Backend
    from agentnb.core.db.text import Statement
    from agentnb.core.errors import AgentnbError
    from agentnb.core.trace import Tracer

__all__ = ["Runner"]

_LONGEST_STATEMENT = 4096


class Runner(ABC):
    """Runs statements on connections that it borrows; each kind of executor has its own.

    It is what services that build on a database use (`Executor.access`): connections with a
    deadline, the backend, and the translation of the driver's errors.
    """

    backend: Backend
    name: str
    rows: int
    timeout: float
    max_bytes: int
    tracer: Tracer
    folded = False
    """Whether the statements are part of a call, whose span speaks for them."""
    log: LoggerAdapter[Logger]
    redactor: Callable[[str], str]
    threads: StatementThreads
    """The threads in which awaited calls run."""

    @abstractmethod
    def checkout(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Lend a connection for one statement or one script."""

    @abstractmethod
    def settle(self, connection: Connection) -> None:
        """Commit a single statement, unless a transaction does."""

    @abstractmethod
    def begun(self, deadline: Deadline, *, folded: bool = False) -> AbstractContextManager[Runner]:
        """Return a transaction: a new one, or a savepoint in the one that this is.

        Parameters
        ----------
        deadline
            Its deadline.
        folded
            Whether its statements are part of one call, whose span speaks for them.
        """

    def span(self, name: str, statement: str | None = None, **attributes: object) -> Span:
        """Return the span of a call."""
        attributes["connection"] = self.name
        attributes["system"] = self.backend.kind
        if statement is not None:
            attributes["statement"] = statement
            if len(statement) > _LONGEST_STATEMENT:
                # For the sake of the memory, and between two words: half of a secret is not
                # known for one. What is written is cut once more, after secrets are masked.
                attributes["statement"] = statement[:_LONGEST_STATEMENT].rsplit(None, 1)[0]
        return Span(None if self.folded else self.tracer, name, "db", 1, attributes)

    def transaction_span(self) -> Span:
        """Return the span of a transaction, around the code of its block."""
        about: dict[str, object] = {"connection": self.name, "system": self.backend.kind}
        return Span(None if self.folded else self.tracer, "transaction", "db", 1, about, "step")

    def deadline(self, timeout: float | None) -> Deadline:
        """Return the deadline of a statement; none where the database cannot cancel."""
        if timeout is not None:
            if not self.backend.cancels:
                self.backend.require("time-out (timeout=, --timeout)")
        elif self.backend.cancels:
            timeout = self.timeout
        if timeout is not None and not isinstance(timeout, Deadline):
            timeout = seconds("timeout", timeout, service="db")
        call = current_call("db")
        if call is None or timeout is None or isinstance(timeout, Deadline):
            return Deadline.of(timeout)
        return Deadline(timeout, since=call.began)

    def bounds(
        self, limit: int | None, max_bytes: int | None, preview: int | None = None
    ) -> Bounds:
        """Return the bounds of a result: rows, bytes, and whether more is an error."""
        if limit is None and max_bytes is None and preview is None:
            return Bounds(None, self.max_bytes)
        for name, value in (("limit", limit), ("max_bytes", max_bytes), ("preview", preview)):
            if value is not None:
                hint = f"leave {name}= away for all rows"
                # The database is asked for one row more.
                whole(name, value, service="db", least=0, most=LARGEST - 1, hint=hint)
        size = self.max_bytes if max_bytes is None else max_bytes
        if preview is not None and (limit is None or preview < limit):
            return Bounds(preview, size, preview=True)
        return Bounds(limit, size)

    def query(
        self,
        statement: Statement,
        params: Mapping[str, Any],
        bounds: Bounds,
        watch: Watch,
        *,
        arrow: bool = False,
        frames: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run one statement on a lent connection, or through ADBC, and return its rows."""
        own = self.backend.fetches_arrow
        if arrow and not own:
            found = self.arrow_result(statement, params, bounds, watch)
            if found is not None:
                return found
        with self.explained(), self.checkout(watch.deadline) as connection:
            result = self.run(
                connection, statement, params, bounds, watch, arrow=arrow and own, frames=frames
            )
            self.settle(connection)
            return result

    def arrow_result(
        self,
        statement: Statement,  # noqa: ARG002 - used where there is ADBC
        params: Mapping[str, Any],  # noqa: ARG002
        bounds: Bounds,  # noqa: ARG002
        watch: Watch,  # noqa: ARG002
    ) -> Result | None:
        """Return the result through ADBC, or None to take the driver."""
        return None

    def run(
        self,
        connection: Connection,
        statement: Statement,
        params: Mapping[str, Any],
        bounds: Bounds,
        watch: Watch,
        *,
        arrow: bool = False,
        frames: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run one statement on a connection, and return its rows with its notices."""
        run = partial(
            self._run_statement, connection, statement, params, bounds, watch, arrow, frames
        )
        if not self.backend.notifies:
            return run()
        notices = Notices()
        with notified(notices.add):
            result = run()
        result.notices = notices.all()
        return result

    def _run_statement(
        self,
        connection: Connection,
        statement: Statement,
        params: Mapping[str, Any],
        bounds: Bounds,
        watch: Watch,
        arrow: bool,  # noqa: FBT001 - given by `run` alone
        frames: Mapping[str, Any] | None,
    ) -> Result:
        backend = self.backend
        self.check_frames(frames)
        text, values = self.rendered(statement, params)
        with (
            self.span("query", statement.sql) as span,
            self.translated(watch, statement) as translated,
            backend.watching(connection, watch),
            backend.framed(connection, statement, frames) as changed,
        ):
            if changed is not statement:
                text, values = self.rendered(changed, params)
                translated.statement = changed
            self.mark(connection, statement)
            bounds = backend.bounds(connection, statement, bounds)
            if arrow and statement.reads:
                table, cut = backend.fetch_arrow(connection, statement, text, values, bounds)
                span.note(rows=table.num_rows)
                return ArrowResult(table, statement=statement.sql, truncated=cut)
            columns, rows, count = backend.fetch(connection, statement, text, values, bounds)
            if columns is not None:
                span.note(rows=len(rows))
            elif count >= 0:  # such as of an insert, and not of a create table
                span.note(rows=count)
        if columns is None:
            return Result((), [], statement=statement.sql, rowcount=count, returns_rows=False)
        truncated = bounds.limit is not None and len(rows) > bounds.limit
        if truncated:
            del rows[bounds.limit :]
            if bounds.preview:
                named = backend.named_frames(statement, frames)
                origin = Origin(self.name, statement, params, named)
                return Preview(columns, rows, statement=statement.sql, origin=origin)
        return Result(
            columns, rows, statement=statement.sql, rowcount=len(rows), truncated=truncated
        )

    def check_frames(self, frames: Mapping[str, Any] | None) -> None:
        """Refuse frames where the database takes none."""
        if frames is not None and not self.backend.takes_frames:
            raise UsageError(
                f"{self.backend.kind} takes no frames as tables",
                service="db",
                hint='hub.databases["duck"].query(SQL, frames=...) (%db -c duck SQL)',
            )

    def rendered(self, statement: Statement, params: Mapping[str, Any]) -> tuple[str, Any]:
        """Return the SQL and the values in the form that the driver takes."""
        backend = self.backend
        backend.check(statement)
        return render(statement, params, backend.paramstyle, backend.adapt, backend.no_values)

    def mark(self, connection: Connection, statement: Statement) -> None:
        """Refuse a forbidden statement, and record the state that it leaves in its session."""
        self.backend.permit(connection, statement)
        if left := leaves(self.backend.kind, statement):
            self.backend.check_state(statement, left)
            self.backend.has_state = True
            connection.info["leaves"] = max(left, connection.info.get("leaves", left))

    def translated(self, watch: Watch, statement: Statement | None = None) -> Translated:
        """Return a block that translates the driver's errors."""
        return Translated(self, watch, statement)

    def explained(self) -> Explained:
        """Return a block that adds the nearest names to an error of a missing table."""
        return Explained(self)

    def table_names(self, *, internal: bool = False) -> list[str]:
        """Return the names that a missing table is compared with."""
        return [str(name) for name in schema.tables(self, internal=internal).column("name")]

    def count_rows(self, table: str, timeout: float | None) -> int:
        """Return the number of rows of a table, whose name is quoted already."""
        statement = scan(f"select count(*) from {table}", self.backend.syntax)
        watch = Watch(self.deadline(timeout))
        return int(self.query(statement, {}, Bounds(None, self.max_bytes), watch).scalar())

    @abstractmethod
    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return the agentnb error for an error of SQLAlchemy or the driver, None for others."""
