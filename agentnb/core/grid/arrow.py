"""Arrow data sorted and filtered by DuckDB, in this process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core.db.backend import Watch
from agentnb.core.db.bounds import Bounds
from agentnb.core.db.database import Database
from agentnb.core.db.duck import DuckLimits
from agentnb.core.db.text import scan
from agentnb.core.grid.asking import SQLEngine
from agentnb.core.grid.details import of_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

__all__ = ["duck_engine", "taken"]

_FRAME = "agentnb_frame"
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

    def ask(sql: str, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        # Not by `query`: this is no call of the user's, and belongs on no tape.
        statement = scan(sql, access.backend.syntax)
        watch = Watch(access.deadline(None))
        found = access.query(statement, values, Bounds(), watch, frames={_FRAME: frame})
        return found.rows

    return SQLEngine(
        "duckdb",
        names,
        [of_arrow(field.type) for field in frame.schema],
        kind="duckdb",
        query=f"from {_FRAME}",
        ask=ask,
        close=database.close,
        take=take or partial(taken, table),
        keeps=False,  # it is read again as quickly
    )


def taken(table: pa.Table, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return rows of Arrow data by their numbers, with the values that a result has."""
    if isinstance(numbers, range):
        part = table.slice(numbers.start, len(numbers))
    else:
        part = table.take(numbers)
    columns = [_values(column) for column in part.columns]
    return list(zip(*columns, strict=True)) if columns else [()] * part.num_rows


def _values(column: Any) -> list[Any]:
    try:
        return column.to_pylist()  # type: ignore[no-any-return]  # Arrow's
    except (ValueError, OverflowError):  # such as times of nanoseconds, without pandas
        return column.cast("string").to_pylist()  # type: ignore[no-any-return]


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
