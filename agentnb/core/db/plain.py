"""Any database that SQLAlchemy has a dialect for: statements, binds, results and errors."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from agentnb.core.db import plain_errors
from agentnb.core.db.backend import Backend, chunks, no_rows, stray_begin
from agentnb.core.db.bounds import fetch_all
from agentnb.core.db.notices import notify
from agentnb.core.db.values import UnfitError
from agentnb.core.errors import ConfigError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from agentnb.core.db.backend import Watch
    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.text import Statement
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["Plain"]

_PROCEDURES = {"call", "exec", "execute", "begin"}  # which may have many results
_BEGIN = {"begin", "start", "transaction", "tran", "work"}
# MySQL's client and server tell by this bit how they read a backslash in a string.
_NO_BACKSLASH_ESCAPES = 512
_PACKAGES = {
    "bigquery": "sqlalchemy-bigquery",
    "clickhouse": "clickhouse-sqlalchemy",
    "cockroachdb": "sqlalchemy-cockroachdb 'psycopg[binary]'",
    "databricks": "databricks-sqlalchemy",
    "mariadb": "pymysql",
    "mariadb+mariadbconnector": "mariadb",
    "mssql": "pyodbc",
    "mssql+pymssql": "pymssql",
    "mysql": "pymysql",
    "mysql+mysqlconnector": "mysql-connector-python",
    "mysql+mysqldb": "mysqlclient",
    "oracle": "oracledb",
    "redshift": "sqlalchemy-redshift redshift-connector",
    "snowflake": "snowflake-sqlalchemy",
    "trino": "trino[sqlalchemy]",
}
_SCHEMES = ("sqlite", "postgresql", "postgres", *_PACKAGES)


class Plain(Backend):
    """Plain support: no cancel and so no time-out, no read-only connection, no load.

    Statements run in the driver's own transactions and are committed one by one, unless a
    ``begin`` or a `Transaction` keeps them together.
    """

    support = "plain"
    notifies = True

    def __init__(self, target: Target, *, read_only: bool) -> None:
        super().__init__(target, read_only=read_only)
        self._begun: WeakSet[Connection] = WeakSet()
        self.note = (
            f"{target.kind} has plain support: no time-out (db_timeout is not applied), no load, "
            "no read-only connection"
        )

    def require(self, ability: str) -> None:
        """Refuse what only full support has."""
        raise UsageError(
            f"{self.target.kind} has plain support, which has no {ability}",
            service="db",
            hint="plain support runs statements and shows results; "
            "SQLite and PostgreSQL have full support",
        )

    def refuse_read_only(self, target: Target) -> None:
        """Refuse it: no connection here can be kept from writing."""
        raise ConfigError(
            f"{target.kind} has plain support, which has no read-only connection",
            service="db",
            hint="connect with a database user that may only read",
        )

    @property
    def cancels(self) -> bool:
        """Whether a statement can be stopped."""
        return False

    def adapt(self, value: Any) -> Any:
        """Return a value as drivers take it; refuse what MySQL's would cut without a word.

        Raises
        ------
        UnfitError
            It is a time with an offset, which they leave away.
        """
        value = super().adapt(value)
        if (
            self.target.kind in {"mysql", "mariadb"}
            and isinstance(value, (dt.datetime, dt.time))
            and value.tzinfo is not None
        ):
            raise UnfitError(
                "has an offset, which the driver leaves away",
                "convert it first: value.astimezone(UTC).replace(tzinfo=None)",
            )
        return value

    def driver_hint(self) -> str:
        """Name the package that has the driver."""
        name = self.target.url.drivername
        kind = self.target.kind
        package = _PACKAGES.get(name) or _PACKAGES.get(kind)
        if package is None:
            near = did_you_mean(kind, _SCHEMES)
            return near or "install the package that has the SQLAlchemy dialect for this database"
        if package == "pymysql":
            return f"%pip install pymysql, and write {kind}+pymysql://"
        return f"%pip install {package}"

    def in_transaction(self, connection: Connection) -> bool:
        """Return whether what `begin` opened is still open."""
        return connection in self._begun and not self.lost(connection)

    def begin(self, connection: Connection) -> None:
        """Open a transaction: SQLAlchemy begins one with the next statement."""
        self._begun.add(connection)

    def commit(self, connection: Connection) -> None:
        """Commit what `begin` opened."""
        self._begun.discard(connection)
        connection.commit()

    def rollback(self, connection: Connection) -> None:
        """Roll back what `begin` opened."""
        self._begun.discard(connection)
        connection.rollback()

    def settle(self, connection: Connection) -> None:
        """Make a single statement's effect last; leave no transaction open."""
        if self.in_transaction(connection):
            self.rollback(connection)
            raise stray_begin()
        connection.commit()

    def fetch(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        bounds: Bounds,
    ) -> tuple[tuple[str, ...] | None, list[tuple[Any, ...]], int]:
        """Execute and fetch; commit, unless a transaction is open."""
        if self._controlled(connection, statement):
            return None, [], 0
        self._refuse_unclear(connection, statement)
        columns, rows, count = self._fetch(connection, statement, sql, params, bounds)
        if not self.in_transaction(connection):
            connection.commit()
        return columns, rows, count

    def _fetch(
        self, connection: Connection, statement: Statement, sql: str, params: Any, bounds: Bounds
    ) -> tuple[tuple[str, ...] | None, list[tuple[Any, ...]], int]:
        result = connection.exec_driver_sql(sql, params)
        try:
            cursor: Any = result.cursor
            if cursor is None or cursor.description is None:
                return None, [], max(result.rowcount, 0)
            columns = tuple(column[0] for column in cursor.description)
            rows = fetch_all(cursor.fetchmany, bounds)
            count = max(result.rowcount, 0)
            if statement.keyword in _PROCEDURES and (more := _more_results(cursor)):
                notify(f"NOTICE: the statement has {more + 1} results; this is the first")
            return columns, rows, count
        finally:
            result.close()

    def _controlled(self, connection: Connection, statement: Statement) -> bool:
        """Begin, commit or roll back where the statement says so; SQLAlchemy keeps count."""
        word, words = statement.keyword, statement.words
        if word in {"begin", "start"} and words <= _BEGIN:
            if self.in_transaction(connection):
                raise UsageError(
                    "a transaction is open already", service="db", hint="commit or rollback first"
                )
            self.begin(connection)
        elif word in {"begin", "start"} and "transaction" in words:
            raise UsageError(
                f"{self.target.kind} has plain support, which begins transactions without options",
                service="db",
                hint="write begin alone",
            )
        elif word in {"commit", "end"} and words <= {word, "transaction", "tran", "work"}:
            self.commit(connection)
        elif word in {"rollback", "abort"} and words <= {word, "transaction", "tran", "work"}:
            self.rollback(connection)
        else:
            return False
        return True

    def _refuse_unclear(self, connection: Connection, statement: Statement) -> None:
        """Refuse a backslash in a string where the session may read it as no escape."""
        raw: Any = connection.connection.dbapi_connection
        status = getattr(raw, "server_status", 0)
        if statement.escapes and isinstance(status, int) and status & _NO_BACKSLASH_ESCAPES:
            raise UsageError(
                "a string has a backslash in it, and this session reads none as an escape",
                service="db",
                hint="bind the text, as in :name",
            )

    def stream(
        self,
        connection: Connection,
        statement: Statement,  # noqa: ARG002 - each is read in the same way
        sql: str,
        params: Any,
        chunk: int,
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Execute and yield columns and rows, chunk by chunk, as the driver allows it."""
        result = connection.exec_driver_sql(sql, params, execution_options={"stream_results": True})
        try:
            cursor = result.cursor
            if cursor is None or cursor.description is None:
                raise no_rows()
            columns = tuple(column[0] for column in cursor.description)
            # From SQLAlchemy: it has the first rows in a buffer of its own.
            for _, rows in chunks(columns, result.fetchmany, chunk):
                yield columns, [tuple(row) for row in rows]
        finally:
            result.close()

    def connect_error(self, error: Exception) -> AgentnbError | None:
        """Return our error for what a driver raises that is no error of a database."""
        if isinstance(error, (TypeError, ValueError, RuntimeError, ImportError)):
            return ConfigError(
                f"{self.target} cannot be connected to: {error}",
                service="db",
                hint=f"check the URL and its options; its driver: {self.driver_hint()}",
            )
        return None

    def translate(self, error: Exception, watch: Watch | None, sql: str) -> AgentnbError:  # noqa: ARG002 - nothing is cancelled
        """Return our error for the driver's, by its code, its text and its class."""
        return plain_errors.translate(error, sql, self.target)


def _more_results(cursor: Any) -> int:
    """Return how many results with rows come after the one that was read."""
    count = 0
    while getattr(cursor, "nextset", bool)():
        count += cursor.description is not None
    return count
