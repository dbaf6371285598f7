"""Short transactions on the database, in plain SQL, for the statements that run for every task.

Statements are written once, with ``:name`` for values and ``{task}`` for tables. On SQLite the
threads of a process take turns by a lock, since SQLite itself would make them sleep and look again.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import Watch
from agentnb.core.db.open_transactions import is_open_here
from agentnb.core.errors import UsageError
from agentnb.core.forking import new_lock
from agentnb.core.resilience import Deadline
from agentnb.core.workflow.rights import explained
from agentnb.core.workflow.table_names import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from agentnb.core.clock import Clock
    from agentnb.core.db import Database
    from agentnb.core.db.transaction import TransactionRunner

__all__ = ["Transaction", "Transactions", "check_own", "listed", "plain"]

# A heartbeat that waits for another's lock for this long still comes within its lease.
_PATIENCE = 10.0
# A host that vanishes in a transaction would keep its locks for hours. Set for the transaction
# alone: a pooler lends the session to others, and a transaction of the user's may take its time.
IDLE_SECONDS = 5.0
_LIMITS = f"set local idle_in_transaction_session_timeout = '{IDLE_SECONDS:g}s'"
_VALUE = re.compile(r"(?<![:\w]):([a-z_]+)")
# The words in which the two differ. SQLite locks the whole file: no row needs a lock. Work is due
# by `now`, which a test can move; leases and heartbeats go by `clock`.
_POSTGRES = {
    "now": "(extract(epoch from clock_timestamp())::float8 + :offset)",
    "clock": "extract(epoch from clock_timestamp())::float8",
    "lock": "for update",
    "lock_free": "for update skip locked",
    "share": "for share",
    "agents": "json_array_elements_text(cast(:agents as json)) a(agent)",
    "in_places": "= any(array(select cast(v as int) "
    "from json_array_elements_text(cast(:places as json)) v))",
    "in_names": "= any(array(select json_array_elements_text(cast(:names as json))))",
    "id_in_what": "cast(:id as text) in (select json_array_elements_text(cast(what as json)))",
    "places": "json_array_elements_text(cast(f.frees as json)) j(value)",
    "a_place": "cast(j.value as integer)",
    "mod": "%%",  # of which the driver makes one
}
_SQLITE = {
    "now": ":now",
    "clock": ":clock",
    "lock": "",
    "lock_free": "",
    "share": "",
    "agents": "(select value as agent from json_each(:agents)) a",
    "in_places": "in (select value from json_each(:places))",
    "in_names": "in (select value from json_each(:names))",
    "id_in_what": ":id in (select value from json_each(what))",
    "places": "json_each(f.frees) j",
    "a_place": "j.value",
    "mod": "%",
}


class Transaction:
    """A transaction, or a single read, on one connection.

    Attributes
    ----------
    postgres
        Whether it is PostgreSQL.
    once
        Whether each message is a transaction of its own.
    open
        Whether a transaction was begun that is to be committed.
    contended
        Whether a row was skipped since another transaction had locked it: look again soon.
    """

    __slots__ = ("_opening", "_raw", "_times", "contended", "once", "open", "postgres")

    def __init__(
        self,
        connection: Connection,
        *,
        postgres: bool,
        clock: Clock,
        opening: str | None = None,
        once: bool = False,
    ) -> None:
        raw: Any = connection.connection.dbapi_connection
        self._raw = raw
        self._opening = opening
        self.postgres = postgres
        self.once = once
        self.open = False
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
            if not self.open:
                self.rows("select 1")  # many messages follow, none of which can open it
            with self._raw.cursor() as cursor:
                cursor.executemany(text, [{**self._times, **row} for row in rows])
        else:
            self._raw.executemany(text, [{**self._times, **row} for row in rows])

    def several(self, statements: Sequence[str], **values: Any) -> list[list[tuple[Any, ...]]]:
        """Execute statements that PostgreSQL gets in one message, and return the rows of each.

        Each sees what others have committed before it begins. Where the transaction is for this
        message `once`, it begins and ends with it: nobody waits for a lock while the network
        carries it, and a host that vanishes leaves no lock behind.
        """
        texts = [_text(sql, True) for sql in statements]  # noqa: FBT003 - cached by position
        cursor = self._send(";\n".join([*texts, "commit"] if self.once else texts), values)
        self.open = not self.once
        found = [_rows_of(cursor)]
        while cursor.nextset():
            found.append(_rows_of(cursor))
        end = len(found) - self.once
        return found[end - len(statements) : end]

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
        if self.postgres:
            cursor = self._send(_text(sql, True), values)  # noqa: FBT003 - cached by position
            while cursor.nextset():  # those before it have opened the transaction
                pass
            return cursor
        values |= self._times
        try:
            return self._raw.execute(_text(sql, False), values)  # noqa: FBT003 - as above
        except (OverflowError, UnicodeEncodeError) as error:  # while it binds the values
            raise UsageError(
                f"the database takes no such value: {error}",
                service="workflow",
                hint="text must be encodable in UTF-8, whole numbers fit 64 bits",
            ) from error

    def _send(self, text: str, values: dict[str, Any]) -> Any:
        """Send statements in one message, behind what opens the transaction; return the cursor."""
        if self._opening is not None and not self.open:
            text = f"{self._opening};\n{text}"
            self.open = True
        return self._raw.execute(text, values | self._times)


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
        self._one: Any = nullcontext() if self.postgres else new_lock()

    @property
    def where(self) -> str:
        """Return the database as messages name it, without its password."""
        return str(self.database.access.backend.target)

    @contextmanager
    def write(self, patience: float | None = None, *, once: bool = False) -> Iterator[Transaction]:
        """Run a block in a transaction of its own, all or nothing.

        PostgreSQL is told to begin with the first statement.

        Parameters
        ----------
        patience
            Seconds for it.
        once
            Let each call of `Transaction.several` be a transaction of its own on PostgreSQL.

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
            tx = self._transaction(connection, opening=self._opening, once=once)
            if not self.postgres:
                backend.begin(connection)
                tx.open = True
            try:
                yield tx
                if tx.open:
                    backend.commit(connection)
            except BaseException:
                self._undo(connection)
                raise

    @property
    def _opening(self) -> str | None:
        """The statements that begin a transaction and give it its settings; None for SQLite."""
        if not self.postgres:
            return None
        opening = ";\n".join([*self.database.access.backend.opening, _LIMITS])
        return opening.replace("%", "%%")  # it is sent together with values

    def _transaction(self, connection: Connection, **options: Any) -> Transaction:
        return Transaction(connection, postgres=self.postgres, clock=self.clock, **options)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Run a block whose statements each see what there is at their time."""
        with self._connection() as connection:
            yield self._transaction(connection)

    def run(self, sql: str, **values: Any) -> int:
        """Execute one statement in a transaction of its own; return how many rows it changed."""
        with self.read() if self.postgres else self.write() as tx:
            return tx.run(sql, **values)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Run a block whose statements all see the same, and write nothing."""
        begin = "begin isolation level repeatable read read only" if self.postgres else "begin"
        with self._connection() as connection:
            connection.exec_driver_sql(begin)
            try:
                if self.postgres:
                    connection.exec_driver_sql(_LIMITS)
                yield self._transaction(connection)
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
        with (
            self.database.access.checkout(watch.deadline) as connection,
            self._watching(connection, watch),
        ):
            yield connection

    @contextmanager
    def _watching(self, connection: Connection, watch: Watch) -> Iterator[None]:
        """Let statements of a connection have their time, and raise our errors for the driver's."""
        # SQLite's own wait for a lock is short, and its statements are as well.
        guard: AbstractContextManager[None] = nullcontext()
        if self.postgres:
            guard = self.database.access.backend.watching(connection, watch)
        try:
            with guard:
                yield
        except Exception as error:
            ours = self.database.access.error_of(error, watch, "") if _driver(error) else None
            if ours is None or ours is error:
                raise
            raise explained(self.database, ours) from error

    @contextmanager
    def within(
        self, runner: TransactionRunner, patience: float | None = None
    ) -> Iterator[Transaction]:
        """Run a block within the caller's transaction, which goes on after an error.

        Parameters
        ----------
        runner
            That of the transaction, as `agentnb.core.workflow.within.check_transaction` gives it.
        patience
            Seconds for the block.
        """
        watch = Watch(Deadline(self.patience if patience is None else patience))
        with (
            runner.begun(watch.deadline),
            runner.checkout(watch.deadline) as connection,
            self._watching(connection, watch),
        ):
            tx = self._transaction(connection)
            tx.open = True
            yield tx


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


def _rows_of(cursor: Any) -> list[tuple[Any, ...]]:
    return [] if cursor.description is None else list(cursor.fetchall())


def _driver(error: Exception) -> bool:
    """Return whether an error is the driver's or SQLAlchemy's."""
    return type(error).__module__.partition(".")[0] in {"sqlite3", "psycopg", "sqlalchemy"}


@lru_cache(maxsize=500)
def _text(sql: str, postgres: bool) -> str:  # noqa: FBT001 - as cached
    kind = "postgresql" if postgres else "sqlite"
    words = names(kind) | (_POSTGRES if postgres else _SQLITE)
    filled = re.sub(r"\{([a-z_]+)\}", lambda found: words[found[1]], sql)
    return _VALUE.sub(r"%(\1)s", filled) if postgres else filled
