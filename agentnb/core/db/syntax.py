"""The lexical rules of each kind of database: strings, comments, quoted names, bodies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

__all__ = ["GENERIC", "MYSQL", "POSTGRES", "SQLITE", "STANDARD", "UNKNOWN", "Syntax", "syntax_of"]


@dataclass(frozen=True, eq=False)
class Syntax:
    """The lexical rules of one kind of database.

    Parameters
    ----------
    pattern
        The regular expression of the next token; its named groups say what the token is.
    body
        The rule for the semicolons of a trigger's or a procedure's body.
    nested_comments
        Whether ``/*`` inside a comment needs a ``*/`` of its own.
    slices
        Whether a colon behind a name or a bracket belongs to SQL, as in ``a[1:n]``.
    strict
        Whether text is refused whose meaning differs from one database to the next.
    """

    pattern: str
    body: Literal["generic", "sqlite", "postgres", "mysql", "unknown"] = "generic"
    nested_comments: bool = False
    slices: bool = True
    strict: bool = False

    @cached_property
    def token(self) -> re.Pattern[str]:
        """Compile the pattern: all seven take 40 ms, and most processes use one."""
        return re.compile(self.pattern, re.VERBOSE | re.DOTALL)


_LINE = r"--[^\n]*"
_BLOCK = r"/\*.*?(?:\*/|\Z)"
_STRING = r"'(?:''|[^'])*(?:'|\Z)"
_ESCAPED = r"'(?:\\.|''|[^'\\])*(?:'|\Z)"
# A string goes on in the next line, with the rules of its first part.
_E_STRING = rf"[eE]{_ESCAPED}(?:[ \t\f\v]*(?:--[^\n\r]*)?[\n\r]\s*{_ESCAPED})*"
_QUOTED = r'"(?:""|[^"])*(?:"|\Z)'
_BACKTICK = r"`(?:``|[^`])*(?:`|\Z)"
_BRACKET = r"\[[^\]]*(?:\]|\Z)"
# A letter, to PostgreSQL: any byte of a character that is not ASCII is one.
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_DOLLAR = rf"\$(?P<tag>[{_LETTER}][{_LETTER}0-9]*|)\$.*?(?:\$(?P=tag)\$|\Z)"
_NOTHING = r"(?!)"
# DuckDB takes each of these for a space, also inside of what looks like a name.
_DUCK_SPACE = r"[\s\xa0\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]"


def _token(
    *,
    comment: str = rf"{_LINE} | {_BLOCK}",
    string: str = _STRING,
    quoted: str = _QUOTED,
    dollar: str = _NOTHING,
    code: str = _NOTHING,
    mark: str = _NOTHING,
    letter: str = r"[^\W\d]",
    space: str = r"\s",
) -> str:
    return rf"""
          (?P<space>     {space}+ )
        | (?P<word>      (?![eE]'){letter}(?:{letter}|[\w$])* )
        | (?P<code>      {code} )
        | (?P<comment>   {comment} )
        | (?P<string>    {string} )
        | (?P<quoted>    {quoted} )
        | (?P<dollar>    {dollar} )
        | (?P<cast>      ::+ | := )
        | (?P<bind>      :[^\W\d]\w*(?:\.[^\W\d]\w*)* )
        | (?P<mark>      {mark} )
        | (?P<semicolon> ; )
        | (?P<initial>   [eE](?=') )
        | (?P<other>     \d[\w.]* | . )
        """


_ANY = {
    "string": rf"{_E_STRING} | {_STRING}",
    "quoted": rf"{_QUOTED} | {_BACKTICK} | \[[A-Za-z_][^\]\[\n:]*\]",
    "dollar": _DOLLAR,
    "mark": r"\?",
}
_PG_COMMENT = rf"--[^\n\r]* | {_BLOCK}"

GENERIC = Syntax(_token(**_ANY))
"""Every form that some database knows; for text whose database is not known."""

UNKNOWN = Syntax(_token(**_ANY), body="unknown", strict=True)
"""As `GENERIC`; refuses what databases disagree on."""

STANDARD = Syntax(_token(quoted=rf"{_QUOTED} | {_BRACKET}", mark=r"\?"), body="unknown")
"""A backslash means nothing, as on Oracle and SQL Server."""

SQLITE = Syntax(
    _token(
        quoted=rf"{_QUOTED} | {_BACKTICK} | {_BRACKET}",
        mark=r"\?\d* | [$@][^\W\d][\w$]*",
        letter=rf"[{_LETTER}]",
    ),
    body="sqlite",
    slices=False,
)
"""Source: https://sqlite.org/c3ref/complete.html"""

POSTGRES = Syntax(
    _token(
        comment=_PG_COMMENT,
        string=rf"{_E_STRING} | {_STRING}",
        dollar=_DOLLAR,
        letter=rf"[{_LETTER}]",
    ),
    body="postgres",
    nested_comments=True,
)
"""Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html"""

DUCKDB = Syntax(
    _token(
        comment=_PG_COMMENT,
        string=rf"[eE]{_ESCAPED} | {_STRING}",
        quoted=rf"{_QUOTED} | {_BACKTICK}",
        dollar=_DOLLAR,
        mark=r"\? | \$\w+",
        letter=rf"(?!{_DUCK_SPACE})[{_LETTER}]",
        space=_DUCK_SPACE,
    ),
    nested_comments=True,
)

MYSQL = Syntax(
    _token(
        # MySQL runs what is in a comment of this form.
        code=r"/\*M?!.*?(?:\*/|\Z)",
        # `5--1` is 6: a comment needs a space.
        comment=rf"--(?=[\s\x00-\x1f]|\Z)[^\n]* | \#[^\n]* | {_BLOCK}",
        string=rf'{_ESCAPED} | "(?:\\.|""|[^"\\])*(?:"|\Z)',
        quoted=_BACKTICK,
    ),
    body="mysql",
)
"""Source: https://dev.mysql.com/doc/refman/8.4/en/language-structure.html"""

_KINDS = {
    "sqlite": SQLITE,
    "postgresql": POSTGRES,
    "duckdb": DUCKDB,
    "mysql": MYSQL,
    "mariadb": MYSQL,
    "oracle": STANDARD,
    "mssql": STANDARD,
}


def syntax_of(kind: str) -> Syntax:
    """Return the lexical rules of a kind of database, as its URL names it.

    >>> syntax_of("postgresql").nested_comments, syntax_of("snowflake").strict
    (True, True)
    """
    return _KINDS.get(kind, UNKNOWN)
