"""Errors of PostgreSQL and psycopg, by what the caller should do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import message_of
from agentnb.core.db.caret import caret
from agentnb.core.db.violations import refusal
from agentnb.core.errors import (
    ConfigError,
    TableNotFound,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from agentnb.core.db.backend import Watch
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["translate"]

_MISSING = re.compile(r'(?:relation|table|view|sequence) "([^"]+)" does not exist')
_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
_NEAR = re.compile(r'"([^"]+)"')
_WRAPPER = len("select * from (")  # what a limit puts in front of a statement
_ADAPT = {
    "dict": "bind json.dumps(value), and cast it in the SQL, as in :x::jsonb",
    "NAType": "bind None for a missing value",
    "set": "bind list(value)",
}
# A refused connection has no SQLSTATE, only the server's text.
_LOGIN = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role \S+ does not exist"
)
_DATABASE = re.compile(r"database \S+ does not exist")


def translate(error: Exception, watch: Watch | None, sql: str, target: Target) -> AgentnbError:
    """Return our error for the server's, by its SQLSTATE.

    Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    original: Any = error
    state = getattr(original, "sqlstate", None) or ""
    diagnosis = getattr(original, "diag", None)
    text = (getattr(diagnosis, "message_primary", None) or message_of(error)).strip()
    hint = getattr(diagnosis, "message_hint", None) or getattr(diagnosis, "message_detail", None)
    if not state:
        return _stateless(error, watch, " ".join(text.split()), target)
    if watch is not None and watch.over and state == "57014":
        return watch.error()
    if state == "42P01" and (name := _MISSING.search(text)):
        return TableNotFound(f"no such table: {name[1]}", service="db")
    if state in {"55P03", "40001", "40P01"}:
        return UnavailableError(text, service="db", hint=hint or "run the transaction again")
    if state == "53100":
        return UnavailableError(
            f"{target} cannot write: {text}",
            service="db",
            hint="free some room on the server's disk",
        )
    if state[:2] in {"08", "53"} or state in {"57P01", "57P02", "57P03"}:
        return _unreachable(target, text)
    if state == "25001" and "transaction block" in text:
        hint = hint or (
            "run it outside of a transaction; through PgBouncer, a connection with a schema, "
            "options or read-only runs each statement in one"
        )
    if state == "25P02":
        hint = hint or "a statement before it failed: end the transaction, and run it again"
    if state.startswith("23") and (detail := getattr(diagnosis, "message_detail", None)):
        # Which row, which is part of what happened and tells nobody what to do.
        text, hint = f"{text}\n{detail}", getattr(diagnosis, "message_hint", None)
    whole = f"{text}{_place(error, text, sql)}"
    return refusal(whole, state, hint=hint, constraint=_constraint(diagnosis))


def _constraint(diagnosis: Any) -> str | None:
    """Return the rule that was broken; one of ``not null`` has a name in newer servers only."""
    name: str | None = getattr(diagnosis, "constraint_name", None)
    table, column = (getattr(diagnosis, f"{one}_name", None) for one in ("table", "column"))
    return f"{table}.{column}" if column else name


def _stateless(error: Exception, watch: Watch | None, text: str, target: Target) -> AgentnbError:
    """Return our error for one of psycopg's own, or of a server that let nobody in."""
    from psycopg import InterfaceError, OperationalError

    if "invalid connection option" in text or "invalid URI query parameter" in text:
        return ConfigError(
            f"{target} cannot be connected to: {text}",
            service="db",
            hint="options behind the ? of the URL are libpq's, such as sslmode=require",
        )
    if not isinstance(error, (OperationalError, InterfaceError)):
        return UsageError(text, service="db", hint=_value_hint(text))
    if watch is not None and watch.over:
        return watch.error()
    if _LOGIN.search(text):
        return ConfigError(
            f"{target} refused the login: {_server_said(text)}",
            service="db",
            hint="check the user and the password in the database URL",
        )
    if _DATABASE.search(text):
        return ConfigError(
            _server_said(text), service="db", hint="check the name at the end of the URL"
        )
    return _unreachable(target, text)


def _value_hint(text: str) -> str | None:
    """Return what to do about a value that psycopg does not write or read."""
    if "NUL" in text:
        return "text in PostgreSQL holds no NUL: take it out, or bind bytes for a bytea column"
    if found := re.search(r"cannot adapt type '(\w+)'", text):
        return _ADAPT.get(found[1], "bind a str, number, date, time, UUID, bytes or a list of them")
    if "mixed types" in text:
        return "a list is bound as an array of one type; as JSON write :name::jsonb"
    if re.search(r"too (?:large|small)|before year|not supported|can't parse", text):
        return "cast the value in the SQL, as in x::text"
    return None


def _server_said(text: str) -> str:
    return text.rpartition("FATAL:")[2].strip()


def _unreachable(target: Target, text: str) -> UnavailableError:
    return UnavailableError(
        f"{target} cannot be reached: {text}",
        service="db",
        hint="check that the server runs and that host and port are right",
    )


def _place(error: Any, text: str, sql: str) -> str:
    """Return where the server stopped understanding: the line, and a caret where it is certain."""
    position = getattr(error.diag, "statement_position", None)
    word = _NEAR.search(text)
    if position and word:
        at = int(position) - 1
        for start in (at, at - _WRAPPER):
            # Behind a value that was bound the place is another one.
            if start >= 0 and sql[start : start + len(word[1])] == word[1]:
                return f"\n{caret(sql, start)}"
    found = _LINE.search(str(error)) if "\n" in sql else None
    return f" (line {found[1]} of the statement)" if found else ""
