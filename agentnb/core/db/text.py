"""SQL as text: where statements end and where ``:names`` stand.

A scanner that knows, for each kind of database, what is a string, a comment, a quoted
identifier, a ``::`` cast or a dollar-quoted body; what is inside those is never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from agentnb.core.db.bodies import body_of
from agentnb.core.db.syntax import GENERIC, Syntax
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bind", "Statement", "scan", "split", "tokens"]

# After these a colon is a slice's or a path's own, as in `a[1:n]`, `a[:n]` or `doc:name`.
_NOT_A_BIND = re.compile(r"(?:[\w\])\"']|(?<!array)\[)\Z", re.IGNORECASE)
_IN = re.compile(r"\b(?P<not>not\s+)?in\s*(?P<open>\(?)\s*\Z", re.IGNORECASE)
_CLOSED = re.compile(r"\s*\)")
_READS = frozenset({"select", "values", "table", "from"})  # the last is DuckDB's short form
_COMMENT_EDGE = re.compile(r"/\*|\*/")
# A client's word, which gives semicolons to the bodies of MySQL's procedures.
_DELIMITER = re.compile(r"[ \t]+(\S+)[^\n]*")


@dataclass(frozen=True, slots=True)
class Bind:
    """A ``:name`` in a statement: where it stands, and whether a list fits there.

    Parameters
    ----------
    name, start, end
        The name without its colon, and where it stands.
    is_in
        ``"in"`` or ``"not in"`` where the name stands behind one, else ``""``.
    enclosed
        Whether the name is in parentheses.
    whole
        Where all of ``in (:name)`` starts and ends, if there is nothing else in it.
    """

    name: str
    start: int
    end: int
    is_in: str = ""
    enclosed: bool = False
    whole: tuple[int, int] | None = None

    def moved(self, by: int) -> Bind:
        """Return the same bind in a text that starts so much later."""
        whole = self.whole and (self.whole[0] - by, self.whole[1] - by)
        return Bind(self.name, self.start - by, self.end - by, self.is_in, self.enclosed, whole)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text.

    Parameters
    ----------
    sql
        Its text without the closing semicolon.
    binds
        The names it binds, in their order.
    number, line
        Its place in the text that was split, both from 1.
    keyword
        Its first word in lower case; ``""`` if it has none.
    words
        All its bare words in lower case: never one from a string or a comment.
    marks
        The driver's own marks for values, such as ``?``.
    escapes
        Whether a plain string has a backslash in it, which a session may read as an escape.
    """

    sql: str
    binds: tuple[Bind, ...] = ()
    number: int = 1
    line: int = 1
    keyword: str = ""
    words: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    escapes: bool = False

    @property
    def reads(self) -> bool:
        """Return whether this only reads, as far as its words tell."""
        if self.keyword == "with":
            return not self.words & {"insert", "update", "delete", "merge", "into"}
        return self.keyword in _READS and "into" not in self.words


@lru_cache(maxsize=512)
def scan(sql: str, syntax: Syntax = GENERIC) -> Statement:
    """Scan one statement; a closing semicolon is dropped.

    Parameters
    ----------
    sql
        One statement.
    syntax
        The lexical rules of its database.

    Raises
    ------
    UsageError
        There is no statement, or more than one.

    Examples
    --------
    >>> [bind.name for bind in scan("select ':no', x::text from t where id = :id").binds]
    ['id']
    """
    statements = split(sql, syntax)
    if len(statements) == 1:
        return statements[0]
    if not statements:
        raise UsageError("there is no SQL to run", service="db", hint="such as select 1")
    raise UsageError(
        f"{len(statements)} statements where one is expected",
        service="db",
        hint="run several with hub.db.script(...) (%%db)",
    )


@lru_cache(maxsize=128)
def split(sql: str, syntax: Syntax = GENERIC) -> tuple[Statement, ...]:
    """Split a text into its statements.

    Parameters
    ----------
    sql
        Any number of statements.
    syntax
        The lexical rules of their database.

    Raises
    ------
    UsageError
        The end of a string or of a body depends on the database, which is not known.

    Examples
    --------
    >>> [s.sql for s in split("select ';'; select 2 -- done;")]
    ["select ';'", 'select 2 -- done;']
    """
    splitter = _Splitter(sql, syntax)
    splitter.run()
    return tuple(splitter.statements)


def tokens(sql: str, syntax: Syntax = GENERIC) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and end of each token of a text."""
    at, match = 0, syntax.token.match
    while token := match(sql, at):
        nested = syntax.nested_comments and token.group().startswith("/*")
        end = _end_of_comment(sql, at) if nested else token.end()
        yield token.lastgroup or "", sql[at:end], end
        at = end


class _Splitter:
    """Collects the statements of a text, token by token."""

    def __init__(self, sql: str, syntax: Syntax) -> None:
        self.sql = sql
        self.syntax = syntax
        self.statements: list[Statement] = []
        self.delimiter = ";"
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.start = start
        self.body = body_of(self.syntax)
        self.binds: list[Bind] = []
        self.marks: list[str] = []
        self.escapes = False
        self.code = False  # anything but space and comments

    def run(self) -> None:
        """Take every token of the text."""
        at, match = 0, self.syntax.token.match
        while token := match(self.sql, at):
            if token.lastgroup == "space" or self.delimiter == ";":
                at = token.end() if token.lastgroup == "space" else self._take(token)
            elif self.sql.startswith(self.delimiter, at):
                self._close(at)
                at += len(self.delimiter)
                self._begin(at)
            else:
                at = self._take(self._cut(token))
        self._close(len(self.sql))

    def _cut(self, token: re.Match[str]) -> re.Match[str]:
        """Cut a token where a delimiter such as ``$$`` stands in it."""
        if self.delimiter == ";" or token.lastgroup not in {"word", "other"}:
            return token
        inside = token.group().find(self.delimiter)
        end = token.start() + inside
        found = self.syntax.token.match(self.sql, token.start(), end) if inside > 0 else None
        return found or token

    def _take(self, token: re.Match[str]) -> int:
        """Take one token; return where the next one starts."""
        kind, text, end = token.lastgroup, token.group(), token.end()
        if kind == "comment":
            nested = self.syntax.nested_comments and text.startswith("/*")
            return _end_of_comment(self.sql, token.start()) if nested else end
        if kind == "semicolon" and self.delimiter == ";":
            if self.body.semicolon():
                self._close(token.start())
                self._begin(end)
            return end
        if kind in {"word", "initial"}:
            return self._word(text.lower(), end)
        self.code = True
        if kind == "bind":
            self._bind(text[1:], token.start(), end)
        elif kind == "mark":
            self.marks.append(text)
        elif kind == "string":
            self._string(text)
        self.body.other(text)
        return end

    def _word(self, word: str, end: int) -> int:
        if word == "delimiter" and not self.code and self.syntax.body == "mysql":
            found = _DELIMITER.match(self.sql, end)
            if found is not None:
                self.delimiter = found[1]
                self._begin(found.end())
                return found.end()
        self.code = True
        self.body.word(word)
        return end

    def _string(self, text: str) -> None:
        if "\\" not in text or text[0] in "eE":
            return
        self.escapes = True
        if self.syntax.strict and ("\\'" in text):
            raise UsageError(
                "the string that has \\' in it may end there or not: databases differ",
                service="db",
                hint="bind the text, as in :name",
            )

    def _bind(self, name: str, start: int, end: int) -> None:
        at = max(self.start, start - 40)
        before = self.sql[at:start]
        if self.syntax.slices and _NOT_A_BIND.search(before):
            return
        found = _IN.search(before)
        if found is None:
            self.binds.append(Bind(name, start, end))
            return
        enclosed = bool(found["open"])
        closed = _CLOSED.match(self.sql, end)
        whole = None
        if not enclosed or closed:
            whole = (at + found.start(), closed.end() if enclosed and closed else end)
        is_in = "not in" if found["not"] else "in"
        self.binds.append(Bind(name, start, end, is_in, enclosed, whole))

    def _close(self, end: int) -> None:
        if not self.code:
            return
        if self.delimiter == ";":
            self.body.end()
        text = self.sql[self.start : end]
        left = self.start + len(text) - len(text.lstrip())
        words = self.body.words
        self.statements.append(
            Statement(
                text.strip(),
                tuple(bind.moved(left) for bind in self.binds),
                len(self.statements) + 1,
                self.sql.count("\n", 0, left) + 1,
                words[0] if words else "",
                frozenset(words),
                tuple(self.marks),
                self.escapes,
            )
        )


def _end_of_comment(sql: str, start: int) -> int:
    """Return where a comment ends that may have others inside."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return len(sql)
