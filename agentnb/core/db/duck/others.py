"""Tables of other connections, for one statement: those that it names as ``CONNECTION.TABLE``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.db import schema
from agentnb.core.db.duck.paths import in_from, plain
from agentnb.core.db.quoting import quoted_name
from agentnb.core.db.syntax import DUCKDB
from agentnb.core.db.text import scan, tokens
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.resilience import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.db.backend import Watch
    from agentnb.core.db.database import Database
    from agentnb.core.db.text import Statement

    Connections = Callable[[str], Database | None]
    """Returns the connection of a name, if there is one."""

__all__ = ["named", "shown"]

MOST_ROWS = 1_000_000
MOST_BYTES = 256_000_000

_NAMES = frozenset({"word", "initial", "quoted"})
_SPACE = frozenset({"space", "comment"})
_WRITES = frozenset({"insert", "update", "delete", "merge", "create", "drop", "alter", "truncate",
    "comment"})  # fmt: skip
_MADE = frozenset({"table", "view", "macro", "function", "prepare"})
_TARGETS = frozenset({"into", "update", "table", "view", "exists"})
# Behind these, and before a colon, a table has no alias of its own.
_NO_ALIAS = frozenset({"describe", "desc", "summarize", "table", "show", "copy", "pivot",
    "unpivot", "pivot_wider", "pivot_longer", ":"})  # fmt: skip
_TAKEN = (
    "select 1 from (select schema_name as name from duckdb_schemas() "
    "union all select database_name from duckdb_databases()) where lower(name) = lower($1) limit 1"
)
_NO_NAMES = (
    "select keyword_name from duckdb_keywords() "
    "where keyword_category not in ('unreserved', 'column_name')"
)


@dataclass(frozen=True, slots=True)
class _Name:
    """A ``CONNECTION.TABLE`` in a statement.

    Parameters
    ----------
    connection, table
        The two names, without quotes.
    start, end
        Where it stands.
    before, after
        The kind and text of the tokens around it.
    is_table
        Whether a table stands there, and not a column.
    """

    connection: str
    table: str
    start: int
    end: int
    before: tuple[str, str]
    after: tuple[str, str]
    is_table: bool

    @property
    def key(self) -> tuple[str, str]:
        """The names as DuckDB compares them."""
        return self.connection.lower(), self.table.lower()


def named(sql: str) -> list[_Name]:
    """Return each pair of names with a dot between them; texts and comments have none.

    >>> found = named("select a.b, 'c.d' from Prod.`T x` -- e.f")
    >>> [(one.connection, one.table, one.is_table) for one in found]
    [('a', 'b', False), ('Prod', 'T x', True)]
    """
    found: list[tuple[str, str, int]] = []
    starts, at = [], 0
    for kind, text, end in tokens(sql, DUCKDB):
        if kind not in _SPACE:
            found.append((kind, text, end))
            starts.append(at)
        at = end
    names = []
    nothing = ("", "", 0)
    for number in range(len(found) - 2):
        first, dot, second = found[number : number + 3]
        before = found[number - 1] if number else nothing
        after = found[number + 3] if number + 3 < len(found) else nothing
        if dot[1] != "." or before[1] == "." or not {first[0], second[0]} <= _NAMES:
            continue
        names.append(
            _Name(
                plain(first[1]),
                plain(second[1]),
                starts[number],
                second[2],
                (before[0], before[1].lower()),
                (after[0], after[1].lower()),
                before[1].lower() in _NO_ALIAS | _TARGETS
                or in_from([(kind, text) for kind, text, _ in found[:number]]),
            )
        )
    return names


@contextmanager
def shown(
    native: Any, statement: Statement, connections: Connections | None, watch: Watch | None
) -> Iterator[Statement]:
    """Run a block in which the tables of other connections are there.

    A schema or an attached database of the same name is not covered.

    Parameters
    ----------
    native
        DuckDB's connection.
    statement
        The statement.
    connections
        Gives the other connections.
    watch
        The watch of the statement.

    Yields
    ------
    Statement
        The statement to run.

    Raises
    ------
    UsageError
        Such a table is too large, or the statement would change or keep it.
    AgentnbError
        The other connection's own error.
    """
    names = named(statement.sql) if connections and "." in statement.sql else []
    found: dict[str, Database] = {}
    for one in names:
        key = one.key[0]
        if one.is_table and key not in found and connections:
            other = connections(one.connection)
            if other is not None and not native.execute(_TAKEN, [one.connection]).fetchall():
                found[key] = other
    names = [one for one in names if one.key[0] in found]
    if not found:
        yield statement
        return
    _refuse_changes(statement, names)
    made: dict[tuple[str, str], str] = {}
    try:
        for one in names:
            if one.is_table and one.key not in made:
                data = _fetched(found[one.key[0]], one, watch)
                made[one.key] = name = f"{one.connection}.{one.table}"
                native.register(name, data)
        reserved = {word for (word,) in native.execute(_NO_NAMES).fetchall()}
        yield scan(_rewritten(statement.sql, names, made, reserved), DUCKDB)
    finally:
        for name in made.values():
            native.unregister(name)


def _refuse_changes(statement: Statement, names: list[_Name]) -> None:
    for one in names:
        name = f"{one.connection}.{one.table}"
        if one.is_table and one.after[1] == ".":
            raise UsageError(
                f"{name} of another connection has one more name behind it",
                service="db",
                hint=f'quote schema and table together: {one.connection}."{one.table}.NAME"',
            )
        target = statement.keyword == "delete" and one.before[1] == "from"
        if one.is_table and statement.keyword in _WRITES:
            target = target or one.before[1] in _TARGETS
        if target and one is next(each for each in names if each.is_table):
            raise UsageError(
                f"{name} is a table of another connection, which only its own SQL changes",
                service="db",
                hint=f'hub.databases["{one.connection}"].execute(SQL) '
                f"(%db -c {one.connection} SQL)",
            )
    written = (text.lower() for kind, text, _ in tokens(statement.sql, DUCKDB) if kind == "word")
    made = next((word for word in written if word in _MADE), "")
    if statement.keyword in {"create", "prepare"} and made not in {"", "table"}:
        raise UsageError(
            f"{made.upper()} of {names[0].connection}.{names[0].table} would be of no use after "
            "this statement",
            service="db",
            hint="create table NAME as select ...",
        )


def _fetched(other: Database, one: _Name, watch: Watch | None) -> Any:
    """Return the rows of a table as Arrow data, by the other connection's own rules."""
    name = f"{one.connection}.{one.table}"
    timeout: Any = None
    if other.access.backend.cancels and watch is not None:
        left = watch.deadline.remaining()
        timeout = Deadline(other.timeout if left is None else min(left, other.timeout))
    try:
        table = schema.quote(other.access, one.table)
        result = other.query(
            f"select * from {table}",
            limit=MOST_ROWS,
            max_bytes=min(MOST_BYTES, other.max_bytes),
            timeout=timeout,
            arrow=True,
        )
        if not result.truncated:
            return result.arrow()
    except UsageError as error:
        raise _too_large(error.within(name), one) from error
    except AgentnbError as error:
        raise error.within(name) from error
    raise _too_large(UsageError(f"{name} has more than {MOST_ROWS:,} rows", service="db"), one)


def _too_large(error: UsageError, one: _Name) -> UsageError:
    name = one.connection
    error.hint = (
        f'filter it first: rows = hub.databases["{name}"].query(SQL) (%db -c {name} rows << SQL), '
        "and name rows"
    )
    return error


def _rewritten(
    sql: str, names: list[_Name], made: Mapping[tuple[str, str], str], reserved: set[str]
) -> str:
    """Return the statement with the names under which the tables are registered.

    A table that has no alias gets its own name for one, as SQL has it, if only one table has it.
    """
    tables = [key[1] for key in made]
    parts, at = [], 0
    for one in names:
        if one.key not in made:
            continue
        alias = tables.count(one.key[1]) == 1
        text = quoted_name(made[one.key])
        kind, word = one.after
        if not one.is_table:
            text = quoted_name(one.table) if alias else text
        elif (
            alias
            and one.before[1] not in _NO_ALIAS
            and not (
                kind == "quoted" or (kind in _NAMES and (word == "as" or word not in reserved))
            )
        ):
            text += f" as {quoted_name(one.table)}"
        parts += [sql[at : one.start], text]
        at = one.end
    return "".join([*parts, sql[at:]])
