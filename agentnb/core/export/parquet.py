"""A writer of Parquet: typed columns, whose types widen as rows of other types come."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from contextlib import ExitStack, suppress
from typing import IO, TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.export.cells import json_of
from agentnb.core.extras import require
from agentnb.core.frames import to_arrow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentnb.core.table import Table

__all__ = ["ParquetWriter"]

_INTEGER_DIGITS = 19
_DIGITS = 38
_MOST_DIGITS = 76


class ParquetWriter:
    """Writes tables below each other as Parquet.

    Rows of Python's have the types that their values have. Where later ones need a wider type, a
    new part is begun, and the parts become one file at the end.

    Parameters
    ----------
    file
        The file, in binary, that can be read, too.
    folder
        The folder of temporary files.
    """

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        require(("pyarrow",), "a Parquet file", service="export")
        self._file = file
        self._folder = folder
        self._stack = ExitStack()
        self._parts: list[IO[bytes]] = []
        self._schema: Any = None
        self._writer: Any = None

    def write(self, table: Table) -> None:
        """Write the rows of a table."""
        found = _arrow_of(table)
        if self._schema is None:
            self._begin(found.schema, self._file)
        else:
            wider = _wider(self._schema, found.schema)
            if not wider.equals(self._schema):
                self._begin(wider, self._temporary())
        self._writer.write_table(_cast(found, self._schema))

    def _begin(self, schema: Any, file: IO[bytes]) -> None:
        from pyarrow.parquet import ParquetWriter as Writer

        if self._writer is not None:
            self._writer.close()
        self._schema = schema
        self._parts.append(file)
        self._writer = Writer(file, schema)

    def _temporary(self) -> IO[bytes]:
        return self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))

    def finish(self) -> list[str]:
        """Write the end; return the lines that the reader of the file should know."""
        with self._stack:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if len(self._parts) > 1:
                self._join()
        return []

    def _join(self) -> None:
        """Write all parts anew, in the types of the last."""
        from pyarrow import Table
        from pyarrow.parquet import ParquetFile
        from pyarrow.parquet import ParquetWriter as Writer

        first = self._temporary()
        self._file.seek(0)
        shutil.copyfileobj(self._file, first)
        self._file.seek(0)
        self._file.truncate()
        with Writer(self._file, self._schema) as writer:
            for part in (first, *self._parts[1:]):
                part.seek(0)
                for batch in ParquetFile(part).iter_batches(100_000):
                    writer.write_table(_cast(Table.from_batches([batch]), self._schema))

    def close(self) -> None:
        """Give up what is not finished."""
        if self._writer is not None:
            with suppress(Exception):  # it writes an end, where nothing can be written
                self._writer.close()
            self._writer = None
        self._stack.close()


def _arrow_of(table: Table) -> Any:
    """Return the Arrow table of rows, with JSON as Parquet's JSON."""
    import pyarrow as pa

    if table._is_arrow:  # noqa: SLF001 - of the one module of tables
        return _storable(table.arrow())
    rows = table.rows
    kinds = dict(enumerate(table.kinds))
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(table.columns)
    found = {
        number
        for number, values in enumerate(columns)
        if kinds.get(number) == "json" or any(map(_is_object, values))
    }
    if not found:
        return table.arrow()
    for number in found:
        columns[number] = [
            None if one is None else json.dumps(json_of(one), ensure_ascii=False)
            for one in columns[number]
        ]
    made = to_arrow(table.columns, list(zip(*columns, strict=True)), table.kinds)
    for number in found:
        texts = pa.concat_arrays(made.column(number).cast(pa.string()).chunks)
        array = pa.ExtensionArray.from_storage(pa.json_(pa.string()), texts)
        made = made.set_column(number, table.columns[number], array)
    return made


def _storable(table: Any) -> Any:
    """Return an Arrow table without types that Parquet does not have."""
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        column = table.column(number)
        if "interval" in str(field.type):
            values = [_duration(field.name, one) for one in column.to_pylist()]
            column = pa.chunked_array([pa.array(values, pa.duration("us"))])
        elif getattr(field.type, "extension_name", "") == "arrow.opaque":
            raise UsageError(
                f"column {field.name!r} has the type {field.type.type_name}, which no file has",
                service="export",
                hint=f"cast it in the SQL: {field.name}::text, ::bigint or ::decimal(38)",
            )
        else:
            continue
        table = table.set_column(number, field.name, column)
    return table


def _duration(name: str, value: Any) -> dt.timedelta | None:
    """Return an interval of Arrow's as a duration, where it is one."""
    if value is None:
        return None
    if value.months or value.nanoseconds % 1000:
        raise UsageError(
            f"column {name!r} has an interval of months or nanoseconds, which is no duration",
            service="export",
            hint=f"cast it in the SQL: {name}::text",
        )
    return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1000)


def _is_object(value: object) -> bool:
    """Return whether a value has names in it, which Parquet's columns would all have to have."""
    if isinstance(value, dict):
        return True
    return isinstance(value, (list, tuple)) and any(map(_is_object, value))


def _cast(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    table = table.replace_schema_metadata(None)
    if table.schema.equals(schema):
        return table
    arrays = []
    for column, field in zip(table.columns, schema, strict=True):
        try:
            arrays.append(column if column.type.equals(field.type) else column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _mixed(field.name, column.type, field.type) from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _wider(first: Any, second: Any) -> Any:
    """Return the schema that holds the rows of both."""
    import pyarrow as pa

    return pa.schema([
        pa.field(one.name, _common(one.name, one.type, other.type))
        for one, other in zip(first, second, strict=True)
    ])  # fmt: skip


def _common(name: str, first: Any, second: Any) -> Any:
    """Return the type that holds the values of two types unchanged."""
    import pyarrow as pa
    from pyarrow import types

    if first.equals(second) or types.is_null(second):
        return first
    if types.is_null(first):
        return second
    pair = (first, second)
    if {str(first), str(second)} == {"int64", "double"}:
        return pa.float64()  # a cast that would round is refused
    if all(types.is_decimal(one) or types.is_integer(one) for one in pair):
        sizes = [
            (one.precision - one.scale, one.scale)
            if types.is_decimal(one)
            else (_INTEGER_DIGITS, 0)
            for one in pair
        ]
        whole, scale = (max(part) for part in zip(*sizes, strict=True))
        if whole + scale <= _MOST_DIGITS:
            make = pa.decimal128 if whole + scale <= _DIGITS else pa.decimal256
            return make(whole + scale, scale)
    if all(types.is_timestamp(one) and one.tz for one in pair):
        return pa.timestamp("us", "UTC")
    if all(map(types.is_list, pair)):
        return pa.list_(_common(name, first.value_type, second.value_type))
    raise _mixed(name, second, first)


def _mixed(name: str, found: Any, there: Any) -> UsageError:
    return UsageError(
        f"column {name!r} has values of two types, {there} and {found}",
        service="export",
        hint="cast it in the SQL, as in cast(x as text), or export .csv",
    )
