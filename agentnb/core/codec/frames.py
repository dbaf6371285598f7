"""Frames to bytes and back, as Arrow's own stream."""

from __future__ import annotations

from functools import cache
from typing import Any

from agentnb.core.codec.errors import UnstorableError
from agentnb.core.errors import AgentnbError
from agentnb.core.extras import need
from agentnb.core.table import Table

__all__ = ["KINDS", "decode_frame", "encode_frame", "has_frequency", "kind_of"]

_PANDAS, _POLARS, _ARROW, _TABLE = b"P", b"L", b"A", b"T"
KINDS = {
    _PANDAS: "pandas DataFrame",
    _POLARS: "polars DataFrame",
    _ARROW: "Arrow table",
    # Release 0.1.0 wrote tables so.
    _TABLE: "table",
}
_LIBRARIES = {"pandas": _PANDAS, "polars": _POLARS, "pyarrow": _ARROW}


def kind_of(value: Any) -> bytes | None:
    """Return which kind of a frame a value is, None if it is none.

    >>> kind_of([1]) is None
    True
    """
    made_by = type(value).__module__.partition(".")[0]
    if made_by in _LIBRARIES and type(value).__name__ in {"DataFrame", "Table"}:
        return _LIBRARIES[made_by]
    return None


def has_frequency(value: Any) -> bool:
    """Return whether the index of a frame has a frequency, which Arrow has no place for."""
    index: Any = getattr(value, "index", None)
    kind = type(index).__name__
    return kind in {"DatetimeIndex", "TimedeltaIndex"} and index.freq is not None


def encode_frame(frame: Any, kind: bytes) -> tuple[bytes, Any]:
    """Return the bytes of a frame, and the copy that `decode_frame` makes of them.

    Raises
    ------
    UnstorableError
        It would not come back equal.
    """
    try:
        data = _stream(_arrow(frame, kind))
        copy = decode_frame(data, kind)
        same = _equal(frame, copy, kind)
    except AgentnbError:
        raise
    except Exception as error:
        # Three libraries, each with errors of its own, which share no base.
        raise UnstorableError(
            f"the {KINDS[kind]} cannot be stored: {error}",
            hint="a column holds values that Arrow has no type for; convert it first",
        ) from error
    if not same:
        raise UnstorableError(
            f"the {KINDS[kind]} cannot be stored as it is: it would come back changed",
            hint="a column holds tuples, lists or other values that Arrow alters; convert it first",
        )
    return data, copy


def decode_frame(data: bytes, kind: bytes) -> Any:
    """Return the frame of bytes that `encode_frame` made."""
    if kind == _PANDAS:
        _register_types()
    table = need("pyarrow.ipc").open_stream(data).read_all()
    if kind == _PANDAS:
        return table.to_pandas()
    if kind == _TABLE:
        columns = [column.to_pylist() for column in table.columns]
        note = (table.schema.metadata or {}).get(b"note", b"").decode()
        return Table(table.column_names, list(zip(*columns, strict=True)), note=note)
    return need("polars").from_arrow(table) if kind == _POLARS else table


@cache
def _register_types() -> None:
    """Let Arrow know the periods and intervals of pandas, which come as bare numbers otherwise."""
    pandas = need("pandas")
    need("pyarrow").array(pandas.period_range("2000", periods=1, freq="D"))


def _arrow(frame: Any, kind: bytes) -> Any:
    if kind == _PANDAS:
        return need("pyarrow").Table.from_pandas(frame)
    return frame.to_arrow() if kind == _POLARS else frame


def _stream(table: Any) -> bytes:
    ipc = need("pyarrow.ipc")
    sink = need("pyarrow").BufferOutputStream()
    with ipc.new_stream(
        sink, table.schema, options=ipc.IpcWriteOptions(compression="lz4")
    ) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _equal(frame: Any, copy: Any, kind: bytes) -> bool:
    if kind == _ARROW:
        return True  # the stream is Arrow's own form; its comparison says that NaN is not NaN
    if kind == _POLARS:
        return bool(copy.schema == frame.schema and copy.equals(frame))
    same_names = (copy.index.names, copy.columns.names) == (frame.index.names, frame.columns.names)
    same_kinds = type(copy.index) is type(frame.index) and copy.attrs == frame.attrs
    return bool(
        copy.equals(frame) and same_names and same_kinds and (copy.dtypes == frame.dtypes).all()
    )
