"""Errors of SQLite, by what the caller should do next."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from agentnb.core.db.backend import message_of
from agentnb.core.db.caret import caret
from agentnb.core.db.syntax import SQLITE
from agentnb.core.db.text import tokens
from agentnb.core.errors import ConfigError, QueryRejected, TableNotFound, UnavailableError

if TYPE_CHECKING:
    from agentnb.core.db.backend import Watch
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["BUSY", "located", "translate"]

_IMAGE = "disk image is malformed"
BUSY = re.compile(r"database (?:table )?is locked")
_MISSING = re.compile(r"no such table: (.+)")
_READ_ONLY = re.compile(
    r"not authorized|authorization denied|access to .+ is prohibited|.*readonly database"
)
# The SQLSTATE read_only_sql_transaction, as PostgreSQL gives it.
_READ_ONLY_STATE = "25006"
_NEAR = re.compile(r'near "(?P<word>.+)": syntax error', re.DOTALL)


def translate(error: Exception, watch: Watch | None, sql: str, target: Target) -> AgentnbError:
    """Return our error for SQLite's, by its message: it has no finer codes.

    Raises
    ------
    KeyboardInterrupt
        The statement was interrupted, and not by its watch.
    """
    text = message_of(error)
    if text == "interrupted":
        if watch is not None and watch.over:
            return watch.error()
        # Ctrl-C arrives while SQLite calls the progress handler, where Python
        # has to swallow it. Nobody else interrupts our connections.
        raise KeyboardInterrupt from error
    if BUSY.search(text):
        return UnavailableError(
            f"{text}: another connection is writing",
            service="db",
            hint="let it finish its transaction, then run this again",
        )
    return _of_file(text, target) or _of_statement(text, sql)


def _of_file(text: str, target: Target) -> AgentnbError | None:
    if "unable to open database file" in text:
        return ConfigError(
            f"{target} cannot be opened: {text}",
            service="db",
            hint="check the path, and that its folder can be written to",
        )
    if "file is not a database" in text or "malformed database schema" in text or _IMAGE in text:
        return ConfigError(
            f"{target} is not a SQLite database: {text}",
            service="db",
            hint="check the path in DATABASE_URL, or restore the file from a backup",
        )
    if "disk is full" in text or "disk I/O error" in text:
        # Where there is no room for the memory that its users share, it calls that I/O.
        what = "" if "full" in text else ", or mend it"
        return UnavailableError(
            f"{target} cannot be written to: {text}",
            service="db",
            hint=f"free some room on that disk{what}, then run this again",
        )
    return None


def _of_statement(text: str, sql: str) -> AgentnbError:
    if found := _MISSING.match(text):
        return TableNotFound(f"no such table: {found[1]}", service="db")
    if "Could not decode to UTF-8" in text:
        return QueryRejected(
            "a text in the database is not valid UTF-8",
            service="db",
            hint="read its bytes: select cast(COLUMN as blob) ...",
        )
    if _READ_ONLY.match(text):
        refused = QueryRejected(
            f"{text}: this connection only reads",
            service="db",
            hint="writing, ATTACH, VACUUM and setting a PRAGMA need a connection that may write",
        )
        refused.sqlstate = _READ_ONLY_STATE
        return refused
    return QueryRejected(located(text, sql), service="db")


def located(text: str, sql: str) -> str:
    """Return a message of SQLite's with the line and a caret, where the place can be found.

    >>> print(located('near "form": syntax error', "select * form task"))
    near "form": syntax error
    select * form task
             ^
    """
    found = _NEAR.fullmatch(text)
    if found is None:
        return text
    places = [
        end - len(token)
        for kind, token, end in tokens(sql, SQLITE)
        if token == found["word"] and kind not in {"comment", "space"}
    ]
    at = places[0] if len(places) == 1 else _first_wrong(text, sql, places, len(found["word"]))
    return text if at is None else f"{text}\n{caret(sql, at)}"


def _first_wrong(text: str, sql: str, places: list[int], length: int) -> int | None:
    """Return the first place up to which the statement has the same error.

    An empty database in memory reads the beginnings of the statement: no syntax error depends
    on what a database holds, and EXPLAIN runs nothing.
    """
    import sqlite3

    with closing(sqlite3.connect(":memory:")) as scratch:
        for at in places:
            try:
                scratch.execute(f"explain {sql[: at + length]}")
            except sqlite3.Error as error:
                if str(error) == text:
                    return at
    return None
