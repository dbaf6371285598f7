"""SQLite: one file, many readers, one writer at a time."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agentnb.core.db import values
from agentnb.core.db.backend import Backend, Watch, logger, stray_begin
from agentnb.core.db.sqlite_errors import BUSY, translate
from agentnb.core.errors import ConfigError, FileNotFound, UsageError
from agentnb.core.paths import is_network

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["SQLite"]

# How long a writer waits for another writer, and after how many of SQLite's virtual
# machine steps a running statement looks at its watch: some tens of microseconds apart.
BUSY_SECONDS = 5.0
STEPS = 10_000
# SQLite stores these as they are.
_STORED = (str, float, bytes, bytearray, memoryview)


class _Guard:
    """Read by SQLite's progress handler on every few thousand steps of one connection."""

    __slots__ = ("watch",)

    def __init__(self) -> None:
        self.watch: Watch | None = None

    def over(self) -> bool:
        watch = self.watch
        return watch is not None and watch.over


class _Watching:
    """Hands a connection's guard the watch; hand-written to cost next to nothing."""

    __slots__ = ("_connection", "_guard", "_outer", "_short", "_watch")

    def __init__(self, connection: Connection, watch: Watch) -> None:
        self._connection = connection
        self._guard: _Guard = connection.info["guard"]
        self._watch = watch

    def __enter__(self) -> None:
        self._outer = self._guard.watch  # of a stream that is being read
        left = self._watch.deadline.remaining()
        # A wait for the lock is inside SQLite, where no progress handler is called.
        self._short = left is not None and left < BUSY_SECONDS
        if self._short:
            _busy_timeout(self._connection, left or 0)
        self._guard.watch = self._watch

    def __exit__(self, *_: object) -> None:
        self._guard.watch = self._outer
        if self._short and not self._connection.invalidated:
            _busy_timeout(self._connection, BUSY_SECONDS)


class SQLite(Backend):
    """A SQLite file in WAL mode; single statements autocommit, transactions are IMMEDIATE.

    An IMMEDIATE transaction takes the write lock at its start. A deferred one that turns
    into a writer later fails at once instead of waiting its turn.

    Source: https://sqlite.org/lang_transaction.html, https://sqlite.org/wal.html
    """

    explain = "explain query plan"

    def refuse_read_only(self, target: Target) -> None:
        """Refuse only what could not have anything in it to read."""
        if target.path is None:
            raise UsageError(
                "a read-only database in memory would stay empty",
                service="db",
                hint="name a file: sqlite:///path.db",
            )

    @property
    def alone(self) -> bool:
        """Whether there is one connection only, as to a database in memory."""
        return self.target.path is None

    def engine_options(self, pool_size: int, connect_timeout: float) -> dict[str, Any]:  # noqa: ARG002 - a file answers at once
        """Return the keywords of ``create_engine``."""
        from sqlalchemy.pool import QueuePool

        shared = not self.alone
        return {
            "poolclass": QueuePool,
            # In memory every connection would be a database of its own: there is just one.
            "pool_size": (self.target.pool_size or pool_size) if shared else 1,
            "max_overflow": 10 if shared else 0,
            "connect_args": {"check_same_thread": False, "timeout": BUSY_SECONDS},
            "isolation_level": "AUTOCOMMIT",
        }

    def pool_hint(self) -> str:
        """Say what to do when no connection is free."""
        if self.alone:
            return "in memory there is one connection: inside a transaction use the transaction"
        return super().pool_hint()

    def engine(self, *, pool_size: int, connect_timeout: float) -> Engine:
        """Return an engine whose connections are set up as they are opened."""
        from sqlalchemy import event

        path = self.target.path
        if path is not None:
            self._prepare(path)
            if self.read_only:
                # A pragma could take `query_only` back, but not this.
                self.target.url = self.target.url.set(
                    database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"}
                )
        engine = super().engine(pool_size=pool_size, connect_timeout=connect_timeout)
        event.listen(engine, "connect", self._set_up)
        return engine

    def _prepare(self, path: Any) -> None:
        if path.is_dir():
            raise ConfigError(
                f"{path} is a folder, not a SQLite file", service="db", hint="name a file in it"
            )
        if self.read_only:
            if not path.exists():
                raise FileNotFound(
                    f"there is no SQLite file {path} to read",
                    service="db",
                    hint="leave read_only=True (--read-only) away to make a new one",
                )
            return
        if not path.parent.is_dir():
            raise ConfigError(
                f"the folder {path.parent} of the SQLite file does not exist",
                service="db",
                hint="make it first, or correct the path",
            )

    def _set_up(self, raw: sqlite3.Connection, record: Any) -> None:
        guard = record.info["guard"] = _Guard()
        raw.set_progress_handler(guard.over, STEPS)
        raw.execute("pragma foreign_keys = on")
        if self.read_only:
            raw.execute("pragma query_only = on")
            from agentnb.core.db.sqlite_read_only import authorize

            raw.set_authorizer(authorize)
        elif self.target.path is not None and not is_network(self.target.path):
            # WAL needs memory that its users share, which no network file system has.
            raw.execute(f"pragma synchronous = {'off' if self.ephemeral else 'normal'}")
            _without_waiting(raw, "pragma journal_mode = wal")

    def adapt(self, value: Any) -> Any:
        """Return a value as SQLite stores it.

        Times become text, aware ones in UTC, so that they compare as the times do; a Decimal
        becomes the integer or float that is equal to it.

        Raises
        ------
        UnfitError
            It has more digits than SQLite's numbers hold, or SQLite has no type for it.
        """
        value = super().adapt(value)
        if isinstance(value, int):
            return values.exact_integer(value)
        if value is None or isinstance(value, _STORED):
            return value
        if isinstance(value, decimal.Decimal):
            return values.exact_number(value)
        if isinstance(value, dt.datetime):
            return values.utc_text(value)
        if isinstance(value, dt.time) and value.tzinfo is not None:
            raise values.UnfitError(
                "is a time of day with an offset, which SQLite cannot compare",
                "take the offset away, as in value.replace(tzinfo=None), or store a datetime",
            )
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, dt.timedelta):
            raise values.UnfitError(
                "is a duration, which SQLite has no type for",
                "store its seconds: value.total_seconds(), or series.dt.total_seconds()",
            )
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, values.TEXTUAL):
            return str(value)
        raise values.UnfitError(
            f"is a {type(value).__name__}, which SQLite has no type for",
            "bind a number, text, bytes, a time, a UUID, a path or a dictionary; "
            "a list goes after IN",
        )

    def in_transaction(self, connection: Connection) -> bool:
        """Return whether a transaction is open: SQLite rolls back by itself on some errors."""
        if self.lost(connection):  # as an interrupt leaves it
            return False
        raw: Any = connection.connection.dbapi_connection  # after each statement: not by a call
        return bool(raw.in_transaction)

    # By the driver: SQLAlchemy, which takes the connection for one that commits each statement,
    # would make a transaction and a cursor of its own around each of these.

    def begin(self, connection: Connection) -> None:
        """Open a transaction that holds the write lock, unless it cannot write at all."""
        _raw(connection).execute("begin" if self.read_only else "begin immediate")

    def commit(self, connection: Connection) -> None:
        """Commit; a statement may have ended the transaction by itself."""
        if self.in_transaction(connection):
            _raw(connection).execute("commit")

    def rollback(self, connection: Connection) -> None:
        """Roll back; a statement may have ended the transaction by itself."""
        if self.in_transaction(connection):
            _raw(connection).execute("rollback")

    def settle(self, connection: Connection) -> None:
        """Leave nothing open: a stray ``begin`` would lock every other writer out."""
        if self.in_transaction(connection):
            connection.exec_driver_sql("rollback")
            raise stray_begin()

    def watching(self, connection: Connection, watch: Watch) -> AbstractContextManager[None]:
        """Let the progress handler of this connection look at the watch."""
        return _Watching(connection, watch)

    def translate(self, error: Exception, watch: Watch | None, sql: str) -> AgentnbError:
        """Return our error for SQLite's."""
        return translate(error, watch, sql, self.target)

    def uri_for_adbc(self) -> str | None:
        """Return a URI that can only read, so that nothing is ever executed twice."""
        if self.target.path is None:
            return None
        return f"file:{quote(str(self.target.path))}?mode=ro"


def _raw(connection: Connection) -> Any:
    """Return the driver's connection."""
    return connection.connection.dbapi_connection


def _busy_timeout(connection: Connection, seconds: float) -> None:
    _raw(connection).execute(f"pragma busy_timeout = {int(seconds * 1000)}")


def _without_waiting(raw: sqlite3.Connection, pragma: str) -> None:
    """Run a pragma that loses a race harmlessly: two processes may open a new file at once."""
    import sqlite3

    for _ in range(50):
        try:
            raw.execute(pragma)
        except sqlite3.OperationalError as error:
            if not BUSY.search(str(error)):
                logger.debug("%s: %s", pragma, error)
                return
            time.sleep(0.02)
        else:
            return
