"""The database as tools see it: read-only, and without agentnb's own tables."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, RejectedError

if TYPE_CHECKING:
    from agentnb.core.db import Database
    from agentnb.core.hub import Hub

__all__ = ["LARGEST", "open_database", "refuse_internal"]

LARGEST = 8_000_000
"""Bytes that the rows of one query may take in memory."""
_INTERNAL = re.compile(r"agentnb[_.\"`\]]|U&[\"']", re.IGNORECASE)
"""Names of agentnb's own tables, and escapes that may hide one."""
_PAGES = ("sqlite_dbpage", "dbstat")
"""Virtual tables that show the content of others."""


def open_database(hub: Hub) -> Database:
    """Return a read-only connection to the default database of a hub.

    Raises
    ------
    ConfigError
        It is in memory, where another connection finds nothing.
    """
    from sqlalchemy import event

    from agentnb.core.services.data import default_url, make_database

    url = default_url(hub)
    if url.partition("?")[0] in {"sqlite://", "sqlite:///:memory:"}:
        raise ConfigError(
            "tools cannot read a database in memory, which has one connection",
            service="tools",
            hint="a file: DATABASE_URL=sqlite:///app.db, or leave the tools of db away",
        )
    database = make_database(hub.settings, "tools", url, hub.runtime, read_only=True)
    if database.kind == "sqlite":
        event.listen(database.engine, "connect", _restrict)
    return database


def refuse_internal(database: Database, sql: str) -> None:
    """Refuse SQL that names a table of agentnb's own; SQLite finds those by itself.

    Raises
    ------
    RejectedError
        It does.
    """
    if (database.kind != "sqlite" or not database.read_only) and _INTERNAL.search(sql):
        raise RejectedError(
            "tables of agentnb's own are hidden from tools",
            service="tools",
            hint="the tools of queue and workflow show what they hold",
        )


def _restrict(raw: Any, _: object) -> None:
    """Hide agentnb's own tables on a new connection, and refuse very large values."""
    raw.set_authorizer(_authorize)
    raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    from agentnb.core.db.schema import is_internal
    from agentnb.core.db.sqlite_read_only import authorize

    if action == sqlite3.SQLITE_READ and first is not None:
        name = first.lower()
        if is_internal(name) or name in _PAGES:
            return sqlite3.SQLITE_DENY
    return authorize(action, first, second, database, trigger)
