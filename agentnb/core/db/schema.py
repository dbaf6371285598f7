"""The tables of a database and their columns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import Watch
from agentnb.core.db.text import Statement
from agentnb.core.errors import (
    DeadlineExceeded,
    QueryRejected,
    RejectedError,
    TableNotFound,
    UsageError,
    did_you_mean,
)
from agentnb.core.ranges import text
from agentnb.core.resilience import Deadline
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from agentnb.core.db.database import Database
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.sources import Source

__all__ = [
    "columns",
    "count",
    "describe",
    "exists",
    "is_internal",
    "is_temporary",
    "listed",
    "quoted",
    "refuse_strange",
    "tables",
]

_SYSTEM = {"information_schema", "pg_catalog", "pg_toast", "mysql", "sys", "performance_schema"}

_INTERNAL = ("agentnb_", "agentnb.")

_INSPECT = Statement("inspect")
"""Stands for the statements of SQLAlchemy's inspector."""


def is_internal(table: str) -> bool:
    """Return whether a table is one of agentnb's own, such as those of the workflows.

    >>> is_internal("agentnb_task"), is_internal("agentnb.task"), is_internal("task")
    (True, True, False)
    """
    return table.startswith(_INTERNAL)


def tables(runner: Runner, timeout: float | None = None, *, internal: bool = False) -> Table:
    """Return name and kind of every table and view; those of other schemas by full name.

    Parameters
    ----------
    timeout
        Seconds; default: those of the database.
    internal
        Include agentnb's own, which are only counted otherwise.
    """
    seconds = runner.timeout if timeout is None else timeout
    with _inspecting(runner, seconds) as connection:
        rows = _names(connection)
    shown = rows if internal else [row for row in rows if not is_internal(row[0])]
    hidden = len(rows) - len(shown)
    return Table(
        ("name", "kind"),
        shown,
        note=_hidden(hidden) if hidden else "",
        empty="no tables yet: create table ..., or hub.db.load(FILE, TABLE) (%db load FILE TABLE)",
    )


@contextmanager
def _inspecting(runner: Runner, seconds: float) -> Iterator[Connection]:
    """Lend a connection for SQLAlchemy's inspector, whose errors come out as ours."""
    watch = Watch(Deadline.of(seconds))
    with runner.checkout(watch.deadline) as connection:
        with runner.translated(watch, _INSPECT), _plainly(runner):
            yield connection
        runner.settle(connection)


def _hidden(count: int) -> str:
    own = "1 table of agentnb's own is" if count == 1 else f"{count} tables of agentnb's own are"
    return f"{own} not listed: tables(internal=True) (%db tables --all)"


@contextmanager
def _plainly(runner: Runner) -> Iterator[None]:
    """Say where to look instead if a dialect of SQLAlchemy's cannot look at a catalogue."""
    from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, NotImplementedError) as error:
        if runner.backend.support != "plain" or isinstance(error, NoSuchTableError):
            raise
        raise QueryRejected(
            f"{runner.backend.target.kind} has plain support, and its SQLAlchemy dialect "
            f"cannot do this: {str(getattr(error, 'orig', error)).partition(chr(10))[0]}",
            service="db",
            hint="ask the database itself: select * from information_schema.columns "
            "where table_name = 'NAME'",
        ) from error


def _names(connection: Connection) -> list[tuple[Any, ...]]:
    from sqlalchemy import inspect

    inspector = inspect(connection)
    rows: list[tuple[Any, ...]] = []
    for schema, prefix in _schemas(inspector):
        rows += [(prefix + name, "table") for name in inspector.get_table_names(schema)]
        rows += [(prefix + name, "view") for name in inspector.get_view_names(schema)]
        if inspector.dialect.name == "postgresql":
            names = inspector.get_materialized_view_names(schema)
            rows += [(prefix + name, "materialized view") for name in names]
    return sorted(rows, key=lambda row: ("." in row[0], row[0]))


def _schemas(inspector: Any) -> list[tuple[str | None, str]]:
    """Return each schema with what its tables have in front of their names."""
    return [(None, ""), *((name, f"{name}.") for name in _others(inspector))]


def _others(inspector: Any) -> list[str]:
    if inspector.dialect.name == "sqlite":
        return []  # attached files belong to one connection of the pool, not to the database
    default = inspector.default_schema_name
    found = [name for name in inspector.get_schema_names() if name != default]
    return [name for name in found if name not in _SYSTEM and not name.startswith("pg_")]


def describe(runner: Runner, table: str) -> Table:
    """Return column, type, nullable, default and key of a table's columns.

    Raises
    ------
    NotFoundError
        There is no such table; the hint has the nearest.
    """
    if (other := elsewhere(runner, table)) is not None:
        return other[0].describe(other[1])
    with _inspecting(runner, runner.timeout) as connection:
        found = listed(connection, table)
        known = _known(connection, table) if found is None else []
    if found is None:
        some = f"tables: {', '.join(known[:10])}" if known else "there are no tables yet"
        raise TableNotFound(
            f"no such table: {table}", service="db", hint=did_you_mean(table, known) or some
        )
    return Table(("column", "type", "nullable", "default", "key"), found)


def elsewhere(runner: Runner, table: str) -> tuple[Database, str] | None:
    """Return the connection that a name such as ``prod.orders`` leads to, and the table there.

    None is returned where there is none, or where a schema of that name is here.
    """
    from sqlalchemy import inspect

    connections = runner.backend.connections
    name, dot, rest = text("table", table, service="db").partition(".")
    other = connections(name) if connections and dot else None
    if other is None:
        return None
    with _inspecting(runner, runner.timeout) as connection:
        schemas = inspect(connection).get_schema_names()
    own = {one.partition(".")[0].lower() for one in schemas}
    return None if name.lower() in own else (other, rest)


def _known(connection: Connection, missing: str) -> list[str]:
    """Return the names that a missing table is compared with."""
    names = [row[0] for row in _names(connection)]
    return names if is_internal(missing) else [name for name in names if not is_internal(name)]


def columns(runner: Runner, table: str) -> list[str]:
    """Return the names of a table's columns; none for a table that does not exist."""
    with _inspecting(runner, runner.timeout) as connection:
        found = listed(connection, table)
    return [row[0] for row in found or []]


def quote(runner: Runner, table: str) -> str:
    """Return a table's name as the database wants it written."""
    with _inspecting(runner, runner.timeout) as connection:
        return quoted(connection, table)


def count(runner: Runner, table: str, *, timeout: float | None = None) -> int:
    """Return the number of a table's rows."""
    name = quote(runner, table)
    return runner.count_rows(name, timeout if runner.backend.cancels else None)


def counts(runner: Runner, names: list[str], *, seconds: float) -> dict[str, int | None]:
    """Return the number of rows of each table, as many as can be counted in the time.

    Parameters
    ----------
    names
        Tables, as `tables` names them.
    seconds
        For all of them together; None stands for a count that was not reached.
    """
    deadline = Deadline(seconds)
    found: dict[str, int | None] = dict.fromkeys(names)
    for name in names:
        left = deadline.remaining()
        if not left:
            break
        try:
            found[name] = count(runner, name, timeout=left)
        except DeadlineExceeded:
            break
        except RejectedError:
            continue  # a view whose table is gone has no rows to count
    return found


def split_name(connection: Connection, table: str) -> tuple[str | None, str]:
    """Return schema and table of a name; a dot inside a table's own name stays there."""
    from sqlalchemy import inspect

    schema, dot, name = text("table", table, service="db").rpartition(".")
    names = inspect(connection).get_schema_names() if dot else []
    if connection.dialect.name == "duckdb":
        schema = next((one for one in names if one.lower() == schema.lower()), schema)
    return (schema, name) if schema in names else (None, table)


def is_temporary(connection: Connection, table: str) -> bool:
    """Return whether a name stands for a temporary table of this connection."""
    schema, name = split_name(connection, table)
    if schema is not None:
        return False
    if connection.dialect.name == "duckdb":
        sql = "select 1 from duckdb_tables() where temporary and lower(table_name) = lower($1)"
    elif connection.dialect.name == "sqlite":
        sql = "select 1 from temp.sqlite_master where type = 'table' and lower(name) = lower(?)"
    else:
        sql = "select 1 from pg_class where oid = to_regclass(%s) and relpersistence = 't'"
        name = quoted(connection, table)
    return connection.exec_driver_sql(sql, (name,)).first() is not None


def quoted(connection: Connection, table: str) -> str:
    """Return a table's name as the database wants it written."""
    schema, name = split_name(connection, table)
    quote = connection.dialect.identifier_preparer.quote_identifier
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def exists(table: str) -> UsageError:
    """Return the error for a table that is there already."""
    return UsageError(
        f"the table {table} exists",
        service="db",
        hint="if_exists='append' (--append) or 'replace' (--replace)",
    )


def refuse_strange(
    data: Source, table: str, known: list[str], *, any_case: bool = False
) -> dict[str, str]:
    """Refuse columns that a table does not have; return the table's name of each.

    Parameters
    ----------
    data, table, known
        The source, and the table with its columns.
    any_case
        Whether the database takes ``ID`` for the column ``id``.

    Raises
    ------
    UsageError
        There is one.
    """
    folded = {name.lower(): name for name in known} if any_case else {}
    names = {
        name: name if name in known else folded.get(name.lower(), "") for name, _ in data.columns
    }
    strange = [name for name, there in names.items() if not there]
    if strange:
        index = "index" in strange  # of a frame, which is loaded unless it counts rows
        about = "; without the index of a frame: frame.reset_index(drop=True)" if index else ""
        raise UsageError(
            f"{table} has no column {', '.join(strange)}",
            service="db",
            hint=f"its columns: {', '.join(known)}{about}",
        )
    return names


def listed(connection: Connection, table: str) -> list[tuple[Any, ...]] | None:
    """Return column, type, nullable, default and key of a table; None if there is none."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import NoSuchTableError

    inspector = inspect(connection)
    schema, name = split_name(connection, table)
    try:
        found = inspector.get_columns(name, schema)
        primary = inspector.get_pk_constraint(name, schema)["constrained_columns"]
        foreign = {
            column: f"→ {key['referred_table']}.{target}"
            for key in inspector.get_foreign_keys(name, schema)
            for column, target in zip(
                key["constrained_columns"], key["referred_columns"], strict=False
            )
        }
    except NoSuchTableError:
        return None
    return [
        (
            column["name"],
            _type(column["type"], connection),
            "yes" if column["nullable"] else "no",
            column.get("default"),
            "primary" if column["name"] in primary else foreign.get(column["name"]),
        )
        for column in found
    ]


def _type(kind: Any, connection: Connection) -> str:
    from sqlalchemy.exc import CompileError
    from sqlalchemy.types import NullType

    if isinstance(kind, NullType):
        return ""
    try:
        return str(kind.compile(connection.dialect)).lower()
    except CompileError:
        return str(kind).lower()
