"""SQL as text: where statements end and where ``:names`` stand.

A scanner that knows what is a string, a comment, a quoted identifier, a ``::`` cast or a
dollar-quoted body; what is inside those is never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentnb.core.bind import lookup
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Bind", "Statement", "render", "scan", "split"]

_TOKEN = re.compile(
    r"""
      (?P<comment>   --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<string>    [eE]'(?:\\.|''|[^'\\])*(?:'|\Z) | '(?:''|[^'])*(?:'|\Z) )
    | (?P<quoted>    "(?:""|[^"])*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[A-Za-z_][^\]\[\n:]*\] )
    | (?P<dollar>    \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<cast>      ::+ | := )
    | (?P<bind>      :[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)* )
    | (?P<semicolon> ; )
    | (?P<word>      [A-Za-z_][\w$]* )
    | (?P<space>     \s+ )
    | (?P<other>     \d[\w.]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
# After these a colon is a slice's or a path's own, as in `a[1:n]`, `a[:n]` or `doc:name`.
_NOT_A_BIND = re.compile(r"(?:[\w\])\"']|(?<!array)\[)\Z", re.IGNORECASE)
_TRIGGER = re.compile(r"create\s+(?:temp(?:orary)?\s+)?trigger\b", re.IGNORECASE)
_IN = re.compile(r"\bin\s*\(?\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bind:
    """A ``:name`` in a statement: where it stands, and whether a list fits there."""

    name: str
    start: int
    end: int
    after_in: bool


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
            before = self.sql[max(self.start, token.start() - 40) : token.start()]
            if not _NOT_A_BIND.search(before):
                after_in = bool(_IN.search(before))
                self.binds.append(Bind(token.group()[1:], token.start(), token.end(), after_in))
        elif kind == "semicolon" and self.depth <= 0:
            self.close(token.start())
            self._begin(token.end())

    def _word(self, word: str) -> None:
        self.words.append(word)
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
        binds = (Bind(b.name, b.start - left, b.end - left, b.after_in) for b in self.binds)
        self.found.append(
            Statement(
                body.strip(),
                tuple(binds),
                len(self.found) + 1,
                self.sql.count("\n", 0, left) + 1,
                self.words[0] if self.words else "",
                frozenset(self.words),
            )
        )


def _has_code(sql: str) -> bool:
    return any(token.lastgroup not in {"comment", "space"} for token in _TOKEN.finditer(sql))


def render(
    statement: Statement,
    params: Mapping[str, Any],
    paramstyle: str,
    adapt: Callable[[Any], Any],
) -> tuple[str, dict[str, Any] | tuple[Any, ...] | None]:
    """Return the SQL and the parameters in the form that a driver wants.

    Parameters
    ----------
    statement
        What `scan` or `split` returned.
    params
        The values; ``:a.b`` is attribute or item ``b`` of ``params["a"]``. A list, tuple
        or set after IN becomes as many parameters as it has values.
    paramstyle
        The driver's, as PEP 249 names them.
    adapt
        Turns one value into one that the driver takes.

    Raises
    ------
    UsageError
        A name that nothing is bound to, or a value that cannot be bound.
    """
    percent = paramstyle in {"format", "pyformat"}
    escape = (lambda text: text.replace("%", "%%")) if percent else str
    if not statement.binds:
        return escape(statement.sql), None
    out, at = [], 0
    values: dict[str, Any] = {}
    order: list[Any] = []

    def place(key: str, value: object) -> str:
        if paramstyle in {"named", "pyformat"}:
            values[key] = value
            return f":{key}" if paramstyle == "named" else f"%({key})s"
        order.append(value)
        return {"qmark": "?", "format": "%s"}.get(paramstyle, f":{len(order)}")

    for bind in statement.binds:
        out.append(escape(statement.sql[at : bind.start]))
        at = bind.end
        key = bind.name.replace(".", "__")
        value = lookup(bind.name, params)
        items = _items(value) if bind.after_in else None
        if items is None:
            out.append(place(key, _adapted(adapt, value, bind.name)))
            continue
        keys = (f"{key}__{i}" for i in range(len(items)))
        marks = ", ".join(place(k, _adapted(adapt, v, bind.name)) for k, v in zip(keys, items))  # noqa: B905 - keys are made from items
        # An empty list matches nothing; `in ()` is an error outside of SQLite.
        marks = marks or "select null where 1 = 0"
        enclosed = statement.sql[: bind.start].rstrip().endswith("(")
        out.append(marks if enclosed else f"({marks})")
    out.append(escape(statement.sql[at:]))
    return "".join(out), (values or tuple(order))


def _items(value: object) -> list[Any] | None:
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return list(value)
    if isinstance(value, dict | str | bytes) or not hasattr(value, "tolist"):
        return None
    found = value.tolist()  # a numpy array or a pandas Series
    return found if isinstance(found, list) else None


def _adapted(adapt: Callable[[Any], Any], value: object, name: str) -> object:
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__dataframe__"):
        raise UsageError(
            f":{name} is a {type(value).__name__}, which cannot be bound as a value",
            service="db",
            hint="bind one value or a list after IN; a frame goes in with load",
        )
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "item"):
        value = value.item()
    return adapt(value)
