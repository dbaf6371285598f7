"""The parts of PEP 249 that SQLAlchemy wants, over DuckDB's own client.

Source: https://duckdb.org/docs/stable/clients/python/dbapi
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.db.backend import Watch

__all__ = ["DuckConnection", "DuckCursor"]


class DuckConnection:
    """A connection: a cursor of DuckDB, with the transaction that is open on it.

    Each statement commits by itself, unless a ``begin`` is open.

    Parameters
    ----------
    native
        DuckDB's cursor, which has settings, temporary tables and transactions of its own.
    closed
        Called once it is closed.
    root
        The connection that it is a cursor of.

    Attributes
    ----------
    open
        Whether a ``begin`` is open.
    failed
        Whether a statement failed after which only a rollback is taken.
    retired
        True for one that is closed when it is given back, and not lent again.
    watch
        The watch of the statement that is running.
    """

    __slots__ = ("_closed", "failed", "native", "open", "retired", "root", "watch")

    def __init__(self, native: Any, closed: Callable[[DuckConnection], object], root: Any) -> None:
        self.native = native
        self.root = root
        self._closed = closed
        self.open = self.failed = self.retired = False
        self.watch: Watch | None = None

    def cursor(self) -> DuckCursor:
        """Return a cursor."""
        return DuckCursor(self)

    def begin(self) -> None:
        """Open a transaction."""
        self.native.execute("begin")
        self.open = True

    def commit(self) -> None:
        """Commit what `begin` opened, if it did."""
        if self.open:
            self.native.execute("commit")
            self.open = self.failed = False

    def rollback(self) -> None:
        """Roll back what `begin` opened, if it did."""
        if self.open:
            self.open = self.failed = False
            self.native.execute("rollback")

    def end(self) -> None:
        """End the result of the last statement, which may not have been read to its end."""
        if abort := getattr(self.native, "abort", None):  # since DuckDB 2
            abort()

    def close(self) -> None:
        """Close it."""
        try:
            self.native.close()
        finally:
            self._closed(self)


class DuckCursor:
    """A cursor of a connection, which has one result at a time."""

    arraysize = 1
    lastrowid = None

    def __init__(self, connection: DuckConnection) -> None:
        self._native = connection.native
        self.description: Sequence[tuple[Any, ...]] | None = None
        self.rowcount = -1

    def execute(self, sql: str, params: Sequence[Any] | None = None) -> None:
        """Execute one statement."""
        self._native.execute(sql, list(params) if params else None)
        self.description = self._native.description

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        """Execute one statement for each sequence of values."""
        self._native.executemany(sql, [list(one) for one in params])

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return self._native.fetchone()

    def fetchmany(self, size: int = 1) -> Any:
        """Return the next rows."""
        return self._native.fetchmany(size)

    def fetchall(self) -> Any:
        """Return the rows that are left."""
        return self._native.fetchall()

    def setinputsizes(self, *_: object) -> None:
        """Do nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Leave the result."""
        self.description = None
