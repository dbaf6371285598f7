"""The statements between a BEGIN and its COMMIT."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentnb.core.db import copying, schema, taped
from agentnb.core.db.backend import Watch
from agentnb.core.db.executor import Executor
from agentnb.core.db.open_transactions import opened
from agentnb.core.db.runner import Runner
from agentnb.core.errors import AgentnbError, NotReplayable, QueryRejected, UsageError
from agentnb.core.forking import ForkGuard, new_rlock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.resilience import Deadline
from agentnb.core.tape.hook import active
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.database import DatabaseRunner
    from agentnb.core.db.result import Result
    from agentnb.core.db.text import Statement

__all__ = ["Transaction", "TransactionRunner", "begun"]

_HINT_SECONDS = 1.0


@contextmanager
def begun(
    lender: Runner, database: DatabaseRunner, deadline: Deadline, *, folded: bool
) -> Iterator[TransactionRunner]:
    """Run a block in a transaction on a connection that the lender lends."""
    tape = active()
    if tape is not None and tape.replays:
        yield from _block(ReplayedTransaction(database, deadline))
        return
    with lender.checkout(deadline) as connection:
        transaction = TransactionRunner(database, connection, deadline)
        transaction.folded = folded
        yield from _block(transaction)


def _block(transaction: TransactionRunner) -> Iterator[TransactionRunner]:
    backend = transaction.backend
    transaction.begin()
    try:
        # One that only reads holds up no writer.
        with opened(None if backend.read_only else backend.target.path):
            yield transaction
    except BaseException:
        transaction.rollback()
        raise
    if transaction.open:
        transaction.commit()


@refuse_unknown("db")
class Transaction(Executor):
    """The statements between a BEGIN and its COMMIT, on one connection.

    Returned by `Database.transaction` and `Session.transaction`.
    """

    access: TransactionRunner

    @property
    def open(self) -> bool:
        """Whether neither COMMIT nor ROLLBACK has ended it."""
        return self.access.open

    @property
    def failed(self) -> bool:
        """Whether a statement failed, so that the server takes only a rollback."""
        return self.access.failed

    def commit(self) -> None:
        """Commit everything since the BEGIN."""
        self.access.commit()

    def rollback(self) -> None:
        """Undo everything since the BEGIN."""
        self.access.rollback()

    acommit = twin(commit)
    arollback = twin(rollback)


class TransactionRunner(Runner):
    """Runs the statements of one transaction.

    Parameters
    ----------
    database
        The database.
    connection
        The connection of the transaction.
    deadline
        Seconds for each statement.
    """

    def __init__(
        self, database: DatabaseRunner, connection: Connection, deadline: Deadline
    ) -> None:
        self.database = database
        self.backend = database.backend
        self.name = database.name
        self.rows = database.rows
        self.max_bytes = database.max_bytes
        self.timeout = deadline.seconds or database.timeout
        self.tracer = database.tracer
        self.redactor = database.redactor
        self.log = database.log
        self.threads = database.threads
        self._connection = connection
        self._lock = new_rlock()
        self._fork = ForkGuard()
        self.open = False
        self._lost = False
        self._at_commit: list[Callable[[], object]] = []

    def at_commit(self, call: Callable[[], object]) -> None:
        """Let something be called once the transaction is committed.

        It is called as well where a COMMIT or ROLLBACK among the statements has ended it.
        """
        self._at_commit.append(call)

    def _committed(self) -> None:
        calls, self._at_commit = self._at_commit, []
        for call in calls:
            call()

    def begin(self) -> None:
        """Send the BEGIN."""
        self._send("begin", self.backend.begin)
        self.open = True

    def commit(self) -> None:
        """Commit everything since the BEGIN."""
        self._check()
        self.open = False
        try:
            self._send("commit", self.backend.commit)
        except AgentnbError:
            # SQLite leaves a transaction open whose deferred constraints do not hold.
            if self.backend.in_transaction(self._connection):
                with contextlib.suppress(AgentnbError):  # the first error says what happened
                    self._send("rollback", self.backend.rollback)
            raise
        self._committed()

    def rollback(self) -> None:
        """Undo everything since the BEGIN; in a forked child nothing, for it is the parent's."""
        if not self.open or self._lost or self._fork.forked:
            self.open = False
            return
        self.open = False
        try:
            self._send("rollback", self.backend.rollback)
        except AgentnbError as error:
            # The connection is gone, and with it the transaction: the server has
            # rolled back, and what brought us here says why.
            self.log.warning("rollback: %s", error)
            self._connection.invalidate()

    @property
    def failed(self) -> bool:
        """Return whether a statement failed after which the server takes a rollback only."""
        return self.open and self.backend.failed(self._connection)

    def _send(self, what: str, action: Callable[[Connection], object]) -> None:
        tape = active()
        if tape is None:
            self._sent(what, action)
            return
        arguments = {} if self.name == "default" else {"connection": self.name}
        operation = taped.TRANSACTION[what]
        tape.call(operation, arguments, lambda: self._sent(what, action), self.redactor)

    def _sent(self, what: str, action: Callable[[Connection], object]) -> None:
        # What ends a transaction ends by itself, or its connection could not be used again.
        watch = Watch(Deadline.of(self.timeout), completes=what in {"commit", "rollback"})
        with self._lock, self.span(what):
            try:
                with self.backend.watching(self._connection, watch):
                    action(self._connection)
            except Exception as error:
                ours = self.error_of(error, watch, what)
                if ours is None or ours is error:
                    raise
                raise ours from error

    def _check(self) -> None:
        if self._fork.forked:
            raise UsageError(
                "this transaction was begun by the parent of this process",
                service="db",
                hint="begin one in this process: with hub.db.transaction() as tx:",
            )
        if self._lost:
            raise QueryRejected(
                "this transaction was rolled back when one of its statements failed",
                service="db",
                hint="nothing of it was committed: run it again from its start",
            )
        if not self.open:
            raise UsageError("this transaction has ended", service="db", hint="begin a new one")

    @contextmanager
    def checkout(self, deadline: Deadline) -> Iterator[Connection]:  # noqa: ARG002 - it is here already
        """Lend this transaction's connection."""
        with self._lock:
            self._check()
            connection = self._connection
            try:
                yield connection
            except BaseException:
                # As SQLite does when a write is interrupted or the disk is full.
                self._lost = self.open and not self.backend.in_transaction(connection)
                raise
            if self.open and not self.backend.in_transaction(connection):
                self.open = False  # by a COMMIT or ROLLBACK among the statements
                self._committed()  # which of the two is not known

    @contextmanager
    def _folding(self, *, folded: bool) -> Iterator[None]:
        before, self.folded = self.folded, self.folded or folded
        try:
            yield
        finally:
            self.folded = before

    def settle(self, connection: Connection) -> None:
        """Do nothing: the end of the transaction settles it."""

    @contextmanager
    def begun(self, deadline: Deadline, *, folded: bool = False) -> Iterator[TransactionRunner]:
        """Run a block all or nothing within this transaction, which goes on after an error."""
        with self.checkout(deadline), self._folding(folded=folded):
            if not self.backend.savepoints:
                yield from self._whole()
                return
            self._send("savepoint", _sql("savepoint agentnb"))
            try:
                yield self
            except BaseException:
                if self.backend.in_transaction(self._connection):
                    with contextlib.suppress(AgentnbError):  # the first error says what happened
                        self._send("rollback", _sql("rollback to savepoint agentnb"))
                raise
            self._send("release", _sql("release savepoint agentnb"))

    def _whole(self) -> Iterator[TransactionRunner]:
        """Run a block after whose error all of the transaction is rolled back."""
        try:
            yield self
        except BaseException:
            if self.open and self.backend.in_transaction(self._connection):
                with contextlib.suppress(AgentnbError):  # the first error says what happened
                    self._send("rollback", self.backend.rollback)
            raise

    def arrow_result(
        self, statement: Statement, params: Mapping[str, Any], bounds: Bounds, watch: Watch
    ) -> Result | None:
        """Return the result as Arrow data of this transaction, or None to take the driver."""
        return copying.fetch(self, statement, params, bounds, watch)

    def table_names(self, *, internal: bool = False) -> list[str]:
        """Ask where it can be asked: a failed statement blocks a PostgreSQL transaction."""
        if self.backend.kind != "postgresql":
            return super().table_names(internal=internal)
        # On another connection; where none is free, an error without the nearest name is better.
        found = schema.tables(self.database, timeout=_HINT_SECONDS, internal=internal)
        return found.column("name")

    def error_of(self, error: Exception, watch: Watch, sql: str) -> AgentnbError | None:
        """Return our error for one of SQLAlchemy's or the driver's, None for others."""
        return self.database.error_of(error, watch, sql)


class ReplayedTransaction(TransactionRunner):
    """A transaction that a tape answers: it has no connection.

    Parameters
    ----------
    database, deadline
        As those of `TransactionRunner`.
    """

    def __init__(self, database: DatabaseRunner, deadline: Deadline) -> None:
        super().__init__(database, _NONE, deadline)

    def commit(self) -> None:
        """Commit on the tape."""
        self._check()
        self.open = False
        self._send("commit", self.backend.commit)

    def rollback(self) -> None:
        """Roll back on the tape."""
        if self.open:
            self.open = False
            with contextlib.suppress(AgentnbError):  # the first error says what happened
                self._send("rollback", self.backend.rollback)

    @property
    def failed(self) -> bool:
        """Return False: a statement that would show it is answered by its error."""
        return False

    @contextmanager
    def checkout(self, deadline: Deadline) -> Iterator[Connection]:
        """Refuse: there is no connection."""
        del deadline
        raise NotReplayable(
            "a transaction of a replay has no connection",
            service="db",
            hint="use its query, execute and script, which the tape answers",
        )
        yield self._connection

    @contextmanager
    def begun(self, deadline: Deadline, *, folded: bool = False) -> Iterator[TransactionRunner]:
        """Run a block within this transaction, as the tape has it."""
        del deadline, folded
        self._check()
        self._send("savepoint", _sql("savepoint agentnb"))
        try:
            yield self
        except BaseException:
            with contextlib.suppress(AgentnbError):  # as above
                self._send("rollback", _sql("rollback to savepoint agentnb"))
            raise
        self._send("release", _sql("release savepoint agentnb"))


_NONE: Any = None


def _sql(text: str) -> Callable[[Connection], object]:
    return lambda connection: connection.exec_driver_sql(text)
