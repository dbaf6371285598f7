"""Results as Arrow data through ADBC, only where they are what the driver would have given.

Source: https://arrow.apache.org/adbc/
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from agentnb.core.db.adbc_types import (
    Unsuitable,
    expected_types,
    guarded,
    require_end,
    same_types,
)
from agentnb.core.db.backend import Backend, Watch, logger
from agentnb.core.db.effects import calls
from agentnb.core.db.postgres_read_only import READ
from agentnb.core.db.render import render
from agentnb.core.db.result import ArrowResult
from agentnb.core.db.watched import in_thread
from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.text import Statement

__all__ = ["Spare", "fetch"]

# Seconds after which an idle connection may have been dropped on its way, unnoticed here.
_IDLE = 60.0
_PLAIN = (str, int, float, bool, type(None))
# Functions of SQLite that tell of the connection that they are called on.
_OF_CONNECTION = frozenset({"changes", "last_insert_rowid", "total_changes"})


class Spare:
    """Keeps a connection to a server for the next fetch: making one takes longer than most.

    Thread-safe without a lock, which a forked child could inherit as it was, held.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[Any, float, int]] = deque()
        self._inherited: list[Any] = []

    def take(self) -> Any:
        """Return a connection that nobody else uses, or None."""
        while self._kept:
            try:
                connection, since, pid = self._kept.pop()
            except IndexError:
                break  # another thread was faster
            if pid != os.getpid():
                self._inherited.append(connection)  # the parent's: not used, not closed
            elif time.monotonic() - since < _IDLE:
                return connection
            else:
                connection.close()
        return None

    def keep(self, connection: Any) -> None:
        """Keep a connection that is idle, without what statements have made of its session."""
        if self._kept:
            connection.close()
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("discard all")
        except BaseException:
            connection.close()
            raise
        self._kept.append((connection, time.monotonic(), os.getpid()))

    def close(self) -> None:
        """Close what is kept."""
        while connection := self.take():
            connection.close()


def fetch(
    backend: Backend,
    statement: Statement,
    params: Mapping[str, Any],
    bounds: Bounds,
    watch: Watch,
    spare: Spare,
) -> ArrowResult | None:
    """Return a result, or None where ADBC is missing, fails, or would give other types.

    The connection can only read, so that a statement which then goes to the driver has
    not been executed before.

    Raises
    ------
    DeadlineExceeded
        The time was over.
    """
    uri = backend.uri_for_adbc()
    if backend.read_only and backend.kind == "postgresql" and not calls(statement.sql) <= READ:
        return None  # the driver asks what they do
    if uri is None or not statement.reads:
        return None
    if statement.words & _OF_CONNECTION and calls(statement.sql) & _OF_CONNECTION:
        return None
    try:
        text, values = _positional(backend, statement, params)
    except Unsuitable:
        return None
    # Cut by a server itself, so that all is read and the connection can be used again.
    text = backend.limited(statement, text, bounds.limit)
    job = _Job(backend.target.kind, uri, text, values, bounds, spare)
    try:
        table, truncated = job.run(watch)
    except (AgentnbError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the driver runs it again, and reports the error better
        logger.debug("adbc: %s: %s", type(error).__name__, error)
        return None
    return ArrowResult(table, statement=statement.sql, truncated=truncated)


def _positional(
    backend: Backend, statement: Statement, params: Mapping[str, Any]
) -> tuple[str, list[Any] | None]:
    text, values = render(statement, params, "qmark", backend.adapt, backend.no_values)
    if not values:
        return text, None
    # On PostgreSQL a parameter's type would be the value's, not what the statement expects.
    if backend.target.kind != "sqlite" or not all(isinstance(value, _PLAIN) for value in values):
        raise Unsuitable
    return text, list(values)


class _Job:
    """One fetch on a thread, so that Ctrl-C and the deadline are heard while it runs."""

    def __init__(
        self,
        kind: str,
        uri: str,
        text: str,
        values: list[Any] | None,
        bounds: Bounds,
        spare: Spare,
    ) -> None:
        self._kind = kind
        self._uri = uri
        self._text = text
        self._values = values
        self._bounds = bounds
        self._spare = spare
        self._given_up = False
        self._cursor: Any = None

    def run(self, watch: Watch) -> tuple[Any, bool]:
        return in_thread(self._fetch, watch, name="adbc", give_up=lambda _: self._give_up())

    def _give_up(self) -> None:
        self._given_up = True  # seen between two batches
        if cursor := self._cursor:
            # ADBC's SQLite driver has no cancel: there it ends by itself, see require_end.
            with contextlib.suppress(Exception):
                cursor.adbc_cancel()

    def _fetch(self) -> tuple[Any, bool]:
        dbapi = importlib.import_module(f"adbc_driver_{self._kind}.dbapi")
        if self._kind == "sqlite":  # a file opens at once, and may be another one next time
            with dbapi.connect(self._uri, autocommit=True) as connection:
                return self._read(connection)
        connection = self._spare.take() or dbapi.connect(self._uri, autocommit=True)
        try:
            found = self._read(connection)
        except BaseException:
            connection.close()
            raise
        self._spare.keep(connection)
        return found

    def _read(self, connection: Any) -> tuple[Any, bool]:
        import pyarrow as pa

        with connection.cursor() as cursor:
            self._cursor = cursor
            if self._kind == "postgresql":
                # Before anything runs: what the driver has to do must not be done twice.
                expected_types(cursor.adbc_execute_schema(self._text), self._kind, pa)
            text = self._text
            if self._kind == "sqlite":
                require_end(cursor, text, self._values)
                text = guarded(cursor, text, self._values)
            cursor.execute(text, self._values)
            reader = cursor.fetch_record_batch()
            kinds = expected_types(reader.schema, self._kind, pa)
            limit = self._bounds.limit
            batches, count, size = [], 0, 0
            for batch in reader:
                if self._given_up:
                    raise Unsuitable
                batches.append(batch)
                count += batch.num_rows
                if self._kind == "sqlite" and limit is not None and count > limit:
                    break
                size += batch.nbytes
                self._bounds.check(size, count)
            self._cursor = None
            table = pa.Table.from_batches(batches, reader.schema)
        truncated = limit is not None and table.num_rows > limit
        return same_types(table.slice(0, limit), kinds, self._kind, pa), truncated
