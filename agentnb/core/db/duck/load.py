"""Rows into a table of DuckDB, by way of Arrow: row by row it is a thousand times as slow."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentnb.core.db import schema
from agentnb.core.db.columns import converter
from agentnb.core.db.quoting import quoted_name
from agentnb.core.db.values import UnfitError
from agentnb.core.errors import UsageError
from agentnb.core.extras import need

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from agentnb.core.db.backend import Backend
    from agentnb.core.db.sources import Source

__all__ = ["load"]

_CHUNK = 50_000
_CHUNK_NAME = "agentnb_loaded"
_TYPES = {
    "integer": "bigint",
    "real": "double",
    "text": "varchar",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "datetimetz": "timestamptz",
    "time": "time",
    "timetz": "timetz",
    "interval": "interval",
    "bytes": "blob",
    "json": "json",
    "uuid": "uuid",
}
# Arrow has no such types, or the client does not read them.
_AS_TEXT = {"timetz", "json", "uuid"}
_DIGITS = 38
_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint",
             "uinteger", "ubigint", "uhugeint")  # fmt: skip


def load(
    backend: Backend, connection: Connection, native: Any, data: Source, table: str, if_exists: str
) -> int:
    """Write the rows of a source into a table, and return their number.

    Parameters
    ----------
    backend
        Adapts values.
    connection, native
        The connection, in a transaction, and DuckDB's own behind it.
    data, table, if_exists
        As in `Executor.load`.

    Raises
    ------
    UsageError
        The table exists, lacks a column, or would round a value.
    """
    there = {row[0]: row[1] for row in schema.listed(connection, table) or []}
    if there and if_exists == "fail":
        raise schema.exists(table)
    name = schema.quoted(connection, table)
    chunks = _Chunks(backend, data)
    if there and if_exists == "append":
        names = schema.refuse_strange(data, table, list(there), any_case=True)
        there = {name: there[own] for name, own in names.items()}
    else:
        temporary = bool(there) and schema.is_temporary(connection, table)
        if there:
            native.execute(f"drop table {name}")
        columns = ", ".join(f"{quoted_name(one)} {kind}" for one, kind in chunks.types())
        native.execute(f"create {'temp ' if temporary else ''}table {name} ({columns})")
        there = {}
    count = 0
    columns = ", ".join(quoted_name(one) for one, _ in data.columns)
    for chunk in chunks:
        native.register(_CHUNK_NAME, chunk)
        try:
            _refuse_rounding(native, data, there)
            native.execute(f"insert into {name} ({columns}) select {columns} from {_CHUNK_NAME}")
            native.fetchall()
        finally:
            native.unregister(_CHUNK_NAME)
        count += chunk.num_rows
    return count


class _Chunks:
    """The rows of a source as Arrow tables; all of them are read first where Decimals are."""

    def __init__(self, backend: Backend, data: Source) -> None:
        self._data = data
        self._convert = [_converting(backend, name, kind) for name, kind in data.columns]
        self._chunks: Any = self._read()
        self._decimals: dict[str, tuple[int, int]] = {}
        if any(kind == "decimal" for _, kind in data.columns):
            self._chunks = list(self._chunks)
            for number, (name, kind) in enumerate(data.columns):
                if kind == "decimal":
                    self._decimals[name] = _size(name, [chunk[number] for chunk in self._chunks])

    def types(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the SQL type of each column."""
        for name, kind in self._data.columns:
            digits = self._decimals.get(name)
            yield (
                name,
                f"decimal({digits[0]}, {digits[1]})" if digits else _TYPES.get(kind, "varchar"),
            )

    def _read(self) -> Iterator[list[list[Any]]]:
        rows = iter(self._data.rows)
        while chunk := list(itertools.islice(rows, _CHUNK)):
            yield [
                convert(column)
                for convert, column in zip(self._convert, zip(*chunk, strict=True), strict=True)
            ]

    def __iter__(self) -> Iterator[Any]:
        pa = need("pyarrow")
        types = {
            "integer": pa.int64(),
            "real": pa.float64(),
            "boolean": pa.bool_(),
            "date": pa.date32(),
            "datetime": pa.timestamp("us"),
            "datetimetz": pa.timestamp("us", "UTC"),
            "time": pa.time64("us"),
            "interval": pa.duration("us"),
            "bytes": pa.binary(),
        }
        for chunk in self._chunks:
            arrays = []
            for (name, kind), values in zip(self._data.columns, chunk, strict=True):
                digits = self._decimals.get(name)
                wanted = pa.decimal128(*digits) if digits else types.get(kind, pa.string())
                try:
                    arrays.append(pa.array(values, wanted))
                except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
                    raise _unfit(name, error) from error
            names = [name for name, _ in self._data.columns]
            yield pa.Table.from_arrays(arrays, names=names)


def _converting(backend: Backend, name: str, kind: str) -> Any:
    convert = converter(kind, backend.adapt, "duckdb")
    textual = kind in _AS_TEXT

    def converted(column: Sequence[Any]) -> list[Any]:
        try:
            found = [convert(value) for value in column]
        except UnfitError as error:
            raise error.about(f"column {name!r}") from error
        except (TypeError, ValueError, ArithmeticError) as error:
            raise _unfit(name, error) from error
        return [None if one is None else str(one) for one in found] if textual else found

    return converted


def _size(name: str, chunks: Sequence[Sequence[Decimal | None]]) -> tuple[int, int]:
    """Return the digits, and those behind the point, that hold every Decimal of a column."""
    whole, scale = 1, 0
    for value in itertools.chain.from_iterable(chunks):
        if value is None:
            continue
        value = Decimal(value)  # noqa: PLW2901 - an int among them
        if not value.is_finite():
            raise _unfit(name, f"it has {value}")
        _, digits, exponent = value.as_tuple()
        places = max(-int(exponent), 0)
        whole, scale = max(whole, len(digits) + int(exponent)), max(scale, places)
    if whole + scale > _DIGITS:
        raise _unfit(name, f"it needs {whole + scale} digits, and a decimal has {_DIGITS}")
    return whole + scale, scale


def _refuse_rounding(native: Any, data: Source, there: dict[str, str]) -> None:
    """Refuse values that a column which is there would round or cut."""
    for name, kind in data.columns:
        target = there.get(name, "").lower()
        changed = _changed(quoted_name(name), kind, target)
        if changed is None:
            continue
        sql = f"select {quoted_name(name)}::text from {_CHUNK_NAME} where {changed} limit 1"
        if found := native.execute(sql).fetchall():
            raise _unfit(name, f"{found[0][0]} does not fit into {target}")


def _changed(column: str, kind: str, target: str) -> str | None:
    """Return the condition under which a column of a type would change a value of a kind."""
    if kind in {"real", "decimal"} and target.startswith((*_INTEGERS, "decimal")):
        back = f"try_cast(try_cast({column} as {target}) as double)"
        return f"{back} is distinct from cast({column} as double)"
    if kind in {"datetime", "datetimetz"} and target == "date":
        back = f"cast(cast({column} as date) as timestamp)"
        return f"{back} is distinct from cast({column} as timestamp)"
    if kind == "datetimetz" and target == "timestamp":
        return f"{column} is not null"
    if kind == "text" and target.startswith(_INTEGERS):
        return f"not regexp_full_match({column}, '\\s*[-+]?[0-9]+\\s*')"
    return None


def _unfit(name: str, reason: object) -> UsageError:
    return UsageError(
        f"column {name!r} cannot be loaded: {reason}",
        service="db",
        hint="convert the column, such as frame[name].astype(str)",
    )
