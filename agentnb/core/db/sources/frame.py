"""Frames and Parquet files, by way of Arrow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentnb.core.db.sources.rows import plain_column
from agentnb.core.db.sources.source import Source
from agentnb.core.db.values import missing
from agentnb.core.errors import UsageError
from agentnb.core.extras import need

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
        raise UsageError(
            f"{path} cannot be read: {error}", service="db", hint="check that it is a Parquet file"
        ) from error
    return _batches(file.schema_arrow, file.iter_batches(_CHUNK))


def read_frame(source: Any) -> Source:
    """Return the rows of a pandas, polars or Arrow table.

    Raises
    ------
    UsageError
        A column has values that no database stores.
    """
    library = type(source).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(source)
    if library == "polars":
        return _polars(source)
    arrow = need("pyarrow")
    try:
        table = arrow.table(source) if hasattr(source, "__arrow_c_stream__") else source.to_arrow()
    except (arrow.ArrowException, TypeError, ValueError) as error:
        raise UsageError(
            f"this frame is not an Arrow table: {error}",
            service="db",
            hint="give each column values of one type, such as frame.convert_dtypes()",
        ) from error
    return _batches(table.schema, table.to_batches(_CHUNK))


def _polars(source: Any) -> Source:
    if not hasattr(source, "columns"):
        source = source.to_frame()
    return _of_columns(
        [(series.name, *_polars_column(series)) for series in source.get_columns()], len(source)
    )


def _polars_column(series: Any) -> tuple[str, Any]:
    """Return the kind of a column, and its values as Arrow or as a list."""
    # Arrow has no such integers, and is given the addresses of Python's objects.
    if str(series.dtype) in {"Object", "Int128", "UInt128"}:
        return plain_column(series.name, series.to_list())
    column = series.to_arrow()
    return _arrow_kind(need("pyarrow").field(series.name, column.type)), column


def _pandas(source: Any) -> Source:
    arrow = need("pyarrow")
    if not hasattr(source, "columns"):
        source = source.to_frame()
    source = _with_index(source)
    if not source.columns.is_unique:
        raise UsageError(
            f"columns without a name of their own: {', '.join(map(str, source.columns))}",
            service="db",
            hint="rename them before loading",
        )
    source = _as_text(source)
    return _of_columns(
        [
            (name, *_pandas_column(name, series, arrow))
            for name, (_, series) in zip(map(str, source.columns), source.items(), strict=True)
        ],
        len(source),
    )


def _of_columns(columns: list[tuple[str, str, Any]], count: int) -> Source:
    """Return a source of named columns of a kind, each in Arrow's form or a list."""

    def rows() -> Iterator[Sequence[Any]]:
        for start in range(0, count, _CHUNK):
            parts = [(name, column[start : start + _CHUNK]) for name, _, column in columns]
            values = [
                part if isinstance(part, list) else _values(name, part) for name, part in parts
            ]
            yield from zip(*values, strict=True)

    return Source([(name, kind) for name, kind, _ in columns], rows())


def _pandas_column(name: str, series: Any, arrow: Any) -> tuple[str, Any]:
    """Return the kind of a column, and its values as Arrow or as a list."""
    if series.dtype != object:
        try:
            column = arrow.array(series, from_pandas=True)
        except (arrow.ArrowException, TypeError, ValueError, OverflowError):
            pass  # a type that Arrow does not have
        else:
            return _arrow_kind(arrow.field(name, column.type)), column
    # Arrow would make one type of Python objects of several.
    return plain_column(name, series.tolist())


def _with_index(frame: Any) -> Any:
    """Return a frame with its index as columns, unless it only counts the rows."""
    index = frame.index
    if type(index).__name__ == "RangeIndex" and index.name is None:
        return frame
    try:
        return frame.reset_index()
    except ValueError as error:  # it is named like a column
        raise UsageError(
            f"the index cannot be loaded beside the columns: {error}",
            service="db",
            hint="rename it: frame.rename_axis('key'), or leave it: frame.reset_index(drop=True)",
        ) from error


def _as_text(frame: Any) -> Any:
    """Return a frame whose periods and intervals are their text, which no database stores."""
    names = {"PeriodDtype", "IntervalDtype"}

    def kind(dtype: Any) -> str:
        categories = getattr(dtype, "categories", None)
        return type(dtype if categories is None else categories.dtype).__name__

    named = [name for name, dtype in frame.dtypes.items() if kind(dtype) in names]
    if named:
        frame = frame.copy(deep=False)
    for name in named:
        # A missing interval is a NaN, the one value that differs from itself.
        frame[name] = [
            None if missing(value) or value != value else str(value)  # noqa: PLR0124
            for value in frame[name]
        ]
    return frame


def _batches(schema: Any, batches: Iterable[Any]) -> Source:
    kinds = [(field.name, _arrow_kind(field)) for field in schema]

    def rows() -> Iterator[Sequence[Any]]:
        for batch in batches:
            columns = zip(schema.names, batch.columns, strict=True)
            yield from zip(*(_values(name, column) for name, column in columns), strict=True)

    return Source(kinds, rows())


def _values(name: str, column: Any) -> list[Any]:
    """Return the Python values of a column, which have microseconds at most.

    Raises
    ------
    UsageError
        A time has nanoseconds, or is none that Python has.
    """
    arrow, types = need("pyarrow"), need("pyarrow.types")
    kind = column.type
    try:
        if getattr(kind, "unit", None) == "ns":
            if types.is_timestamp(kind):
                column = column.cast(arrow.timestamp("us", kind.tz))
            else:
                column = column.cast(
                    arrow.time64("us") if types.is_time(kind) else arrow.duration("us")
                )
        values = list(column.to_pylist())
    except (arrow.ArrowInvalid, OverflowError, ValueError) as error:
        hint = (
            "dates and times are of the years 1 to 9999, with microseconds: series.dt.round('us')"
        )
        raise UsageError(f"column {name!r}: {error}", service="db", hint=hint) from error
    if getattr(kind, "extension_name", "") == "arrow.json":
        return [None if one is None else json.loads(one) for one in values]
    return values


_TESTS = (
    ("boolean", ("is_boolean",)),
    ("integer", ("is_integer",)),
    ("real", ("is_floating",)),
    ("decimal", ("is_decimal",)),
    ("datetime", ("is_timestamp",)),
    ("date", ("is_date",)),
    ("time", ("is_time",)),
    ("interval", ("is_duration",)),
    ("json", ("is_nested",)),
    ("bytes", ("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary")),
    ("text", ("is_string", "is_large_string", "is_string_view", "is_null")),
)

_EXTENSIONS = {"arrow.uuid": "uuid", "arrow.json": "json"}


def _arrow_kind(field: Any) -> str:
    types = need("pyarrow.types")
    kind = field.type
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        kind = kind.value_type  # a categorical column
    for name, tests in _TESTS:
        if any(getattr(types, test)(kind) for test in tests):
            return "datetimetz" if name == "datetime" and kind.tz else name
    if known := _EXTENSIONS.get(getattr(kind, "extension_name", "")):
        return known
    raise UsageError(
        f"column {field.name!r} has the type {kind}, which is not stored by itself",
        service="db",
        hint="load it as text or as its parts, such as the real and the imaginary one",
    )
