"""The statements that a read-only SQLite connection may run."""

from __future__ import annotations

import sqlite3

__all__ = ["authorize"]

_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
    # Refused by SQLite itself, which says that the database cannot be written.
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
}
# They read what the argument names, or show a setting if there is none.
_READ_ABOUT = {
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
    *("foreign_key_list", "foreign_key_check", "integrity_check", "quick_check"),
}
_SHOW = {
    *("application_id", "auto_vacuum", "cache_size", "collation_list", "compile_options"),
    *("data_version", "database_list", "encoding", "foreign_keys", "freelist_count"),
    *("function_list", "journal_mode", "module_list", "page_count", "page_size", "pragma_list"),
    *("query_only", "schema_version", "synchronous", "user_version", "busy_timeout"),
}
_OURS = "busy_timeout"  # set for each statement that has little time; harmless
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer"}


def authorize(
    action: int,
    first: str | None,
    second: str | None,
    _database: str | None,
    _trigger: str | None,
) -> int:
    """Return whether SQLite may compile an action, as its authorizer callback.

    Everything is denied that could open another file, write one or make the session another.

    Source: https://sqlite.org/c3ref/c_alter_table.html
    """
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = _pragma((first or "").lower(), second)
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").lower() not in _FORBIDDEN_FUNCTIONS
    else:
        allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _pragma(name: str, argument: str | None) -> bool:
    return name in _READ_ABOUT or name == _OURS or (name in _SHOW and argument is None)
