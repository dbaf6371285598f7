"""PostgreSQL through psycopg: server-side cursors, and cancels that the server obeys."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import select
import socket
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.db import postgres_copy, postgres_read_only
from agentnb.core.db.backend import Backend, Watch, chunks, logger, no_rows, stray_begin
from agentnb.core.db.bounds import CHUNK, Bounds, fetch_all
from agentnb.core.db.effects import changes, locks
from agentnb.core.db.postgres_connect import Connector
from agentnb.core.db.postgres_effects import may_write
from agentnb.core.db.postgres_errors import translate
from agentnb.core.db.postgres_types import kind_of
from agentnb.core.db.state import Leaves
from agentnb.core.db.statement_timeouts import StatementTimeouts
from agentnb.core.db.values import Columns, json_text
from agentnb.core.errors import QueryRejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.text import Statement
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError
    from agentnb.core.resilience import Deadline

__all__ = ["Postgres"]

# After the server was asked to cancel it has this long to obey, in seconds; then the
# connection is cut, for a server that is frozen answers no cancel either.
GRACE = 1.5

# A server or a network that is gone is noticed within half a minute, not in two hours.
_LIVENESS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}

# How long a connection that was given back is lent again without asking the server.
FRESH_SECONDS = 1.0

# libpq 17 can hand over the rows of one statement in parts.
_CHUNKED_ROWS = 170_000

_IN_TRANSACTION = {"INTRANS", "INERROR", "ACTIVE"}


class Postgres(Backend):
    """PostgreSQL; single statements autocommit, streams use a server-side cursor.

    Source: https://www.psycopg.org/psycopg3/docs/advanced/cursors.html
    """

    notifies = True
    pings = True
    # An empty array has the type of what it is compared with.
    no_values: Mapping[str, str] = {"in": "= any('{}')", "not in": "<> all('{}')"}

    def __init__(self, target: Target, *, read_only: bool) -> None:
        super().__init__(target, read_only=read_only)
        self.connector = Connector(target, read_only=read_only)
        self._timeouts = StatementTimeouts(GRACE)
        self._cursors = itertools.count(1)

    def forked(self) -> None:
        """Watch with a thread of this process."""
        self._timeouts = StatementTimeouts(GRACE)

    def close(self) -> None:
        """End the thread that watches over running statements."""
        self._timeouts.close()

    def refuse_read_only(self, target: Target) -> None:
        """PostgreSQL sessions can be made read-only."""

    @property
    def pooler(self) -> bool:
        """Whether a pooler such as PgBouncer is known to be in front of the server."""
        return bool(self.connector.pooler)

    def driver_hint(self) -> str:
        """Say how psycopg is installed."""
        return "%pip install 'psycopg[binary]'"

    def engine_options(self, pool_size: int, connect_timeout: float) -> dict[str, Any]:
        """Return the keywords of ``create_engine``."""
        options = super().engine_options(pool_size, connect_timeout)
        options["isolation_level"] = "AUTOCOMMIT"
        options["pool_pre_ping"] = False  # `ping` does it, within the statement's time
        given = self.target.url.query  # which SQLAlchemy would let these override
        liveness = {name: value for name, value in _LIVENESS.items() if name not in given}
        arguments = {"application_name": "agentnb", **liveness, **self.target.connect_args}
        if "connect_timeout" not in given:
            arguments["connect_timeout"] = max(2, int(connect_timeout))  # it knows no less
        with contextlib.suppress(ImportError):  # create_engine says what is missing
            from psycopg import ClientCursor

            # Binds in the client: the server cannot tell the type of `:x is null`, and
            # takes no parameters at all in DDL and SET.
            arguments.setdefault("cursor_factory", ClientCursor)
        options["connect_args"] = arguments
        return options

    def engine(self, *, pool_size: int, connect_timeout: float) -> Engine:
        """Return an engine whose connections are made and set up by the connector."""
        engine = super().engine(pool_size=pool_size, connect_timeout=connect_timeout)
        self.connector.listen(engine)
        return engine

    def connecting(self, deadline: Deadline) -> AbstractContextManager[None]:
        """Let the connections that a block makes be there by a deadline."""
        return self.connector.until(deadline)

    def ping(self, connection: Connection) -> None:
        """Raise if the server or the network has dropped this connection."""
        connection.exec_driver_sql("")

    def is_fresh(self, connection: Connection) -> bool:
        """Return whether a connection was used a moment ago, and the server has not ended it.

        That saves the round trip of a ping. A server that ends a connection says so on it.
        """
        if monotonic() - connection.info.get("used", 0.0) > FRESH_SECONDS:
            return False
        waiting = select.poll()
        waiting.register(_raw(connection).fileno(), select.POLLIN)
        return not waiting.poll(0)

    def check_state(self, statement: Statement, left: Leaves) -> None:
        """Refuse what PgBouncer, in transaction mode, would leave to some other client."""
        if left is Leaves.STATE and self.pooler:
            raise UsageError(
                f"{statement.keyword.upper()} does not last through PgBouncer: the next statement "
                "may run in another session",
                service="db",
                hint="in a transaction: set local ..., create temp table ... on commit drop; "
                "or connect to PostgreSQL itself; ?pgbouncer=false in the URL says that the pooler "
                "keeps sessions",
            )

    def clear(self, connection: Connection) -> None:
        """Undo what statements have left in the session, on the same connection."""
        if self.in_transaction(connection):
            connection.exec_driver_sql("rollback")
        from psycopg import ClientCursor

        ClientCursor(_raw(connection)).execute("discard all")  # in no transaction of its own

    def lost(self, connection: Connection) -> bool:
        """Return whether the server or the network has ended this connection."""
        return connection.invalidated or bool(_raw(connection).closed)

    def in_transaction(self, connection: Connection) -> bool:
        """Return whether a transaction is open, even if it can only be rolled back."""
        return not self.lost(connection) and self._status(connection) in _IN_TRANSACTION

    def failed(self, connection: Connection) -> bool:
        """Return whether a transaction is open that can only be rolled back."""
        return not self.lost(connection) and self._status(connection) == "INERROR"

    def check(self, statement: Statement) -> None:
        """Refuse what would get no answer, and what could make a read-only session another."""
        if statement.keyword == "copy":
            postgres_copy.check(statement, read_only=self.read_only)
        if statement.keyword == "listen":
            raise UsageError(
                "LISTEN has no effect here: this connection waits for no notification",
                service="db",
                hint="events between processes: hub.events.subscribe(PATTERN, function)",
            )
        if self.read_only:
            postgres_read_only.check(statement)

    def permit(self, connection: Connection, statement: Statement) -> None:
        """Refuse functions that do more than read, where this connection only reads."""
        if self.read_only:
            postgres_read_only.check_functions(_raw(connection), statement)

    @property
    def opening(self) -> tuple[str, ...]:
        """The statements that open a transaction, and give it its settings behind a pooler."""
        local = self.connector.local if self.pooler else None
        return (self.connector.begin,) if local is None else (self.connector.begin, local)

    def begin(self, connection: Connection) -> None:
        """Open a transaction."""
        connection.exec_driver_sql(self.connector.begin)

    def commit(self, connection: Connection) -> None:
        """Commit; raise if the server rolled back instead, as it does after an error."""
        status = self._status(connection)
        if status == "IDLE":
            return  # a statement has ended it
        if status == "INERROR":
            connection.exec_driver_sql("rollback")
            raise QueryRejected(
                "nothing was committed: a statement of this transaction had failed",
                service="db",
                hint="run the transaction again without the statement that failed",
            )
        connection.exec_driver_sql("commit")

    def rollback(self, connection: Connection) -> None:
        """Roll back."""
        connection.exec_driver_sql("rollback")

    def settle(self, connection: Connection) -> None:
        """Leave nothing open: a stray ``begin`` would hold its locks for ever."""
        if self._status(connection) != "IDLE":
            connection.exec_driver_sql("rollback")
            raise stray_begin()

    def _status(self, connection: Connection) -> str:
        return str(_raw(connection).info.transaction_status.name)

    @contextmanager
    def watching(self, connection: Connection, watch: Watch) -> Iterator[None]:
        """Cancel on the server when the watch is over; cut the connection if it does not obey."""
        raw = _raw(connection)
        with self._timeouts.watch(watch, lambda: _cancel(raw), lambda: _cut(raw)):
            yield

    def has_effects(self, connection: Connection, statement: Statement) -> bool:
        """Return whether the statement changes or locks rows, or calls what may write."""
        if not statement.reads:
            return changes(statement)
        if locks(statement):
            return True
        return may_write(_raw(connection), statement)

    def limited(self, statement: Statement, sql: str, limit: int | None) -> str:
        """Tell the server: the client library reads all that a statement returns."""
        if limit is None or not statement.reads:
            return sql
        return f"select * from ({sql}\n) as limited limit {limit + 1}"

    def fetch(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        bounds: Bounds,
    ) -> tuple[tuple[str, ...] | None, list[tuple[Any, ...]], int]:
        """Execute and fetch, read-only where this connection is."""
        self._refuse_unclear(connection, statement)
        if statement.keyword == "copy" and postgres_copy.direction(statement.sql) == "to client":
            with self._transaction(connection):  # read-only where this connection is
                return postgres_copy.fetch(_raw(connection), sql, params, bounds)
        if bounds.limit is not None and bounds.pushed:
            sql = self.limited(statement, sql, bounds.limit)
        elif bounds.limit is None and statement.reads and _in_parts():
            columns, rows = self._fetch_in_parts(connection, sql, params, bounds)
            if rows:
                return columns, rows, len(rows)
            sql = self.limited(statement, sql, -1)  # for the columns, which no rows came with
        return super().fetch(connection, statement, sql, params, bounds)

    def adapt(self, value: Any) -> Any:
        """Return a value as psycopg takes it; a list with dictionaries in it as JSON."""
        value = super().adapt(value)
        if isinstance(value, list):
            if any(isinstance(one, dict) for one in value):
                return json_text(value)  # no array could hold them
            return [self.adapt(one) for one in value]
        return value

    def columns_of(self, description: Any) -> tuple[str, ...]:
        """Return the names of a result's columns with the kinds of their types."""
        return Columns((column[0] for column in description), map(kind_of, description))

    def _refuse_unclear(self, connection: Connection, statement: Statement) -> None:
        """Refuse a backslash in a plain string where the session reads it as an escape."""
        if statement.escapes:
            status = _raw(connection).info.parameter_status("standard_conforming_strings")
            if status == "off":
                raise UsageError(
                    "a string has a backslash in it, and this session reads it as an escape",
                    service="db",
                    hint="write E'...' for escapes, or bind the text, as in :name",
                )

    def _fetch_in_parts(
        self, connection: Connection, sql: str, params: Any, bounds: Bounds
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Take rows from the server as they come: libpq would collect all of them first."""
        with _raw(connection).cursor() as cursor:
            rows = cursor.stream(sql, params or (), size=CHUNK)
            try:
                found = fetch_all(lambda size: list(itertools.islice(rows, size)), bounds)
            except UsageError:
                if self.in_transaction(connection):
                    collections.deque(rows, maxlen=0)  # a cancel would abort the transaction
                raise
            finally:
                rows.close()  # cancels what has not been sent yet
            return self.columns_of(cursor.description or ()), found

    @contextmanager
    def _transaction(self, connection: Connection) -> Iterator[None]:
        """Run a block in the transaction that is open, or in one of its own."""
        if self.in_transaction(connection):
            yield
            return
        self.begin(connection)
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):  # the first error says what happened
                self.rollback(connection)
            raise
        self.commit(connection)

    def stream(
        self, connection: Connection, statement: Statement, sql: str, params: Any, chunk: int
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Read in a transaction; one that is not read to its end is rolled back."""
        raw = _raw(connection)
        self._refuse_unclear(connection, statement)
        with self._transaction(connection):
            if statement.keyword == "copy":
                yield from postgres_copy.stream(raw, sql, params, chunk)
            else:
                read = self._read_cursor if statement.reads else self._read_parts
                yield from read(raw, sql, params, chunk)

    def _read_cursor(
        self, raw: Any, sql: str, params: Any, chunk: int
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Read a query through a server-side cursor: its rows are made as they are read."""
        from psycopg import ClientCursor

        # A cursor's declaration takes no parameters that the server can tell the type of.
        text = ClientCursor(raw).mogrify(sql, params or ())
        with raw.cursor(name=f"agentnb_{next(self._cursors)}") as cursor:
            cursor.execute(text)
            yield from chunks(self.columns_of(cursor.description), cursor.fetchmany, chunk)

    def _read_parts(
        self, raw: Any, sql: str, params: Any, chunk: int
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Read what has no cursor, such as INSERT ... RETURNING, as the rows arrive."""
        from psycopg import ProgrammingError

        parts = {"size": chunk} if _in_parts() else {}
        with raw.cursor() as cursor:
            found = cursor.stream(sql, params or (), **parts)
            try:
                while rows := list(itertools.islice(found, chunk)):
                    yield self.columns_of(cursor.description), rows
            except ProgrammingError as error:
                if error.sqlstate is None and cursor.description is None:
                    raise no_rows() from error
                raise

    def translate(self, error: Exception, watch: Watch | None, sql: str) -> AgentnbError:
        """Return our error for the server's or psycopg's."""
        return translate(error, watch, sql, self.target)

    def uri_for_adbc(self) -> str | None:
        """Return a libpq URI whose session can only read, so that nothing runs twice."""
        return self.connector.uri_for_adbc()


def _in_parts() -> bool:
    """Return whether libpq sends rows in parts of more than one."""
    from psycopg import pq

    return pq.version() >= _CHUNKED_ROWS


def _raw(connection: Connection) -> Any:
    """Return psycopg's connection, which other threads may cancel."""
    raw: Any = connection.connection.dbapi_connection
    return getattr(raw, "driver_connection", raw)


def _cancel(raw: Any) -> None:
    try:
        raw.cancel_safe(timeout=GRACE)
    except Exception as error:  # noqa: BLE001 - the cut that follows needs no cancel
        logger.debug("cancel: %s", error)


def _cut(raw: Any) -> None:
    """Shut the socket down: the thread that waits on it gets an end of file."""
    # A duplicate, because closing psycopg's own descriptor under it could hit another file.
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(raw.fileno())) as link:
        link.shutdown(socket.SHUT_RDWR)
