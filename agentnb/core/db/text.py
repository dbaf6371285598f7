"""SQL as text: where statements end and where ``:names`` stand.

A scanner that knows what is a string, a comment, a quoted identifier, a ``::`` cast or a
dollar-quoted body; what is inside those is never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bind", "Statement", "scan", "split", "tokens"]

_TOKEN = re.compile(
    r"""
      (?P<comment>   --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<string>    [eE]'(?:\\.|''|[^'\\])*(?:'|\Z) | '(?:''|[^'])*(?:'|\Z) )
    | (?P<quoted>    "(?:""|[^"])*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[A-Za-z_][^\]\[\n:]*\] )
    | (?P<dollar>    \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<cast>      ::+ | := )
    | (?P<bind>      :[^\W\d]\w*(?:\.[^\W\d]\w*)* )
    | (?P<semicolon> ; )
    | (?P<word>      [^\W\d][\w$]* )
    | (?P<space>     \s+ )
    | (?P<other>     \d[\w.]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
# After these a colon is a slice's or a path's own, as in `a[1:n]`, `a[:n]` or `doc:name`.
_NOT_A_BIND = re.compile(r"(?:[\w\])\"']|(?<!array)\[)\Z", re.IGNORECASE)
_TRIGGER = re.compile(r"create\s+(?:temp(?:orary)?\s+)?trigger\b", re.IGNORECASE)
_IN = re.compile(r"\b(?P<not>not\s+)?in\s*(?P<open>\(?)\s*\Z", re.IGNORECASE)
_CLOSED = re.compile(r"\s*\)")


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
        Whether it stands in parentheses.
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
    """

    sql: str
    binds: tuple[Bind, ...] = ()
    number: int = 1
    line: int = 1
    keyword: str = ""
    words: frozenset[str] = frozenset()

    @property
    def reads(self) -> bool:
        """Return whether this only reads, as far as its words tell."""
        if self.keyword == "with":
            return not self.words & {"insert", "update", "delete", "merge", "into"}
        return self.keyword in {"select", "values", "table"} and "into" not in self.words


@lru_cache(maxsize=512)
def scan(sql: str) -> Statement:
    """Scan one statement; a closing semicolon is dropped.

    Raises
    ------
    UsageError
        There is no statement, or more than one.

    Examples
    --------
    >>> [bind.name for bind in scan("select ':no', x::text from t where id = :id").binds]
    ['id']
    """
    statements = split(sql)
    if len(statements) == 1:
        return statements[0]
    if not statements:
        raise UsageError("there is no SQL to run", service="db")
    raise UsageError(
        f"{len(statements)} statements where one is expected",
        service="db",
        hint="run several with script(...), or in a notebook with %%db",
    )


@lru_cache(maxsize=128)
def split(sql: str) -> tuple[Statement, ...]:
    """Split a text into its statements.

    Examples
    --------
    >>> [s.sql for s in split("select ';'; select 2 -- done;")]
    ["select ';'", 'select 2 -- done;']
    """
    splitter = _Splitter(sql)
    for token in _TOKEN.finditer(sql):
        splitter.take(token)
    splitter.close(len(sql))
    return tuple(splitter.found)


def tokens(sql: str) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and end of each token of a text."""
    for found in _TOKEN.finditer(sql):
        yield found.lastgroup or "", found.group(), found.end()


class _Splitter:
    """Collects the statements of a text, token by token."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.found: list[Statement] = []
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.start = start
        self.depth = 0  # of the blocks inside a trigger's body
        self.trigger = False
        self.binds: list[Bind] = []
        self.words: list[str] = []

    def take(self, token: re.Match[str]) -> None:
        kind = token.lastgroup
        if kind == "word":
            self._word(token.group().lower())
        elif kind == "bind":
            self._bind(token.group()[1:], token.start(), token.end())
        elif kind == "semicolon" and self.depth <= 0:
            self.close(token.start())
            self._begin(token.end())

    def _bind(self, name: str, start: int, end: int) -> None:
        at = max(self.start, start - 40)
        before = self.sql[at:start]
        if _NOT_A_BIND.search(before):
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

    def _word(self, word: str) -> None:
        self.words.append(word)
        # The body of a function in the SQL standard's form.
        if word == "atomic" and self.words[0] == "create" and self.words[-2:-1] == ["begin"]:
            self.trigger, self.depth = True, 1
            return
        if len(self.words) in {2, 3}:
            self.trigger = self.trigger or bool(_TRIGGER.match(" ".join(self.words)))
        # A trigger's body has semicolons of its own, between BEGIN and END.
        if self.trigger and word in {"begin", "case"}:
            self.depth += 1
        elif self.trigger and word == "end":
            self.depth -= 1

    def close(self, end: int) -> None:
        body = self.sql[self.start : end]
        if not self.words and not self.binds and not _has_code(body):
            return
        left = self.start + len(body) - len(body.lstrip())
        self.found.append(
            Statement(
                body.strip(),
                tuple(bind.moved(left) for bind in self.binds),
                len(self.found) + 1,
                self.sql.count("\n", 0, left) + 1,
                self.words[0] if self.words else "",
                frozenset(self.words),
            )
        )


def _has_code(sql: str) -> bool:
    return any(token.lastgroup not in {"comment", "space"} for token in _TOKEN.finditer(sql))
