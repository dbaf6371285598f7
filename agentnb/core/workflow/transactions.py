"""Short transactions on the database, in plain SQL, for the statements that run for every task.

Statements are written once, with ``:name`` for values and ``{task}`` for tables. On SQLite the
threads of a process take turns by a lock, since SQLite itself would make them sleep and look again.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import Watch
from agentnb.core.db.open_transactions import is_open_here
from agentnb.core.errors import UsageError
from agentnb.core.resilience import Deadline
from agentnb.core.workflow.models import names
from agentnb.core.workflow.rights import explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from agentnb.core.clock import Clock
    from agentnb.core.db import Database

__all__ = ["Transaction", "Transactions", "check_own", "listed", "plain"]

# A heartbeat that waits for another's lock for this long still comes within its lease.
_PATIENCE = 10.0
_VALUE = re.compile(r"(?<![:\w]):([a-z_]+)")
# The words in which the two differ. SQLite locks the whole file: no row needs a lock. Work is due
# by `now`, which a test can move; leases and heartbeats go by `clock`.
_POSTGRES = {
    "now": "(extract(epoch from clock_timestamp())::float8 + :offset)",
    "clock": "extract(epoch from clock_timestamp())::float8",
    "lock": "for update",
    "lock_free": "for update skip locked",
    "lock_claim": "for no key update skip locked",
    "agents": "json_array_elements_text(cast(:agents as json)) a(agent)",
    "places": "json_array_elements_text(cast(f.frees as json)) j(value)",
    "a_place": "cast(j.value as integer)",
}
_SQLITE = {
    "now": ":now",
    "clock": ":clock",
    "lock": "",
    "lock_free": "",
    "lock_claim": "",
    "agents": "(select value as agent from json_each(:agents)) a",
    "places": "json_each(f.frees) j",
    "a_place": "j.value",
}


class Transaction:
    """A transaction, or a single read, on one connection.

    Attributes
    ----------
    postgres
        Whether it is PostgreSQL.
    contended
        Whether a row was skipped since another transaction had locked it: look again soon.
    """

    __slots__ = ("_raw", "_times", "contended", "postgres")

    def __init__(self, connection: Connection, *, postgres: bool, clock: Clock) -> None:
        raw: Any = connection.connection.dbapi_connection
        self._raw = raw
        self.postgres = postgres
        self.contended = False
        now = time.time()
        offset = clock.offset
        self._times = {"offset": offset} if postgres else {"now": now + offset, "clock": now}

    def run(self, sql: str, **values: Any) -> int:
        """Execute a statement, and return how many rows it changed."""
        return int(self._execute(sql, values).rowcount)

    def many(self, sql: str, rows: list[dict[str, Any]]) -> None:
        """Execute a statement for each of some rows of values."""
        if not rows:
            return
        text = _text(sql, self.postgres)
        if self.postgres:
            with self._raw.cursor() as cursor:
                cursor.executemany(text, [{**self._times, **row} for row in rows])
        else:
            self._raw.executemany(text, [{**self._times, **row} for row in rows])

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement, and return its rows."""
        found: list[tuple[Any, ...]] = self._execute(sql, values).fetchall()
        return found

    def row(self, sql: str, **values: Any) -> tuple[Any, ...] | None:
        """Execute a statement, and return its first row, or None."""
        found = self.rows(sql, **values)
        return found[0] if found else None

    def now(self) -> float:
        """Return the time by which tasks are due."""
        return self._read("now")

    def clock(self) -> float:
        """Return the time by the clock that all who share the database go by."""
        return self._read("clock")

    def _read(self, name: str) -> float:
        found = self._times.get(name)
        return float(self.rows(f"select {{{name}}}")[0][0]) if found is None else found

    def _execute(self, sql: str, values: dict[str, Any]) -> Any:
        values |= self._times
        if self.postgres:
            return self._raw.execute(_text(sql, True), values)  # noqa: FBT003 - cached by position
        try:
            return self._raw.execute(_text(sql, False), values)  # noqa: FBT003 - as above
        except (OverflowError, UnicodeEncodeError) as error:  # while it binds the values
            raise UsageError(
                f"the database takes no such value: {error}",
                service="workflow",
                hint="text must be encodable in UTF-8, whole numbers fit 64 bits",
            ) from error


class Transactions:
    """Opens transactions on a database.

    Parameters
    ----------
    database
        SQLite in a file, or PostgreSQL.
    clock
        The time by which tasks are due; default: that of the database.

    Attributes
    ----------
    clock
        The clock.
    patience
        Seconds for a transaction without a limit of its own. SQLite waits five seconds for
        another process to end its writing in any case.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self.database = database
        self.clock = clock or database.access.runtime.clock
        self.patience = _PATIENCE
        self.postgres = database.kind == "postgresql"
        self._one: Any = nullcontext() if self.postgres else threading.Lock()

    @property
    def where(self) -> str:
        """Return the database as messages name it, without its password."""
        return str(self.database.access.backend.target)

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Transaction]:
        """Run a block in a transaction of its own, all or nothing.

        Raises
        ------
        UnavailableError
            The database is away, or somebody else's lock was not released in time.
        UsageError
            This thread has a transaction of its own open on the same SQLite file.
        ConfigError
            A right on its tables is missing, or it only reads.
        """
        backend = self.database.access.backend
        check_own(self.database)
        with self._one, self._connection(patience) as connection:
            backend.begin(connection)
            try:
                yield Transaction(connection, postgres=self.postgres, clock=self.clock)
            except BaseException:
                self._undo(connection)
                raise
            try:
                backend.commit(connection)
            except BaseException:
                self._undo(connection)
                raise

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Run a block whose statements each see what there is at their time."""
        with self._connection() as connection:
            yield Transaction(connection, postgres=self.postgres, clock=self.clock)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Run a block whose statements all see the same, and write nothing."""
        begin = "begin isolation level repeatable read read only" if self.postgres else "begin"
        with self._connection() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield Transaction(connection, postgres=self.postgres, clock=self.clock)
            finally:
                self._undo(connection)

    def _undo(self, connection: Connection) -> None:
        try:
            if self.database.access.backend.in_transaction(connection):
                self.database.access.backend.rollback(connection)
        except Exception as error:  # noqa: BLE001 - the first error says what happened
            self.database.access.log.debug("rollback: %s", error)
            connection.invalidate()

    @contextmanager
    def _connection(self, patience: float | None = None) -> Iterator[Connection]:
        """Lend a connection for some seconds, and raise our errors for the driver's."""
        watch = Watch(Deadline(self.patience if patience is None else patience))
        with self.database.access.checkout(watch.deadline) as connection:
            # SQLite's own wait for a lock is short, and its statements are as well.
            guard: AbstractContextManager[None] = nullcontext()
            if self.postgres:
                guard = self.database.access.backend.watching(connection, watch)
            try:
                with guard:
                    yield connection
            except Exception as error:
                ours = self.database.access.error_of(error, watch, "") if _driver(error) else None
                if ours is None or ours is error:
                    raise
                raise explained(self.database, ours) from error


def check_own(database: Database, *, awaits: bool = False) -> None:
    """Raise at once where a write would wait for a transaction of the caller's own.

    Parameters
    ----------
    database
        The database that is to be written to.
    awaits
        Whether the caller awaits the write, in an asyncio task.

    Raises
    ------
    UsageError
        This thread has a transaction open on the same SQLite file.
    """
    if database.kind == "sqlite" and is_open_here(
        database.access.backend.target.path, awaits=awaits
    ):
        raise UsageError(
            "workflows cannot be written while a transaction of this very thread is open: "
            "SQLite has one writer",
            service="workflow",
            hint="end it first (%db commit, or %db rollback); or move the call "
            "out of `with db.transaction()`, or use PostgreSQL, which takes both at once",
        )


def listed(values: Iterable[Any]) -> tuple[str, dict[str, Any]]:
    """Return the marks of a list in SQL, and its values by their names.

    >>> listed(["a", "b"])
    (':one_aaa, :one_aab', {'one_aaa': 'a', 'one_aab': 'b'})
    """
    named = {f"one_{_letters(n)}": one for n, one in enumerate(values)}
    return ", ".join(f":{name}" for name in named), named


def plain(text: str) -> str:
    r"""Return a text that every database takes.

    >>> plain("a\x00b\ud800")
    'ab?'
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _letters(number: int) -> str:
    return "".join(chr(97 + number // 26**n % 26) for n in (2, 1, 0))


def _driver(error: Exception) -> bool:
    """Return whether an error is the driver's or SQLAlchemy's."""
    return type(error).__module__.partition(".")[0] in {"sqlite3", "psycopg", "sqlalchemy"}


@lru_cache(maxsize=500)
def _text(sql: str, postgres: bool) -> str:  # noqa: FBT001 - as cached
    kind = "postgresql" if postgres else "sqlite"
    words = names(kind) | (_POSTGRES if postgres else _SQLITE)
    filled = re.sub(r"\{([a-z_]+)\}", lambda found: words[found[1]], sql)
    return _VALUE.sub(r"%(\1)s", filled) if postgres else filled
