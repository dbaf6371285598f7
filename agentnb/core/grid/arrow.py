"""Arrow data sorted and filtered by DuckDB, in this process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import Watch
from agentnb.core.db.bounds import Bounds
from agentnb.core.db.database import Database
from agentnb.core.db.duck import DuckLimits
from agentnb.core.db.duck.frames import Batches
from agentnb.core.db.text import scan
from agentnb.core.grid.asking import SQLEngine
from agentnb.core.grid.details import of_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

__all__ = ["duck_engine", "taken"]

_FRAME = "agentnb_frame"
_NUMBERED = "agentnb_numbered"
_FEW = 100_000  # rows
_BATCH = 122_880  # rows, as DuckDB has them in a group
_MEMORY = "1GB"
_WIDEST_DECIMAL = 38  # digits, of DuckDB's


def duck_engine(names: Sequence[str], table: pa.Table, take: Any = None) -> SQLEngine:
    """Return the engine of Arrow data.

    Parameters
    ----------
    names
        The names of the columns.
    table
        The data, which are not copied.
    take
        Returns rows by their numbers; default: those of the data.
    """
    frame = _readable(table)
    database = Database("duckdb:///:memory:", name="grid", duck=DuckLimits(memory=_MEMORY))
    access = database.access

    def run(sql: str, values: Mapping[str, Any], frames: Mapping[str, Any]) -> Any:
        # Not by `query`: this is no call of the user's, and belongs on no tape.
        statement = scan(sql, access.backend.syntax)
        watch = Watch(access.deadline(None))
        return access.query(statement, values, Bounds(), watch, frames=frames).rows

    def ask(sql: str, values: Mapping[str, Any]) -> Any:
        return run(sql, values, {_FRAME: frame})

    def numbered(sql: str, values: Mapping[str, Any], columns: Sequence[int]) -> Any:
        return run(sql, values, {_NUMBERED: Batches(partial(_numbered, frame, columns))})

    return SQLEngine(
        "duckdb",
        names,
        [of_arrow(field.type) for field in frame.schema],
        kind="duckdb",
        query=f"from {_FRAME}",
        ask=ask,
        close=database.close,
        take=take or partial(taken, table),
        numbered=numbered,
        few=frame.num_rows <= _FEW,
    )


def taken(table: pa.Table, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return rows of Arrow data by their numbers, with the values that a result has."""
    if isinstance(numbers, range):
        table = table.slice(numbers.start, len(numbers))
        numbers = range(table.num_rows)
    columns = [_values(column, numbers) for column in table.columns]
    return list(zip(*columns, strict=True)) if columns else [()] * len(numbers)


def _values(column: Any, numbers: Sequence[int]) -> list[Any]:
    # One by one: Arrow's take() makes one chunk of all texts of the column first.
    try:
        return [column[number].as_py() for number in numbers]
    except (ValueError, OverflowError):  # such as times of nanoseconds, without pandas
        return [column[number].cast("string").as_py() for number in numbers]


def _numbered(frame: pa.Table, columns: Sequence[int]) -> pa.RecordBatchReader:
    """Return a reader of some columns, and of the number of each row in two parts.

    The numbers themselves would be as large as a column, and a pool keeps what they took.
    """
    import pyarrow as pa

    chosen = frame.select([f"c{number}" for number in columns])
    kind = pa.run_end_encoded(pa.int32(), pa.int64())
    schema = chosen.schema.append(pa.field("agentnb_at", kind))
    schema = schema.append(pa.field("agentnb_in", pa.int32()))
    within = pa.array(range(min(_BATCH, frame.num_rows)), pa.int32())

    def batches() -> Iterator[pa.RecordBatch]:
        at = 0
        for batch in chosen.to_batches(max_chunksize=_BATCH):
            rows = batch.num_rows
            if rows:
                begins = pa.RunEndEncodedArray.from_arrays(
                    pa.array([rows], pa.int32()), pa.array([at], pa.int64())
                )
                arrays = [*batch.columns, begins, within.slice(0, rows)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            at += rows

    return pa.RecordBatchReader.from_batches(schema, batches())


def _readable(table: pa.Table) -> pa.Table:
    """Return the data with names that SQL tells apart, and types that DuckDB has."""
    import pyarrow as pa

    columns = [
        column.cast(pa.float64())
        if pa.types.is_decimal(column.type) and column.type.precision > _WIDEST_DECIMAL
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=[f"c{number}" for number in range(len(columns))])
