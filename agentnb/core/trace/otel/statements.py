"""SQL as it may leave the machine: without the values that are written in it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["summary", "without_literals"]

_LITERALS: Final = re.compile(
    r"""
    (?P<comment>--[^\r\n]*|/\*.*?(?:\*/|\Z))
    |(?P<value>
        \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)  # PostgreSQL's text between dollars
        |(?:\b[A-Za-z]&?)?'(?:[^']|'')*(?:'|\Z)  # with a prefix, such as that of E'...'
        |(?<![\w$:.?])\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\b
        |(?<![\w$:.?])0[xX][0-9a-fA-F]+\b
    )
    |(?P<name>"(?:[^"]|"")*(?:"|\Z))
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTES_VALUES: Final = frozenset({"mysql", "mariadb", ""})
"""Databases in which a value may be in double quotes; one that is not known may be such."""
_OPERATION: Final = re.compile(r"\s*\(*\s*(?P<word>[A-Za-z]+)")
_TABLE: Final = re.compile(
    r"""\b(?:from|into|update|join|table(?:\s+if\s+(?:not\s+)?exists)?)\s+
    (?P<name>(?:"[^"]+"|`[^`]+`|\w+)(?:\.(?:"[^"]+"|`[^`]+`|\w+))*)""",
    re.IGNORECASE | re.VERBOSE,
)


def without_literals(statement: str, *, system: str = "") -> str:
    """Return a statement with ``?`` in place of each value, and without comments.

    Parameters
    ----------
    statement
        The SQL.
    system
        The database, by the name of the conventions. In double quotes MySQL has values, and others
        names; an unknown one is taken for MySQL.

    Examples
    --------
    >>> without_literals("select * from task where owner = 'ada' and n > 3 and id = :id")
    'select * from task where owner = ? and n > ? and id = :id'
    """
    named = system not in _QUOTES_VALUES
    if "\\" in statement:
        # A backslash may stand before a quote that goes on: where a value ends is not known.
        for quote in "'" if named else "'\"":
            first, last = statement.find(quote), statement.rfind(quote)
            if last > first:
                statement = f"{statement[:first]}''{statement[last + 1 :]}"

    def instead(found: re.Match[str]) -> str:
        if found["comment"] is not None:
            return " "
        return found["name"] if named and found["name"] is not None else "?"

    return _LITERALS.sub(instead, statement).strip()


def summary(statement: str) -> tuple[str | None, str | None]:
    """Return the operation of a statement without literals, and its table where it has only one.

    Examples
    --------
    >>> summary("select * from app.task where id = :id"), summary("commit")
    (('SELECT', 'app.task'), ('COMMIT', None))
    """
    found = _OPERATION.match(statement)
    tables = {name.replace('"', "").replace("`", "") for name in _TABLE.findall(statement)}
    table = tables.pop() if len(tables) == 1 else None
    return (found["word"].upper() if found else None), table
