"""Errors of SQLite, by what the caller should do next."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from agentnb.core.db.backend import message_of
from agentnb.core.db.caret import caret
from agentnb.core.db.syntax import SQLITE
from agentnb.core.db.text import tokens
from agentnb.core.db.violations import CHECK, FOREIGN_KEY, NOT_NULL, UNIQUE, refusal
from agentnb.core.errors import ConfigError, TableNotFound, UnavailableError

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
# SQLite has none: the SQLSTATEs that PostgreSQL gives for the same.
# Source: https://www.sqlite.org/rescode.html, and PostgreSQL's errcodes-appendix.
_CODES = {
    "SQLITE_CONSTRAINT_CHECK": CHECK,
    "SQLITE_CONSTRAINT_FOREIGNKEY": FOREIGN_KEY,
    "SQLITE_CONSTRAINT_NOTNULL": NOT_NULL,
    "SQLITE_CONSTRAINT_PRIMARYKEY": UNIQUE,
    "SQLITE_CONSTRAINT_ROWID": UNIQUE,
    "SQLITE_CONSTRAINT_TRIGGER": "P0001",
    "SQLITE_CONSTRAINT_UNIQUE": UNIQUE,
    "SQLITE_MISMATCH": "42804",
    "SQLITE_TOOBIG": "54000",
}
_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE, which Python has no name for
_TEXTS = (
    (re.compile(r"syntax error|incomplete input|unrecognized token"), "42601"),
    (re.compile(r"no such column|has no column named"), "42703"),
    (re.compile(r"ambiguous column name"), "42702"),
    (re.compile(r"no such function"), "42883"),
    (re.compile(r"(?:table|index|view|trigger) .+ already exists|already another table"), "42P07"),
    (re.compile(r"values for \d+ columns|\d+ columns but \d+ values"), "42601"),
)
_READ_ONLY_STATE = "25006"
_BROKEN = re.compile(r"\w+(?: \w+)? constraint failed: (?:index '(?P<index>.+)'|(?P<rule>.+))")
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
    return _of_file(text, target) or _of_statement(error, text, sql)


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


def _of_statement(error: Exception, text: str, sql: str) -> AgentnbError:
    if found := _MISSING.match(text):
        return TableNotFound(f"no such table: {found[1]}", service="db")
    if "Could not decode to UTF-8" in text:
        return refusal(
            "a text in the database is not valid UTF-8",
            "22021",
            hint="read its bytes: select cast(COLUMN as blob) ...",
        )
    if _READ_ONLY.match(text):
        return refusal(
            f"{text}: this connection only reads",
            _READ_ONLY_STATE,
            hint="writing, ATTACH, VACUUM and setting a PRAGMA need a connection that may write",
        )
    broken = _BROKEN.match(text)
    constraint = broken["index"] or broken["rule"] if broken else None
    return refusal(located(text, sql), _state(error, text), constraint=constraint)


def _state(error: Exception, text: str) -> str | None:
    """Return the SQLSTATE of an error of SQLite's, None if there is none for it."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name in _CODES:
        return _CODES[name]
    if getattr(error, "sqlite_errorcode", None) == _DATATYPE:
        return "42804"
    if name.startswith("SQLITE_CONSTRAINT"):
        return "23000"
    return next((state for pattern, state in _TEXTS if pattern.search(text)), None)


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
