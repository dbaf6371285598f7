"""What PostgreSQL and psycopg complain of, by what the caller should do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import message_of
from agentnb.core.errors import (
    ConfigError,
    NotFoundError,
    QueryRejected,
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
        return NotFoundError(f"no such table: {name[1]}", service="db")
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
    refused = QueryRejected(f"{text}{_line_of(error, sql)}", service="db", hint=hint)
    refused.sqlstate = state
    return refused


def _stateless(error: Exception, watch: Watch | None, text: str, target: Target) -> AgentnbError:
    """Return our error for one of psycopg's own, or of a server that let nobody in."""
    from psycopg import InterfaceError, OperationalError

    if not isinstance(error, (OperationalError, InterfaceError)):
        return UsageError(text, service="db", hint="cast the value in the SQL, as in x::text")
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


def _server_said(text: str) -> str:
    return text.rpartition("FATAL:")[2].strip()


def _unreachable(target: Target, text: str) -> UnavailableError:
    return UnavailableError(
        f"{target} cannot be reached: {text}",
        service="db",
        hint="check that the server runs and that host and port are right",
    )


def _line_of(error: Exception, statement: str) -> str:
    """Return where in a statement of several lines the server stopped understanding."""
    found = _LINE.search(str(error)) if "\n" in statement else None
    return f" (line {found[1]} of the statement)" if found else ""
