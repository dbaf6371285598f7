"""PostgreSQL through psycopg: server-side cursors, and cancels that the server obeys."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentnb.core.db.alarm import Alarm
from agentnb.core.db.backend import Backend, Watch, logger, message_of
from agentnb.core.errors import (
    ConfigError,
    NotFoundError,
    QueryRejected,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.text import Statement
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["Postgres"]

# After the server was asked to cancel it has this long to obey, in seconds; then the
# connection is cut, for a server that is frozen answers no cancel either.
GRACE = 1.5


class Postgres(Backend):
    """PostgreSQL; single statements autocommit, limited reads use a server-side cursor.

    Source: https://www.psycopg.org/psycopg3/docs/advanced/cursors.html
    """

    def __init__(self, target: Target, *, read_only: bool) -> None:
        super().__init__(target, read_only=read_only)
        self._alarm = Alarm(GRACE)

    def close(self) -> None:
        """End the thread that watches over running statements."""
        self._alarm.close()

    def refuse_read_only(self, target: Target) -> None:
        """PostgreSQL sessions can be made read-only."""
        options = str(target.connect_args.get("options", ""))
        target.connect_args["options"] = f"{options} -cdefault_transaction_read_only=on".strip()

    def driver_hint(self) -> str:
        """Say how psycopg is installed."""
        return "reinstall agentnb with its 'postgres' extra, or: %pip install 'psycopg[binary]'"

    def engine_options(self, pool_size: int, connect_timeout: float) -> dict[str, Any]:
        """Return the keywords of ``create_engine``."""
        options = super().engine_options(pool_size, connect_timeout)
        options["isolation_level"] = "AUTOCOMMIT"
        arguments = {"application_name": "agentnb", **self.target.connect_args}
        if "connect_timeout" not in self.target.url.query:
            # libpq's own is no bound at all; it counts in whole seconds, from 2.
            arguments["connect_timeout"] = max(2, int(connect_timeout))
        options["connect_args"] = arguments
        return options

    def engine(self, *, pool_size: int, connect_timeout: float) -> Engine:
        """Return an engine that logs what the server has to say."""
        from sqlalchemy import event

        engine = super().engine(pool_size=pool_size, connect_timeout=connect_timeout)
        event.listen(engine, "connect", _log_notices)
        return engine

    def begin(self, connection: Connection) -> None:
        """Open a transaction."""
        connection.exec_driver_sql("begin")

    def commit(self, connection: Connection) -> None:
        """Commit; raise if the server rolled back instead, as it does after an error."""
        if self._status(connection) == "INERROR":
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
            raise QueryRejected(
                "a transaction opened by a single statement was rolled back at once",
                service="db",
                hint="use `with hub.db.transaction()`, %%db --tx, or %db begin",
            )

    def _status(self, connection: Connection) -> str:
        raw: Any = connection.connection.dbapi_connection
        return str(raw.info.transaction_status.name)

    @contextmanager
    def watching(self, connection: Connection, watch: Watch) -> Iterator[None]:
        """Cancel on the server when the watch is over; cut the connection if it does not obey."""
        raw: Any = connection.connection.dbapi_connection
        # psycopg's own objects, not SQLAlchemy's wrapper: another thread uses them.
        raw = getattr(raw, "driver_connection", raw)
        with self._alarm.set(watch, lambda: _cancel(raw), lambda: _cut(raw)):
            yield

    def fetch(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        limit: int | None,
    ) -> tuple[tuple[str, ...] | None, list[tuple[Any, ...]], int]:
        """Fetch through a server-side cursor where there is a limit to gain from.

        The client library otherwise reads the whole result before it shows one row.
        """
        if limit is None or not statement.reads:
            return super().fetch(connection, statement, sql, params, limit)
        own = self._status(connection) == "IDLE"
        if own:
            self.begin(connection)
        try:
            result = connection.exec_driver_sql(
                sql, params, execution_options={"stream_results": True}
            )
            try:
                cursor: Any = result.cursor
                columns = tuple(column[0] for column in cursor.description)
                rows = cursor.fetchmany(limit + 1)
            finally:
                result.close()
        except BaseException:
            if own:
                with contextlib.suppress(Exception):  # the first error says what happened
                    self.rollback(connection)
            raise
        if own:
            self.commit(connection)
        return columns, rows, len(rows)

    def translate(self, error: Exception, watch: Watch | None, sql: str) -> AgentnbError:
        """Return our error for the server's, by its SQLSTATE.

        Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
        """
        original: Any = error
        state = getattr(original, "sqlstate", None) or ""
        diagnosis = getattr(original, "diag", None)
        text = (getattr(diagnosis, "message_primary", None) or message_of(error)).strip()
        hint = getattr(diagnosis, "message_hint", None) or getattr(
            diagnosis, "message_detail", None
        )
        if watch is not None and watch.over and (state == "57014" or not state):
            return watch.error()
        if state in {"28P01", "28000"} or "password authentication failed" in text:
            return ConfigError(
                f"{self.target} refused the login: {text}",
                service="db",
                hint="check the user and the password in the database URL",
            )
        if state == "3D000":
            return ConfigError(text, service="db", hint="check the name at the end of the URL")
        if state == "42P01":
            name = re.search(r'relation "([^"]+)"', text)
            return NotFoundError(f"no such table: {name[1] if name else text}", service="db")
        if state in {"55P03", "40001", "40P01"}:
            return UnavailableError(text, service="db", hint=hint or "run the transaction again")
        if not state or state[:2] in {"08", "53"} or state in {"57P01", "57P02", "57P03"}:
            return UnavailableError(
                f"{self.target} cannot be reached: {' '.join(text.split())}",
                service="db",
                hint="check that the server runs and that host and port are right",
            )
        line = _line_of(diagnosis, sql)
        return QueryRejected(f"{text}{line}", service="db", hint=hint)

    def uri_for_adbc(self) -> str | None:
        """Return a libpq URI whose session can only read, so that nothing runs twice."""
        options = str(self.target.connect_args.get("options", ""))
        if "default_transaction_read_only" not in options:
            options = f"{options} -cdefault_transaction_read_only=on".strip()
        url = self.target.url.set(drivername="postgresql").update_query_dict({"options": options})
        # libpq's URIs know %20 and not the plus sign.
        return url.render_as_string(hide_password=False).replace("+", "%20")


def _line_of(diagnosis: Any, statement: str) -> str:
    """Return where in a statement of several lines the server stopped understanding."""
    position = getattr(diagnosis, "statement_position", None)
    if not position or "\n" not in statement:
        return ""
    return f" (line {statement.count(chr(10), 0, int(position) - 1) + 1} of the statement)"


def _log_notices(raw: Any, _record: Any) -> None:
    def log(diagnosis: Any) -> None:
        logger.warning("%s: %s", diagnosis.severity, diagnosis.message_primary)

    raw.add_notice_handler(log)


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
