"""The caller's own transaction, in which a workflow can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.transaction import Transaction
from agentnb.core.errors import UsageError
from agentnb.core.ranges import refused

if TYPE_CHECKING:
    from agentnb.core.db import Database
    from agentnb.core.db.transaction import TransactionRunner

__all__ = ["check_transaction", "is_on"]

_HINT = "with hub.db.transaction() as tx: hub.workflows.create(..., transaction=tx)"


def check_transaction(given: Any, database: Database) -> TransactionRunner:
    """Return the runner of a transaction in which workflows of a database can be made.

    Raises
    ------
    UsageError
        It is none, has ended or failed, only reads, or is on another database.
    """
    if not isinstance(given, Transaction):
        raise refused("transaction", "a transaction of hub.db", given, "workflow", _HINT)
    runner = given.access
    if not given.open:
        raise UsageError(
            "no workflow can be made within this transaction: it has ended",
            service="workflow",
            hint=_HINT,
        )
    if not is_on(runner, database):
        raise UsageError(
            "no workflow can be made within this transaction: it is on "
            f"{runner.backend.target}, workflows are kept on {database.access.backend.target}",
            service="workflow",
            hint="begin it on the database of DATABASE_URL, where workflows are kept: hub.db",
        )
    if given.failed:
        raise UsageError(
            "no workflow can be made within this transaction: a statement of it has failed",
            service="workflow",
            hint="roll it back, and begin a new one",
        )
    if runner.backend.read_only or _only_reads(given):
        raise UsageError(
            "no workflow can be made within this transaction: it only reads",
            service="workflow",
            hint="begin it without read_only=True, or without SET TRANSACTION READ ONLY",
        )
    return runner


def is_on(runner: TransactionRunner, database: Database) -> bool:
    """Return whether a transaction is on a database, by any connection."""
    if runner.database is database.access:
        return True
    one, other = runner.backend.target, database.access.backend.target
    if one.kind != other.kind:
        return False
    if one.kind == "sqlite":
        return one.path is not None and other.path is not None and _same_file(one, other)
    parts = [
        (url.host or url.query.get("host"), url.port or 5432, url.database)
        for url in (one.url, other.url)
    ]
    return parts[0] == parts[1]


def _same_file(one: Any, other: Any) -> bool:
    try:
        return bool(one.path.samefile(other.path))
    except OSError:
        return bool(one.path.resolve() == other.path.resolve())


def _only_reads(given: Transaction) -> bool:
    if given.access.backend.kind != "postgresql":
        return False
    sql = "select current_setting('transaction_read_only')"
    return bool(given.query(sql).scalar() == "on")
