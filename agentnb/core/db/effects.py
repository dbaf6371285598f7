"""Whether a statement does more than return rows: changes, locks, calls of functions."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from agentnb.core.db.syntax import POSTGRES
from agentnb.core.db.text import split, tokens
from agentnb.core.errors import UsageError
from agentnb.core.resilience import Deadline

if TYPE_CHECKING:
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.text import Statement

__all__ = ["calls", "changes", "changing", "has_escaped_names", "locks", "names"]

_CHANGES = frozenset({"insert", "update", "delete", "merge", "replace"})
_LOCKS = frozenset({"update", "share", "key"})
_CALL = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*\(", re.DOTALL)
# Words in front of a parenthesis that call nothing.
_SYNTAX = frozenset({
    "all", "and", "any", "array", "as", "asc", "between", "both", "by", "case", "check",
    "cross", "cube", "desc", "distinct", "else", "end", "escape", "except", "exists",
    "extract", "fetch", "filter", "first", "following", "from", "full", "group", "grouping",
    "having", "ilike", "in", "inner", "intersect", "interval", "is", "join", "last",
    "lateral", "leading", "left", "like", "limit", "materialized", "not", "null", "nulls",
    "of", "offset", "on", "only", "or", "order", "outer", "over", "partition", "preceding",
    "range", "recursive", "returning", "right", "rollup", "row", "rows", "select", "set",
    "sets", "similar", "some", "symmetric", "table", "tablesample", "then", "to", "trailing",
    "union", "unique", "using", "value", "values", "when", "where", "window", "with", "within"
})  # fmt: skip


def changes(statement: Statement) -> bool:
    """Return whether the statement inserts, updates or deletes.

    >>> from agentnb.core.db.text import scan
    >>> changes(scan("with x as (delete from t returning a) select a from x"))
    True
    >>> changes(scan("select replace(a, 'b', 'c') from t"))
    False
    """
    if statement.keyword == "with":
        return not statement.reads
    if statement.keyword == "copy":
        return bool(statement.words & _CHANGES)
    return statement.keyword in _CHANGES


def locks(statement: Statement) -> bool:
    """Return whether the statement locks the rows that it reads.

    >>> from agentnb.core.db.text import scan
    >>> locks(scan("select * from t for update skip locked"))
    True
    """
    return "for" in statement.words and bool(statement.words & _LOCKS)


@lru_cache(maxsize=512)
def names(sql: str) -> frozenset[str]:
    """Return the words and the quoted names of a PostgreSQL statement, as its catalog has them.

    >>> sorted(names('select a from "My view" -- not this'))
    ['My view', 'a', 'from', 'select']
    """
    return frozenset(
        _name(kind, text) for kind, text, _ in tokens(sql, POSTGRES) if kind in {"word", "quoted"}
    )


def _name(kind: str, text: str) -> str:
    return text.lower() if kind == "word" else text[1:-1].replace('""', '"')


@lru_cache(maxsize=512)
def has_escaped_names(sql: str) -> bool:
    r"""Return whether a PostgreSQL statement spells a name by codes, so that it is not read here.

    >>> has_escaped_names(r'select U&"dr\006fp"(1)')
    True
    >>> has_escaped_names("select u & a")
    False
    """
    before = ["", ""]
    for kind, text, _ in tokens(sql, POSTGRES):
        if kind == "quoted" and before in (["u", "&"], ["U", "&"]):
            return True
        before = [before[1], text]
    return False


@lru_cache(maxsize=512)
def calls(sql: str) -> frozenset[str]:
    """Return the names of the functions that a PostgreSQL statement calls, in lower case.

    A quoted name is taken as it is; a name in front of a parenthesis that is no function,
    such as that of a WITH query, may be among them.

    >>> sorted(calls('select archive(id), "Mine"(1), count(*) from t where id in (1, 2)'))
    ['Mine', 'archive', 'count']
    """
    found = set()
    named = False  # after INTO and AS: a table's or an alias's name, and its columns
    for kind, text, end in tokens(sql, POSTGRES):
        if kind in {"space", "comment"} or text == ".":
            continue
        if kind not in {"word", "quoted"}:
            named = False
            continue
        name = _name(kind, text)
        if kind == "word" and name in {"into", "as"}:
            named = True
            continue
        if not named and _CALL.match(sql, end) and (kind == "quoted" or name not in _SYNTAX):
            found.add(name)
        named = named and sql[end : end + 1] == "."
    return frozenset(found)


def changing(runner: Runner, sql: str) -> list[Statement]:
    """Return those statements of a text that may do more than read.

    Judged by what is known to read only: every other statement is one of them, and so is a query
    that locks rows or calls a function of which PostgreSQL says that it may write.

    Parameters
    ----------
    runner
        Runs on the database, which is asked about functions.
    sql
        Any number of statements.

    Raises
    ------
    UsageError
        There is no statement, or one that cannot be told from the next.
    """
    statements = split(sql, runner.backend.syntax)
    if not statements:
        raise UsageError("there is no SQL to run", service="db", hint="type some, such as select 1")
    found = [one for one in statements if not (one.reads or _describes(one))]
    queries = [one for one in statements if one.reads]
    if queries:
        with runner.checkout(Deadline.of(runner.timeout)) as connection:
            found += [one for one in queries if runner.backend.has_effects(connection, one)]
            runner.settle(connection)
    return sorted(found, key=lambda one: one.number)


def _describes(statement: Statement) -> bool:
    if statement.keyword == "explain":
        return "analyze" not in statement.words
    return statement.keyword in {"show", "describe", "summarize"}
