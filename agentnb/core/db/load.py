"""Writing frames, rows and files into a table, all or nothing."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.db import schema
from agentnb.core.db.backend import Watch
from agentnb.core.db.result import Result
from agentnb.core.db.sources import Source, read
from agentnb.core.errors import UsageError
from agentnb.core.resilience import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, MetaData
    from sqlalchemy import Table as SQLTable

    from agentnb.core.db.executor import Executor

__all__ = ["load"]

_CHUNK = 5_000
_TIMEOUTS = 10


def load(
    executor: Executor,
    source: Any,
    table: str,
    if_exists: Literal["fail", "append", "replace"],
    timeout: float | None,
) -> Result:
    """Load a source into a table; see `Executor.load`."""
    if if_exists not in {"fail", "append", "replace"}:
        raise UsageError(f"if_exists={if_exists!r}", service="db", hint="fail, append or replace")
    data = read(source)
    _refuse_twice(data)
    seconds = executor.timeout * _TIMEOUTS if timeout is None else timeout
    watch = Watch(Deadline.of(seconds))
    with (
        executor.begun(watch.deadline) as inner,
        inner.checkout(watch.deadline) as connection,
        executor.tracer.span("load", service="db", connection=executor.name, table=table),
        inner.translated(watch),
        executor.backend.watching(connection, watch),
    ):
        count = _write(executor, connection, data, table, if_exists)
    return Result((), [], statement=f"load {table}", rowcount=count, returns_rows=False)


def _refuse_twice(data: Source) -> None:
    names = [name for name, _ in data.columns]
    twice = {name for name in names if names.count(name) > 1 or not name.strip()}
    if twice:
        raise UsageError(
            f"columns without a name of their own: {', '.join(repr(n) for n in sorted(twice))}",
            service="db",
            hint="rename them before loading",
        )


def _write(
    executor: Executor, connection: Connection, data: Source, table: str, if_exists: str
) -> int:
    from sqlalchemy import MetaData, inspect

    space, name = schema.split_name(connection, table)
    metadata = MetaData()
    exists = inspect(connection).has_table(name, space)
    if exists and if_exists == "fail":
        raise UsageError(
            f"the table {table} exists",
            service="db",
            hint="say append (--append) or replace (--replace)",
        )
    wanted = _table(metadata, name, space, data, connection.dialect.name)
    if exists and if_exists == "replace":
        connection.exec_driver_sql(f"drop table {schema.quoted(connection, table)}")
        exists = False
    if not exists:
        wanted.create(connection)
    else:
        _check_columns(connection, data, table)
        if connection.dialect.name == "postgresql":
            _fit(connection, wanted, data)
    insert = wanted.insert()
    adapt = [_adapter(executor, kind) for _, kind in data.columns]
    names = list(wanted.columns.keys())
    count = 0
    for chunk in _chunks(data.rows):
        values = [
            dict(zip(names, (f(v) for f, v in zip(adapt, row, strict=True)), strict=True))
            for row in chunk
        ]
        connection.execute(insert, values)
        count += len(values)
    return count


def _fit(connection: Connection, wanted: SQLTable, data: Source) -> None:
    """Bind to the columns that are there: PostgreSQL casts no number to text by itself."""
    import sqlalchemy as sa

    known = sa.inspect(connection).get_columns(wanted.name, wanted.schema)
    text = {column["name"] for column in known if isinstance(column["type"], sa.String)}
    for number, (name, kind) in enumerate(data.columns):
        if name in text:
            data.columns[number] = (name, "text")
            wanted.columns[name].type = sa.Text()
        elif kind == "text":
            # Untyped, so that the server reads '2026-01-31' as the column's own type.
            wanted.columns[name].type = sa.types.NullType()


def _chunks(rows: Any) -> Iterator[list[Sequence[Any]]]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


def _check_columns(connection: Connection, data: Source, table: str) -> None:
    from sqlalchemy import inspect

    space, name = schema.split_name(connection, table)
    known = [column["name"] for column in inspect(connection).get_columns(name, space)]
    strange = [name for name, _ in data.columns if name not in known]
    if strange:
        raise UsageError(
            f"{table} has no column {', '.join(strange)}",
            service="db",
            hint=f"its columns: {', '.join(known)}",
        )


def _table(
    metadata: MetaData, name: str, space: str | None, data: Source, dialect: str
) -> SQLTable:
    from sqlalchemy import Column
    from sqlalchemy import Table as SQLTable

    types = _types(dialect)
    return SQLTable(
        name,
        metadata,
        # Neither a key nor a default: what is loaded is data, not a design.
        *(Column(column, types[kind], autoincrement=False) for column, kind in data.columns),
        schema=space,
    )


def _types(dialect: str) -> dict[str, Any]:
    import sqlalchemy as sa

    types = {
        "integer": sa.BigInteger(),
        "real": sa.Double(),
        "text": sa.Text(),
        "boolean": sa.Boolean(),
        "date": sa.Date(),
        "datetime": sa.DateTime(),
        "datetimetz": sa.DateTime(timezone=True),
        "time": sa.Time(),
        "decimal": sa.Numeric(),
        "bytes": sa.LargeBinary(),
        "json": sa.JSON(),
    }
    if dialect == "sqlite":
        # SQLite stores these as text; the values are made by the same rule as bound ones.
        types |= {
            "date": _named("date"),
            "datetime": _named("datetime"),
            "datetimetz": _named("datetime"),
            "time": _named("time"),
            "decimal": sa.Text(),
            "json": sa.Text(),
        }
    return types


def _named(name: str) -> Any:
    """Return a type of this name in DDL that leaves values as they are."""
    from sqlalchemy.types import UserDefinedType

    class Named(UserDefinedType[Any]):
        cache_ok = True

        def get_col_spec(self, **_: object) -> str:
            return name

    return Named()


def _adapter(executor: Executor, kind: str) -> Any:
    adapt = executor.backend.adapt
    if kind == "json":
        # SQLAlchemy's JSON type encodes by itself; SQLite's text does not.
        plain = executor.backend.target.kind == "sqlite"
        return (lambda v: None if v is None else json.dumps(v, default=str)) if plain else _same
    if kind == "text":
        return _as_text
    if kind == "decimal" and executor.backend.target.kind == "sqlite":
        return _as_text  # exactly, and of any size
    if kind == "real":
        return lambda v: None if v is None or math.isnan(v) else float(v)
    return lambda value: adapt(_same(value))


def _same(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    return str(value)
