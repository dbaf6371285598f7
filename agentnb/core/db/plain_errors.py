"""Errors of drivers that agentnb does not know, by what the caller should do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import message_of
from agentnb.core.db.violations import CHECK, FOREIGN_KEY, NOT_NULL, UNIQUE, refusal
from agentnb.core.errors import ConfigError, TableNotFound, UnavailableError

if TYPE_CHECKING:
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["translate"]

# Source: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
_MYSQL = {
    **dict.fromkeys((1044, 1045, 1049, 1130, 1251, 1698, 2059), "login"),
    **dict.fromkeys((2002, 2003, 2005, 2006, 2013, 2055, 1040, 1053, 1927), "unreachable"),
    **dict.fromkeys((1158, 1159, 1160, 1161), "unreachable"),
    **dict.fromkeys((1020, 1205, 1213), "again"),
    **dict.fromkeys((1051, 1109, 1146), "missing"),
}
_MYSQL_RULES = {
    **dict.fromkeys((1022, 1062, 1557, 1586), UNIQUE),
    **dict.fromkeys((1216, 1217, 1451, 1452, 1761, 1762), FOREIGN_KEY),
    **dict.fromkeys((1048, 1364), NOT_NULL),
    **dict.fromkeys((3819, 4025), CHECK),
}
# Other drivers give a text only, such as DuckDB's.
_RULES = (
    (re.compile(r"foreign key", re.IGNORECASE), FOREIGN_KEY),
    (re.compile(r"not null|cannot (?:be|insert) (?:the value )?null", re.IGNORECASE), NOT_NULL),
    (re.compile(r"duplicate|unique|primary key", re.IGNORECASE), UNIQUE),
    (re.compile(r"check constraint", re.IGNORECASE), CHECK),
)
_RULE = re.compile(
    r"for key '([^']+)'|CONSTRAINT [`\"]([^`\"]+)[`\"]|column '([^']+)' cannot be null"
    r"|field '([^']+)' doesn't have a default|check constraint '([^']+)'"
    r"|constraint failed: ([\w.]+)",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"access denied|authentication failed|login failed|logon denied|invalid username/password"
    r"|unknown database|database \S+ does not exist|cannot open database",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"can't connect|could not connect|cannot connect|unable to connect|connection refused"
    r"|connection (?:was )?(?:reset|closed|timed out|lost)|lost connection|gone away"
    r"|name or service not known|getaddrinfo|not resolve|broken pipe|no route to host"
    r"|server closed|timed out while connecting|cannot open file|could not set lock",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"deadlock|lock wait timeout|is locked|could not serialize|transaction conflict",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"(?:no such table:?|table with name|invalid object name|unknown table"
    r"|(?:table|relation|view|object)) "
    r"(?P<quote>[\"'`]?)(?P<name>[\w$.]+)(?P=quote)(?: (?:does not|doesn't) exist)?",
    re.IGNORECASE,
)
_NOT_THERE = re.compile(
    r"no such table|(?:table|relation|view|object)\b.* (?:does not|doesn't) exist"
    r"|invalid object name|unknown table",
    re.IGNORECASE,
)
_LOST = ("OperationalError", "InterfaceError")


def translate(error: Exception, sql: str, target: Target) -> AgentnbError:
    """Return our error for a driver's.

    Parameters
    ----------
    error
        The driver's.
    sql
        The statement; empty while a connection is made.
    target
        The database.
    """
    code, text = _taken_apart(error)
    kind = _MYSQL.get(code) if code is not None else None
    kind = kind or _kind(error, text, sql)
    if kind == "login":
        return ConfigError(
            f"{target} refused the login: {text}",
            service="db",
            hint="check user, password and database name in the URL",
        )
    if kind == "unreachable":
        return UnavailableError(
            f"{target} cannot be reached: {text}",
            service="db",
            hint="check that the server runs, and host, port and path in the URL",
        )
    if kind == "again":
        return UnavailableError(text, service="db", hint="run the transaction again")
    if kind == "missing" and (found := _MISSING.search(text)):
        name = found["name"].rpartition(".")[2] if code is not None else found["name"]
        return TableNotFound(f"no such table: {name}", service="db")
    if kind == "config":
        return ConfigError(
            f"{target} cannot be connected to: {text}",
            service="db",
            hint="check the URL and its options",
        )
    state = _MYSQL_RULES.get(code) if code is not None else _rule(error, text)
    rule = _RULE.search(text)
    constraint = next(filter(None, rule.groups()), None) if rule else None
    # MySQL's own is 23000 for each of these rules.
    return refusal(text, state or getattr(error, "sqlstate", None), constraint=constraint)


def _rule(error: Exception, text: str) -> str | None:
    """Return the SQLSTATE of a rule of a table's that was broken, by the driver's text."""
    names = {base.__name__ for base in type(error).__mro__}
    if not names & {"IntegrityError", "ConstraintException"}:
        return None
    return next((state for pattern, state in _RULES if pattern.search(text)), "23000")


def _taken_apart(error: Exception) -> tuple[int | None, str]:
    """Return the code, where the driver is one of MySQL's, and the message without it."""
    args: tuple[Any, ...] = error.args
    if len(args) > 1 and isinstance(args[0], int) and isinstance(args[1], str):
        return args[0], args[1].strip()
    code = getattr(error, "errno", None)
    message = getattr(error, "msg", None)
    if isinstance(code, int) and isinstance(message, str):
        return code, message.strip()
    return None, message_of(error)


def _kind(error: Exception, text: str, sql: str) -> str:
    names = {base.__name__ for base in type(error).__mro__}
    if _NOT_THERE.search(text):
        return "missing"
    if _LOGIN.search(text):
        return "login"
    if _UNREACHABLE.search(text):
        return "unreachable"
    if _AGAIN.search(text):
        return "again"
    if sql:
        return "refused"
    return "unreachable" if names & set(_LOST) else "config"
