"""DuckDB's values as Python's, and those that its client would change."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agentnb.core.db.notices import notify
from agentnb.core.db.values import Columns
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentnb.core.db.duck.dbapi import DuckConnection

__all__ = ["arrow_reader", "columns_of", "exact_rows", "note_infinity"]

_KINDS = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "real"),
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "BLOB": "bytes",
    "DATE": "date",
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetimetz",
    "TIME": "time",
    "INTERVAL": "interval",
    "UUID": "uuid",
}
# The client gives a month as 30 days, and cuts nanoseconds.
_CHANGED = ("INTERVAL", "TIMESTAMP_NS")
# What DuckDB's Arrow data have in their place.
_LOST = {
    "TIME WITH TIME ZONE": "they have the time without its zone",
    "BIT": "they have DuckDB's own bytes of it",
}
_LOSSY = re.compile(rf"(?<!['\"\w])(?:{'|'.join(_LOST)})(?=[\[,)]|\Z)")  # no text of an ENUM
_LAST = {
    "date": dt.date.max,
    "datetime": dt.datetime.max,  # noqa: DTZ901 - the value of a type without a zone
    "datetimetz": dt.datetime.max.replace(tzinfo=dt.UTC),
}
_BATCH = 2_000
_FROM_ARROW: dict[str, Callable[[Any], Any]] = {"UUID": UUID, "HUGEINT": int, "UHUGEINT": int}


def columns_of(description: Sequence[tuple[Any, ...]]) -> Columns:
    """Return the names of a result's columns, with their kinds."""
    kinds = [str(column[1]) for column in description]
    return Columns(
        [column[0] for column in description],
        ["decimal" if kind.startswith("DECIMAL") else _KINDS.get(kind) for kind in kinds],
    )


def exact_rows(
    raw: DuckConnection, sql: str, params: list[Any] | None, *, again: bool
) -> Callable[[int], Sequence[tuple[Any, ...]]]:
    """Return what fetches the next rows of a result, with no value changed.

    Parameters
    ----------
    raw
        The connection, which has just executed.
    sql, params
        The statement.
    again
        Whether it only reads, so that it may be run again.

    Raises
    ------
    UsageError
        A column has values that only Arrow holds, and pyarrow is not installed.
    """
    native = raw.native
    description = native.description
    changed = [c[0] for c in description if any(one in str(c[1]) for one in _CHANGED)]
    if not changed:
        return native.fetchmany  # type: ignore[no-any-return]  # DuckDB's
    if not again:
        notify(
            f"NOTICE: column {changed[0]!r} is given as DuckDB's client has it: "
            "a month is 30 days, and nanoseconds are cut"
        )
        return native.fetchmany  # type: ignore[no-any-return]  # DuckDB's
    from agentnb.core.extras import need

    need("pyarrow")
    raw.end()
    rows = _rows(_reader(native.sql(sql, params=params), _BATCH), description)

    def fetchmany(size: int) -> list[tuple[Any, ...]]:
        return [row for _, row in zip(range(size), rows, strict=False)]

    return fetchmany


def arrow_reader(native: Any, sql: str, params: list[Any] | None, size: int) -> Any:
    """Run a query, and return a reader of its result as Arrow batches of so many rows.

    Raises
    ------
    UsageError
        A column has a type that Arrow data of DuckDB's lose a part of.
    """
    relation = native.sql(sql, params=params)
    for name, kind in zip(relation.columns, relation.types, strict=True):
        _refuse_lossy(name, str(kind))
    return _reader(relation, size)


def _reader(relation: Any, size: int) -> Any:
    make = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    return make(size)


def _refuse_lossy(name: str, kind: str) -> None:
    if lossy := _LOSSY.search(kind):
        raise UsageError(
            f"column {name!r} is {lossy[0]}, which Arrow data of DuckDB's do not hold: "
            f"{_LOST[lossy[0]]}",
            service="db",
            hint=f"cast it in the SQL: {name}::text",
        )


def _rows(reader: Any, description: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    with contextlib.closing(reader):  # or the connection takes no other statement
        for batch in reader:
            columns = []
            for array, (name, kind, *_) in zip(batch.columns, description, strict=True):
                if array.null_count < len(array):
                    _refuse_lossy(name, str(kind))
                columns.append([_exact(one, name, str(kind)) for one in _values(array, name)])
            yield from zip(*columns, strict=True)


def _values(array: Any, name: str) -> list[Any]:
    try:
        return array.to_pylist()  # type: ignore[no-any-return]  # Arrow's
    except (ValueError, OverflowError) as error:
        raise _unfit(name, str(error)) from error


def _exact(value: Any, name: str, kind: str) -> Any:
    """Return a value of Arrow's as DuckDB's client would give it."""
    if value is not None and kind in _FROM_ARROW:
        return _FROM_ARROW[kind](value)
    if hasattr(value, "months"):  # Arrow's interval
        if value.months:
            raise _unfit(name, "a month has no number of days")
        if value.nanoseconds % 1000:
            raise _unfit(name, "it has nanoseconds")
        return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1000)
    if getattr(value, "nanosecond", 0):  # of pandas, as Arrow gives it
        raise _unfit(name, "it has nanoseconds")
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


def _unfit(name: str, reason: str) -> UsageError:
    return UsageError(
        f"column {name!r} has a value that Python does not hold: {reason}",
        service="db",
        hint=f"cast it in the SQL: {name}::text, or take it as Arrow (--as arrow)",
    )


def note_infinity(columns: Columns, rows: Sequence[tuple[Any, ...]]) -> None:
    """Say it where a last moment may be an infinity, which the client gives as that moment."""
    for number, (name, kind) in enumerate(zip(columns, columns.kinds, strict=True)):
        last = _LAST.get(kind or "")
        if last is not None and any(row[number] == last for row in rows):
            notify(
                f"NOTICE: column {name!r} has {last}, as which 'infinity' is shown, too: "
                f"{name}::text tells them apart"
            )
