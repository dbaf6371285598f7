"""The statements that a read-only PostgreSQL connection may run.

Each of them runs in a transaction that was begun as read only. That keeps tables, sequences and
settings as they are; what PostgreSQL lets such a transaction do nevertheless is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.effects import calls, has_escaped_names
from agentnb.core.db.postgres_connect import literal
from agentnb.core.db.state import KNOWN
from agentnb.core.errors import QueryRejected

if TYPE_CHECKING:
    from agentnb.core.db.text import Statement

__all__ = ["READ", "check", "check_functions"]

_ALLOWED = frozenset({
    *("", "select", "with", "values", "table", "explain", "show", "copy", "call"),
    *("prepare", "execute", "deallocate", "declare", "fetch", "move", "close", "listen"),
    *("commit", "end", "rollback", "abort", "savepoint", "release"),
    # Refused by PostgreSQL itself, which says why.
    *("insert", "update", "delete", "merge", "truncate", "create", "drop", "alter"),
    *("grant", "revoke", "comment", "refresh"),
})  # fmt: skip
# Functions that are known to change no table, and yet do more than read.
_ACT = frozenset(
    {
        *("nextval", "pg_notify", "pg_cancel_backend", "pg_terminate_backend"),
        *("pg_advisory_xact_lock", "pg_advisory_xact_lock_shared"),
        *("pg_try_advisory_xact_lock",),
    }
)
READ = KNOWN - _ACT
"""Functions that only read."""
# Volatile functions that come with PostgreSQL or its extensions, and only read.
_HARMLESS = frozenset({
    *("lastval", "setseed", "random_normal", "uuidv4", "uuidv7"),
    *("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"),
    *("gen_random_bytes", "gen_salt", "crypt"),
    *("pg_blocking_pids", "pg_current_wal_lsn", "pg_current_wal_insert_lsn", "pg_tablespace_size"),
    *("pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp"),
    *("pg_collation_actual_version", "pg_partition_tree", "pg_safe_snapshot_blocking_pids"),
    *("pg_lock_status", "pg_prepared_statement", "pg_cursor", "pg_get_shmem_allocations"),
    *("pg_stat_statements", "pg_stat_get_activity", "pg_stat_get_wal_senders"),
})  # fmt: skip
# What is written in PL/pgSQL or SQL is bound by the transaction; what is compiled is not.
_COMPILED = """
select proname from pg_catalog.pg_proc
join pg_catalog.pg_language as language on language.oid = prolang
where provolatile = 'v' and language.lanname in ('internal', 'c') and proname in (%s)
order by proname limit 1
"""


def check(statement: Statement) -> None:
    """Refuse a statement that a read-only transaction would not hold back.

    Raises
    ------
    QueryRejected
        It ends or changes the transaction, changes the session, runs code, is not known, or
        spells a name by codes.
    """
    if has_escaped_names(statement.sql):
        raise _refused('U&"..."', "write names as they are")
    if statement.keyword not in _ALLOWED:
        raise _refused(
            statement.keyword, "single statements and `with hub.db.transaction()` are read-only"
        )


def check_functions(raw: Any, statement: Statement) -> None:
    """Refuse the call of a function that a read-only transaction would not hold back.

    Such are those that write files and large objects, take locks, speak to other servers or
    change settings.

    Parameters
    ----------
    raw
        psycopg's connection, which is asked about functions that are not known.
    statement
        Any statement.

    Raises
    ------
    QueryRejected
        It calls one.
    """
    asked = calls(statement.sql) - READ - _HARMLESS
    if not asked:
        return
    found = raw.execute(_COMPILED % ", ".join(map(literal, sorted(asked)))).fetchone()
    if found is not None:
        raise _refused(f"{found[0]}()", "use a connection that may write")


def _refused(what: str, hint: str) -> QueryRejected:
    refused = QueryRejected(
        f"this connection only reads: no {what.upper() if what.isalpha() else what} on it",
        service="db",
        hint=hint,
    )
    refused.sqlstate = "25006"  # read_only_sql_transaction
    return refused
