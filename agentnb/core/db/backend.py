"""The interface of a kind of database."""

from __future__ import annotations

import enum
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from agentnb.core.callthreads import current_call
from agentnb.core.db.bounds import Bounds, fetch_all
from agentnb.core.db.effects import changes
from agentnb.core.db.render import NO_VALUES
from agentnb.core.db.syntax import syntax_of
from agentnb.core.db.values import PLAIN, json_text, plain_value
from agentnb.core.errors import ConfigError, DeadlineExceeded, QueryRejected, UsageError
from agentnb.core.redact import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.database import Database
    from agentnb.core.db.fetching import Fetch
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.sources import Source
    from agentnb.core.db.state import Leaves
    from agentnb.core.db.text import Statement
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError
    from agentnb.core.resilience import Deadline

__all__ = ["Backend", "Watch", "chunks", "no_answer", "no_rows", "stray_begin"]

logger = logging.getLogger("agentnb.db")

# SQLAlchemy's own: seconds to wait for a connection, and how many above the pool's size.
POOL_SECONDS = 30.0
OVERFLOW = 10


class Watch:
    """The time a statement may take, and whether its caller was cancelled.

    Parameters
    ----------
    deadline
        When the driver is told to cancel.
    completes
        True if it runs to its end although its awaited caller was cancelled, as a rollback does.
    """

    __slots__ = ("_call", "alert", "deadline")

    def __init__(self, deadline: Deadline, *, completes: bool = False) -> None:
        self.deadline = deadline
        self.alert: Callable[[], None] | None = None
        self._call = None if completes else current_call("db")

    @property
    def cancelled(self) -> bool:
        """Return whether the awaited call was cancelled."""
        return self._call is not None and self._call.cancelled

    @property
    def over(self) -> bool:
        """Return whether the statement is to stop."""
        return self.cancelled or self.deadline.expired

    def error(self) -> DeadlineExceeded:
        """Return the error of a statement that was stopped."""
        return DeadlineExceeded(
            "the statement was cancelled: its time was over",
            service="db",
            hint="give it longer with timeout= (--timeout), or ask for less",
        )

    def started(self, alert: Callable[[], None]) -> None:
        """Note that the statement is under way, and the call that stops it early.

        It is called at once if the awaited call was cancelled before.
        """
        self.alert = alert
        if self._call is not None:
            self._call.add_stop(alert)

    def ended(self) -> None:
        """Note that the statement has ended."""
        alert, self.alert = self.alert, None
        if self._call is not None and alert is not None:
            self._call.remove_stop(alert)


class Backend:
    """A kind of database: how it is connected to, spoken to and understood.

    Parameters
    ----------
    target
        The database.
    read_only
        Let no statement write.

    Attributes
    ----------
    support
        ``"full"``, or ``"plain"`` where only statements, results and errors are promised.
    syntax
        The lexical rules of its SQL.
    note
        A line for the log, once there is a connection.
    """

    support = "full"
    notifies = False  # whether statements may raise notices
    explain = "explain"
    pings = False  # whether `ping` asks the server
    takes_frames = False  # whether statements may name frames of their caller
    fetches_arrow = False  # whether `fetch_arrow` gives what `fetch` would, as Arrow data
    savepoints = True  # whether a part of a transaction can be undone
    paramstyle = "qmark"
    no_values: Mapping[str, str] = NO_VALUES

    def __init__(self, target: Target, *, read_only: bool) -> None:
        if read_only:
            self.refuse_read_only(target)
        self.target = target
        self.syntax = syntax_of(target.kind)
        self.note = target.note
        self.kind = target.kind
        self.read_only = read_only
        self.home: Path | None = None  # of agentnb, whose files are nobody else's
        self.downloads: Fetch | None = None  # downloads what is loaded from a URL
        self.ephemeral = False  # whether its data may be lost in a crash
        self.has_state = False  # on any of its connections, ever
        self.capacity = 1  # connections in use at a time, once there is an engine
        self.patience = target.pool_timeout or POOL_SECONDS
        # Gives the other connections, whose tables statements may name.
        self.connections: Callable[[str], Database | None] | None = None

    def require(self, ability: str) -> None:
        """Raise where the support of this database does not include an ability.

        Parameters
        ----------
        ability
            A noun, such as ``"load"``.
        """

    @property
    def cancels(self) -> bool:
        """Whether a running statement can be cancelled, and time-outs are kept."""
        return True

    @property
    def alone(self) -> bool:
        """Whether there is one connection only, as to a database in memory."""
        return False

    def refuse_read_only(self, target: Target) -> None:
        """Raise where a connection cannot be kept from writing."""

    def engine(self, *, pool_size: int, connect_timeout: float) -> Engine:
        """Return a SQLAlchemy engine; nothing is connected yet.

        Raises
        ------
        ConfigError
            The driver is not installed.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        options = self.engine_options(pool_size, connect_timeout)
        try:
            engine = create_engine(self.target.url, hide_parameters=True, **options)
        except (NoSuchModuleError, ImportError, ArgumentError, TypeError) as error:
            raise ConfigError(
                f"no driver for {self.target.url.drivername}: {error}",
                service="db",
                hint=self.driver_hint(),
            ) from error
        self.paramstyle = engine.dialect.paramstyle
        self.capacity = options["pool_size"] + options.get("max_overflow", OVERFLOW)
        return engine

    def driver_hint(self) -> str:
        """Say how the driver is installed."""
        return "reinstall agentnb"

    def pool_hint(self) -> str:
        """Say what to do when no connection is free."""
        return "close transactions sooner, or raise AGENTNB_DB_POOL"

    def engine_options(self, pool_size: int, connect_timeout: float) -> dict[str, Any]:  # noqa: ARG002 - no common name for it
        """Return the keywords of ``create_engine``."""
        options: dict[str, Any] = {
            "connect_args": self.target.connect_args,
            "pool_pre_ping": True,
            "pool_size": self.target.pool_size or pool_size,
        }
        if self.target.pool_size:
            options["max_overflow"] = 0  # a limit in the URL is one
        return options

    def close(self) -> None:
        """Release the resources beside the engine."""

    def forked(self) -> None:
        """Make anew, in a child process, what a fork leaves useless."""

    def ping(self, connection: Connection) -> None:
        """Raise if a connection of the pool is dead; SQLAlchemy's pool sees to it here."""

    def connecting(self, deadline: Deadline) -> AbstractContextManager[None]:  # noqa: ARG002 - as above
        """Let the connections that a block makes be there by a deadline."""
        return nullcontext()

    def is_fresh(self, connection: Connection) -> bool:  # noqa: ARG002 - not known here
        """Return whether a connection was used a moment ago, and the server has not ended it."""
        return False

    def lost(self, connection: Connection) -> bool:
        """Return whether this connection is known to be dead."""
        return connection.invalidated

    def permit(self, connection: Connection, statement: Statement) -> None:
        """Raise for a statement that this connection is not to run, by what the database knows."""

    def check_state(self, statement: Statement, left: Leaves) -> None:
        """Raise where what a statement leaves in its session would not be there afterwards."""

    def clear(self, connection: Connection) -> None:
        """Undo what statements have left in the session of a connection."""
        connection.invalidate()

    def in_transaction(self, connection: Connection) -> bool:  # noqa: ARG002 - not known here
        """Return whether what `begin` opened is still open, as far as the driver tells."""
        return True

    def failed(self, connection: Connection) -> bool:  # noqa: ARG002 - most go on after an error
        """Return whether a transaction is open that can only be rolled back."""
        return False

    def check(self, statement: Statement) -> None:
        """Raise for a statement that this connection is not to be given."""

    def adapt(self, value: Any) -> Any:
        """Return a value in a form that the driver takes."""
        if type(value) in PLAIN:
            return value
        if isinstance(value, Secret):
            raise UsageError(
                "a Secret is not bound into SQL", service="db", hint="bind its .reveal()"
            )
        if isinstance(value, enum.Enum):
            return value.value
        if isinstance(value, dict):
            return json_text(value)
        return plain_value(value)

    @property
    def opening(self) -> tuple[str, ...]:
        """The statements that open a transaction with the settings of this connection."""
        return ("begin",)

    def begin(self, connection: Connection) -> None:
        """Open a transaction."""

    def commit(self, connection: Connection) -> None:
        """Commit what `begin` opened."""
        connection.commit()

    def rollback(self, connection: Connection) -> None:
        """Roll back what `begin` opened."""
        connection.rollback()

    def settle(self, connection: Connection) -> None:
        """Make a single statement's effect last."""
        connection.commit()

    def watching(self, connection: Connection, watch: Watch) -> AbstractContextManager[None]:  # noqa: ARG002 - no cancel here
        """Return a block whose statements are cancelled when the watch is over."""
        return nullcontext()

    def framed(
        self,
        connection: Connection,  # noqa: ARG002 - for those who take frames
        statement: Statement,
        frames: Mapping[str, Any] | None,  # noqa: ARG002
    ) -> AbstractContextManager[Statement]:
        """Return a block in which the frames that a statement names are tables.

        It gives the statement to run there.
        """
        return nullcontext(statement)

    def named_frames(
        self,
        statement: Statement,  # noqa: ARG002 - for those who take frames
        frames: Mapping[str, Any] | None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the frames that a statement names."""
        return {}

    def fetch_arrow(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        bounds: Bounds,
    ) -> tuple[Any, bool]:
        """Execute and fetch as an Arrow table, where `fetches_arrow`.

        Returns
        -------
        table, truncated
            The table, with as many rows as the limit at most, and whether there are more.
        """
        raise NotImplementedError

    def fetch(
        self,
        connection: Connection,
        statement: Statement,  # noqa: ARG002 - for those who put the limit into it
        sql: str,
        params: Any,
        bounds: Bounds,
    ) -> tuple[tuple[str, ...] | None, list[tuple[Any, ...]], int]:
        """Execute and fetch one row more than the limit at most, then close the cursor.

        Returns
        -------
        columns, rows, rowcount
            Columns are None for a statement that returns no rows.
        """
        result = connection.exec_driver_sql(sql, params)
        try:
            cursor = result.cursor
            if cursor is None or cursor.description is None:
                return None, [], max(result.rowcount, 0)
            columns = self.columns_of(cursor.description)
            rows = fetch_all(cursor.fetchmany, bounds)
            return columns, rows, max(result.rowcount, 0)
        finally:
            result.close()

    def columns_of(self, description: Any) -> tuple[str, ...]:
        """Return the names of a result's columns, with their kinds where they are told."""
        return tuple(column[0] for column in description)

    def bounds(self, connection: Connection, statement: Statement, bounds: Bounds) -> Bounds:
        """Return the bounds for a statement; one that has effects runs for all of its rows.

        A preview does not cut them: rows of RETURNING cannot be had a second time.
        """
        if changes(statement):
            bounds = bounds._replace(max_bytes=None)
        if bounds.limit is None or not self.has_effects(connection, statement):
            return bounds
        if bounds.preview:
            return bounds._replace(limit=None, preview=False)
        return bounds._replace(pushed=False)

    def has_effects(self, connection: Connection, statement: Statement) -> bool:  # noqa: ARG002 - for those who ask the database
        """Return whether the statement does more than read, so that all of it has to run."""
        return changes(statement)

    def limited(self, statement: Statement, sql: str, limit: int | None) -> str:  # noqa: ARG002 - PostgreSQL is told
        """Return the SQL with the limit in it, where the database has to be told."""
        return sql

    def load(
        self,
        runner: Runner,  # noqa: ARG002 - for those who load in a way of their own
        connection: Connection,  # noqa: ARG002
        data: Source,  # noqa: ARG002
        table: str,  # noqa: ARG002
        if_exists: str,  # noqa: ARG002
    ) -> int | None:
        """Write the rows of a source into a table, and return their number; None to insert them."""
        return None

    def stream(
        self,
        connection: Connection,
        statement: Statement,  # noqa: ARG002 - for those who read in more than one way
        sql: str,
        params: Any,
        chunk: int,
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Execute and yield columns and rows, chunk by chunk; the first one may have no rows.

        Raises
        ------
        UsageError
            The statement returns no rows.
        """
        result = connection.exec_driver_sql(sql, params)
        try:
            cursor = result.cursor
            if cursor is None or cursor.description is None:
                raise no_rows()
            yield from chunks(self.columns_of(cursor.description), cursor.fetchmany, chunk)
        finally:
            result.close()

    def arrow_chunks(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        chunk: int,
    ) -> Iterator[Any]:
        """Execute and yield Arrow tables, chunk by chunk, where `fetches_arrow`."""
        raise NotImplementedError

    def connect_error(self, error: Exception) -> AgentnbError | None:  # noqa: ARG002 - for drivers that are not known
        """Return our error for what is no database error and came while connecting, or None."""
        return None

    def translate(self, error: Exception, watch: Watch | None, sql: str) -> AgentnbError:  # noqa: ARG002 - for those who cancel
        """Return our error for the driver's own, which came while ``sql`` ran."""
        return QueryRejected(message_of(error), service="db")

    def uri_for_adbc(self) -> str | None:
        """Return the address under which ADBC reaches the same data, if it does."""
        return None


def chunks(
    columns: tuple[str, ...], fetchmany: Callable[[int], Any], size: int
) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """Yield columns and rows until there are no more; at least once, for the columns."""
    rows = fetchmany(size)
    while True:
        yield columns, list(rows)
        rows = fetchmany(size)
        if not rows:
            return


def no_answer(target: Target, seconds: float) -> DeadlineExceeded:
    """Return the error of a call whose time was over before there was a connection."""
    return DeadlineExceeded(
        f"{target} did not answer within {seconds:g} s",
        service="db",
        hint="check that the server runs and that host and port are right; "
        "give it longer with timeout= (--timeout)",
    )


def no_rows() -> UsageError:
    """Return the error for a stream of nothing."""
    return UsageError(
        "this statement returns no rows to stream", service="db", hint="use execute(...)"
    )


def stray_begin() -> UsageError:
    """Return the error for a ``begin`` that a single statement has left open."""
    return UsageError(
        "a transaction opened by a single statement was rolled back at once",
        service="db",
        hint="use `with hub.db.transaction()` (%%db --tx, or %db begin)",
    )


def message_of(error: Exception) -> str:
    """Return the driver's own message."""
    return str(error).strip() or type(error).__name__
