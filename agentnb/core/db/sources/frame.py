"""Frames and Parquet files, by way of Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.sources.rows import read_dicts
from agentnb.core.db.sources.source import Source
from agentnb.core.errors import UsageError
from agentnb.core.frames import need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["read_frame", "read_parquet"]

_CHUNK = 10_000


def read_parquet(path: Path) -> Source:
    """Return the rows of a Parquet file, read as they are asked for.

    Raises
    ------
    UsageError
        It is not one.
    """
    arrow = need("pyarrow")
    parquet = need("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(path)
    except (arrow.ArrowInvalid, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}", service="db") from error
    return _batches(file.schema_arrow, file.iter_batches(_CHUNK))


def read_frame(source: Any) -> Source:
    """Return the rows of a pandas, polars or Arrow table."""
    if type(source).__module__.partition(".")[0] == "pandas":
        return _pandas(source)
    arrow = need("pyarrow")
    table = arrow.table(source) if hasattr(source, "__arrow_c_stream__") else source.to_arrow()
    return _batches(table.schema, table.to_batches(_CHUNK))


def _pandas(source: Any) -> Source:
    arrow = need("pyarrow")
    if not hasattr(source, "columns"):
        source = source.to_frame()
    # An index without a name is a row number.
    keep = any(name is not None for name in source.index.names)
    if keep:
        source = source.reset_index()
    if not source.columns.is_unique:
        raise UsageError(
            f"columns without a name of their own: {', '.join(map(str, source.columns))}",
            service="db",
            hint="rename them before loading",
        )
    try:
        table = arrow.Table.from_pandas(source, preserve_index=False)
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, OverflowError):
        # A column of Python objects that are not all of one type.
        return read_dicts(source.to_dict("records"), list(source.columns))
    return _batches(table.schema, table.to_batches(_CHUNK))


def _batches(schema: Any, batches: Iterable[Any]) -> Source:
    kinds = [(field.name, _arrow_kind(field.type)) for field in schema]

    def rows() -> Iterator[Sequence[Any]]:
        for batch in batches:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    return Source(kinds, rows())


def _arrow_kind(kind: Any) -> str:
    types = need("pyarrow.types")
    if types.is_dictionary(kind):
        kind = kind.value_type  # a categorical column
    for name, test in (
        ("boolean", types.is_boolean),
        ("integer", types.is_integer),
        ("real", types.is_floating),
        ("decimal", types.is_decimal),
        ("datetime", types.is_timestamp),
        ("date", types.is_date),
        ("time", types.is_time),
        ("json", types.is_nested),
        ("bytes", types.is_binary),
        ("bytes", types.is_large_binary),
        ("bytes", types.is_binary_view),
        ("bytes", types.is_fixed_size_binary),
    ):
        if test(kind):
            return "datetimetz" if name == "datetime" and kind.tz else name
    return "text"
