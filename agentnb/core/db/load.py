"""Writing frames, rows and files into a table, all or nothing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.db import schema
from agentnb.core.db.backend import Watch
from agentnb.core.db.columns import converter, fitted, sql_types
from agentnb.core.db.fetching import fetched, is_url
from agentnb.core.db.result import Result
from agentnb.core.db.sources import Source, read
from agentnb.core.db.values import UnfitError
from agentnb.core.errors import UsageError
from agentnb.core.ranges import choice
from agentnb.core.resilience import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy import Table as SQLTable

    from agentnb.core.db.runner import Runner

__all__ = ["load"]

_CHUNK = 5_000
_TIMEOUTS = 10


def load(
    runner: Runner,
    source: Any,
    table: str,
    if_exists: Literal["fail", "append", "replace"],
    timeout: float | None,
) -> Result:
    """Load a source into a table; see `Executor.load`."""
    choice("if_exists", if_exists, ("fail", "append", "replace"), service="db")
    seconds = runner.timeout * _TIMEOUTS if timeout is None else timeout
    watch = Watch(Deadline.of(seconds))
    if runner.backend.downloads is not None and is_url(source):
        with fetched(runner.backend.downloads, source, watch) as path:
            return _load(runner, path, table, if_exists, watch)
    return _load(runner, source, table, if_exists, watch)


def _load(runner: Runner, source: Any, table: str, if_exists: str, watch: Watch) -> Result:
    data = read(source)
    _refuse_twice(data)
    with (
        runner.span("load", table=table) as span,
        runner.begun(watch.deadline, folded=True) as inner,
        inner.checkout(watch.deadline) as connection,
        inner.translated(watch),
        runner.backend.watching(connection, watch),
    ):
        found = runner.backend.load(runner, connection, data, table, if_exists)
        count = _write(runner, connection, data, table, if_exists) if found is None else found
        span.note(rows=count)
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


def _write(runner: Runner, connection: Connection, data: Source, table: str, if_exists: str) -> int:
    from sqlalchemy import inspect

    space, name = schema.split_name(connection, table)
    exists = inspect(connection).has_table(name, space)
    if exists and if_exists == "fail":
        raise schema.exists(table)
    replace = exists and if_exists == "replace"
    temporary = replace and schema.is_temporary(connection, table)
    wanted = _table(name, space, data, connection.dialect.name, temporary=temporary)
    if replace:
        connection.exec_driver_sql(f"drop table {schema.quoted(connection, table)}")
        exists = False
    if not exists:
        wanted.create(connection)
        _bind_json_as_text(wanted)
    else:
        _fit(connection, wanted, data, _own_names(connection, data, table))
    insert = wanted.insert()
    convert = _converters(runner, data, connection.dialect.name)
    names = list(wanted.columns.keys())
    count = 0
    for chunk in _chunks(data.rows):
        columns = [f(column) for f, column in zip(convert, zip(*chunk, strict=True), strict=True)]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        connection.execute(insert, rows)
        count += len(rows)
    return count


def _fit(connection: Connection, wanted: SQLTable, data: Source, own: Mapping[str, str]) -> None:
    """Bind to the columns that are there: PostgreSQL casts no number to text by itself."""
    from sqlalchemy import inspect

    known = {
        column["name"]: column["type"]
        for column in inspect(connection).get_columns(wanted.name, wanted.schema)
    }
    for number, (name, kind) in enumerate(data.columns):
        fitting, bound = fitted(kind, known[own[name]], connection.dialect.name)
        data.columns[number] = (name, fitting)
        if bound is not None:
            wanted.columns[name].type = bound


def _bind_json_as_text(wanted: SQLTable) -> None:
    """Let the server read JSON: SQLAlchemy's type would store None as JSON's null."""
    from sqlalchemy.types import JSON, NullType

    for column in wanted.columns:
        if isinstance(column.type, JSON):
            column.type = NullType()


def _converters(runner: Runner, data: Source, dialect: str) -> list[Any]:
    """Return what converts each column of a chunk, and names it in the error."""

    def naming(name: str, kind: str) -> Any:
        try:
            convert = converter(kind, runner.backend.adapt, dialect)
        except UnfitError as error:
            raise error.about(f"column {name!r}") from error

        def converted(column: Sequence[Any]) -> list[Any]:
            try:
                return [convert(value) for value in column]
            except UnfitError as error:
                raise error.about(f"column {name!r}") from error
            except (TypeError, ValueError, ArithmeticError) as error:
                raise UsageError(
                    f"column {name!r} cannot be loaded: {error}",
                    service="db",
                    hint="convert the column, such as frame[name].astype(str)",
                ) from error

        return converted

    return [naming(name, kind) for name, kind in data.columns]


def _chunks(rows: Any) -> Iterator[list[Sequence[Any]]]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


def _own_names(connection: Connection, data: Source, table: str) -> dict[str, str]:
    """Return the name that each column has in the table, which is judged."""
    from sqlalchemy import inspect

    space, name = schema.split_name(connection, table)
    known = [column["name"] for column in inspect(connection).get_columns(name, space)]
    any_case = connection.dialect.name == "sqlite"
    return schema.refuse_strange(data, table, known, any_case=any_case)


def _table(
    name: str, space: str | None, data: Source, dialect: str, *, temporary: bool
) -> SQLTable:
    from sqlalchemy import Column, MetaData
    from sqlalchemy import Table as SQLTable

    types = sql_types(dialect)
    return SQLTable(
        name,
        MetaData(),
        # Neither a key nor a default: what is loaded is data, not a design.
        *(Column(column, types[kind], autoincrement=False) for column, kind in data.columns),
        schema=space,
        prefixes=["TEMPORARY"] if temporary else [],
    )
